/* What the parts of the core's unit test share: a decoder with no more in it than the sample
 * functions use. */
#ifndef DAVD_CORE_TEST_H
#define DAVD_CORE_TEST_H

#include "core_check.h"
#include "internal.h"

enum {
    PIC_W = 64,
    PIC_H = 64
};
enum {
    GUARD = 64
}; // readable bytes around planes

// Pictures of PIC_W x PIC_H luma samples, of exactly the size they need; contrast 0: full range
h264_decoder *new_decoder(int format, int size, int depth_y, int depth_c);
picture *new_picture(const h264_decoder *dec, int contrast);
void free_picture(picture *pic);
void free_decoder(h264_decoder *dec);

void test_inter(void);        // core_inter_test.c
void test_deblock(void);      // core_deblock_test.c
void test_stream(void);       // core_stream_test.c
void test_chunks(void);       // core_chunks_test.c
void test_slice_groups(void); // core_slice_groups_test.c
void test_switching(void);    // core_switching_test.c
void test_hevc(void);         // core_hevc_test.c

#endif
