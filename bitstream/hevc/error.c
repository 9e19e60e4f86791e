/* Error texts and names of warnings. */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

int hevc_error(hevc_decoder *const dec, const int code, const char *const format, ...) {
    size_t n = 0;
    if (dec->nal_unit_type >= 0)
        n = (size_t)snprintf(dec->error_text, sizeof dec->error_text,
                             "picture %d, NAL unit type %d: ", (int)dec->next_decode_order,
                             dec->nal_unit_type);
    va_list args;
    va_start(args, format);
    vsnprintf(dec->error_text + n, sizeof dec->error_text - n, format, args);
    va_end(args);
    return code;
}

const char *hevc_error_text(const hevc_decoder *const dec) {
    return dec == NULL ? "" : dec->error_text;
}

const char *hevc_encoder_text(const hevc_decoder *const dec) {
    return dec == NULL ? "" : dec->encoder_text;
}

uint64_t hevc_warning_count(const hevc_decoder *const dec, const int warning) {
    return dec == NULL || warning < 0 || warning >= HEVC_N_WARNINGS ? 0 : dec->warnings[warning];
}

const char *hevc_warning_name(const int warning) {
    static const char *const names[HEVC_N_WARNINGS] = {
        [HEVC_WARN_CONCEALED_CTU] = "concealed_coding_tree_units",
        [HEVC_WARN_CORRUPT_SLICE] = "corrupt_slices",
        [HEVC_WARN_MISSING_REFERENCE] = "missing_references",
        [HEVC_WARN_BAD_PARAMETER_SET] = "bad_parameter_sets",
        [HEVC_WARN_BAD_NAL] = "bad_nal_units",
        [HEVC_WARN_NO_PARAMETER_SET] = "slices_without_parameter_sets",
        [HEVC_WARN_DISCARDED_PICTURE] = "discarded_pictures",
        [HEVC_WARN_WRONG_HASH] = "wrong_hashes",
        [HEVC_WARN_OTHER_LAYER] = "units_of_other_layers",
    };
    return warning < 0 || warning >= HEVC_N_WARNINGS ? NULL : names[warning];
}
