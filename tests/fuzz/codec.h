/* What the harnesses need to know of the decoder that they drive; -DFUZZ_HEVC makes it that of
 * HEVC. Both have the same four calls, with the same codes. */
#ifndef DAVD_FUZZ_CODEC_H
#define DAVD_FUZZ_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#ifdef FUZZ_HEVC
#include "hevc.h"
#define CODEC(name) hevc_##name
#define CODE(name) HEVC_##name
enum {
    ALL_TAPS = HEVC_TAP_PREDICTION | HEVC_TAP_RESIDUAL | HEVC_TAP_LEVEL | HEVC_TAP_MOTION |
        HEVC_TAP_BITS
};
#define HAS_THREADS 0
#else
#include "h264.h"
#define CODEC(name) h264_##name
#define CODE(name) H264_##name
enum {
    ALL_TAPS = H264_TAP_PREDICTION | H264_TAP_RESIDUAL | H264_TAP_LEVEL | H264_TAP_MOTION |
        H264_TAP_MODES | H264_TAP_BITS
};
#define HAS_THREADS 1 // settings.threads
#endif

void touch(const void *data, size_t size); // all of it may be read
void require(bool ok, const char *what);   // ends the run where it is not so
void check_frame(const CODEC(frame) * f);  // h264_frame.c, hevc_frame.c

#endif
