/* What went wrong: one sentence about the last error, and counts of oddities that did not stop the
 * decoding. */
#include <stdarg.h>
#include <stdio.h>

#include "stream.h"

int h264_error(h264_decoder *const dec, const int code, const char *const format, ...) {
    const stream_state *const s = dec->stream;
    size_t n = 0;
    if (s->nal_unit_type != 0)
        n = (size_t)snprintf(dec->error_text, sizeof dec->error_text,
                             "picture %d, NAL unit type %d: ", (int)s->next_decode_order,
                             s->nal_unit_type);
    va_list args;
    va_start(args, format);
    vsnprintf(dec->error_text + n, sizeof dec->error_text - n, format, args);
    va_end(args);
    return code;
}

const char *h264_error_text(const h264_decoder *const dec) {
    return dec == NULL ? "" : dec->error_text;
}

const char *h264_encoder_text(const h264_decoder *const dec) {
    const picture *const frame = dec == NULL ? NULL : dec->stream->lent;
    return dec == NULL ? "" : frame != NULL ? frame->encoder_text : dec->encoder_text;
}

const char *h264_warning_name(const int warning) {
    static const char *const names[H264_N_WARNINGS] = {
        [H264_WARN_CONCEALED_MB] = "concealed_macroblocks",
        [H264_WARN_CORRUPT_SLICE] = "corrupt_slices",
        [H264_WARN_MISSING_REFERENCE] = "missing_references",
        [H264_WARN_FRAME_NUM_GAP] = "frame_num_gaps",
        [H264_WARN_BAD_PARAMETER_SET] = "bad_parameter_sets",
        [H264_WARN_BAD_NAL] = "bad_nal_units",
        [H264_WARN_NO_PARAMETER_SET] = "slices_without_parameter_sets",
        [H264_WARN_UNPAIRED_FIELD] = "unpaired_fields",
        [H264_WARN_DISCARDED_PICTURE] = "discarded_pictures",
        [H264_WARN_OTHER_LAYER] = "slices_of_other_layers_or_views",
        [H264_WARN_LATE_PICTURE] = "late_pictures",
    };
    return warning < 0 || warning >= H264_N_WARNINGS ? NULL : names[warning];
}
