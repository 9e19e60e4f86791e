/* What the stream level keeps and shares: NAL units, parameter sets, slice headers, reference
 * lists, the decoded picture buffer, frame slots. Read internal.h first; the macroblock layer does
 * not need this header.
 *
 * Note [Life of a picture]. decoder.c parses a slice header; when that begins a new picture
 * (7.4.1.2.4) the old one is finished: concealed where slices are missing, deblocked, marked
 * (8.2.5), stored and output (C.4). Then the new one is started: parameter sets activated,
 * frame_num gaps filled, slot and taps taken from the pools, PicOrderCnt derived. After the first
 * field of a frame the slot stays `dec->cur` for the second; stream_state.field_open says so.
 */
#ifndef DAVD_STREAM_H
#define DAVD_STREAM_H

#include "../coding/nal.h"
#include "internal.h"

enum {
    // DPB, frames that one IDR picture sends to the queue, those of workers, the current one, one
    // lent, one substitute
    MAX_PICTURES = 2 * (MAX_DPB_FRAMES + 2) + 2 * H264_MAX_THREADS + 4,
    POC_LIMIT = (1 << 30) -
        1, // PicOrderCnt is kept within +-POC_LIMIT, so that differences fit an int32_t
};

// 8.2.1: what the derivation of PicOrderCnt remembers of earlier pictures
typedef struct poc_state {
    int32_t prevPicOrderCntMsb, prevPicOrderCntLsb; // of the previous reference picture
    int32_t prevFrameNumOffset, prevFrameNum;       // of the previous picture
    int32_t PicOrderCntMsb, FrameNumOffset;         // of the current picture
} poc_state;

typedef struct recovery_sei {
    bool pending;       // received, and its picture has not begun
    uint32_t frame_cnt; // recovery_frame_cnt
} recovery_sei;

// Data partitioning, 7.3.2.9: a partition kept until all of its slice is there
typedef struct partition {
    uint8_t *rbsp;
    size_t capacity;
    bits b; // at slice_data()
    bool present;
} partition;

typedef struct stream_state {
    sps sps[MAX_SPS];
    pps pps[MAX_PPS];
    struct workers *workers; // workers.c; NULL: not yet, or one thread
    rbsp_buffer rbsp;        // the NAL unit being decoded, without emulation prevention
    // what is left of a packet while frames wait to be received
    uint8_t *rest;
    size_t rest_pos, rest_size, rest_capacity;
    int64_t pts;       // of the packet being decoded
    int nal_unit_type; // of the NAL unit being decoded, for error texts; 0: none
    int failure;       // H264_UNSUPPORTED or H264_NOMEM: nothing is decoded any more
    bool flushing;     // h264_flush() was called; nothing sent since

    // frame slots and tap buffers: picture.c
    picture *pictures[MAX_PICTURES];
    int n_pictures;
    uint32_t geometry; // counts changes of picture size and sample type
    struct taps *free_taps;
    picture *substitute; // mid-grey frame for missing references; made when first needed
    int32_t next_decode_order, next_artificial_uid;
    // output order: frames that h264_receive() will hand out
    picture *queue[MAX_PICTURES];
    int queue_length;
    picture *lent;

    // the current picture
    slice_header next, first; // header just parsed; header of the first slice of dec->cur
    const sps *next_sps; // SPS that `next` was parsed with: the active one, or one to be activated
    const pps *next_pps;
    partition partitions[3]; // A, B, C. While A is present the slice in `next` waits to be decoded
    uint32_t slice_id;       // of partition A
    int n_slices;
    bool field_open; // dec->cur is a first field waiting for its second; no slice of that has come
                     // yet
    bool
        unit_boundary; // a packet began, or an AUD, parameter set or SEI came, since the last slice
    uint32_t unit_bytes; // NAL units that have come and belong to the next picture
    bool first_mb_seen;  // a slice of dec->cur began with macroblock 0

    poc_state poc;
    int PrevRefFrameNum;
    recovery_sei recovery;
    bool started;                                 // a picture to start from has come
    bool recovered;                               // pictures from now on are exact
    int recovery_frame_num, recovery_frames_left; // D.2.8: frame_num of the picture before, and how
                                                  // far it must still go
    int32_t recovery_poc; // pictures before it in output order are not shown; INT32_MIN after an
                          // IDR picture
} stream_state;

// nal.c (7.3.1, Annex B): data[0..size) is one NAL unit without start code. H264_OK, H264_CORRUPT,
// H264_NOMEM
int h264_nal_parse(h264_decoder *dec, const uint8_t *data, size_t size, nal_unit *nal);
// The next NAL unit of a packet from *pos on, without start code or length; false when there is
// none left.
bool h264_nal_next(h264_decoder *dec, const uint8_t *data, size_t size, size_t *pos,
                   const uint8_t **nal, size_t *nal_size);

// params.c (7.3.2). A set that breaks the syntax is counted and ignored.
void h264_parse_sps(h264_decoder *dec, bits *b);
void h264_parse_pps(h264_decoder *dec, bits *b);
// Scaling lists in force (7.4.2.2, Table 7-2): those of the PPS, with fall-back to the SPS.
void h264_scaling_lists(const sps *s, const pps *p, uint8_t list4x4[6][16], uint8_t list8x8[6][64]);
// `from` as it reads with the active SPS. H264_OK, H264_NOMEM, H264_CORRUPT
int h264_pps_activate(pps *to, const pps *from, const sps *s);
int h264_max_dpb_frames(const sps *s); // A.3.1
void h264_stream_info_fill(const sps *s, h264_stream_info *info);

// sei.c (7.3.2.3, Annex D)
void h264_parse_sei(h264_decoder *dec, bits *b);

// slice.c (7.3.3): fills stream->next, next_sps, next_pps; b is left at slice_data(). H264_OK,
// H264_CORRUPT
int h264_parse_slice_header(h264_decoder *dec, const nal_unit *nal, bits *b);
bool h264_first_of_picture(const slice_header *last, const slice_header *h,
                           const sps *s); // 7.4.1.2.4

// refs.c
void h264_poc_decode(h264_decoder *dec, picture *pic, const slice_header *h);     // 8.2.1
void h264_poc_done(h264_decoder *dec, const picture *pic, const slice_header *h); // after marking
int h264_ref_lists(h264_decoder *dec); // 8.2.4: dec->slice.RefPicList. H264_OK, H264_NOMEM
void h264_frame_num_wrap(h264_decoder *dec, int frame_num); // 8.2.4.1
int32_t h264_field_poc(const picture *pic, int structure);
int32_t h264_limit_poc(int64_t poc);

// dpb.c
void h264_dpb_empty(h264_decoder *dec); // all frames output in order, none reference any more
void h264_dpb_mark(h264_decoder *dec);  // 8.2.5 for the field or frame just decoded
int h264_dpb_fill_gap(h264_decoder *dec, const slice_header *h); // 8.2.5.2. H264_OK, H264_NOMEM
void h264_dpb_insert(h264_decoder *dec, picture *pic);
void h264_dpb_bump(h264_decoder *dec); // C.4.5.3
void h264_dpb_size_init(h264_decoder *dec);

// picture.c
bool h264_same_geometry(const sps *a, const sps *b);
int h264_set_geometry(h264_decoder *dec, const sps *s); // H264_OK, H264_NOMEM
// Their memory, which is the caller's from now on; NULL: the picture keeps them
void *h264_taps_take(picture *pic);
// dec->tap_rows for the current picture; no memory: it does without
void h264_tap_rows_fit(h264_decoder *dec);
void h264_tap_rows_free(h264_decoder *dec);
mb_info *h264_new_macroblocks(const h264_decoder *dec); // for memory_free(); NULL: out of memory
picture *h264_picture_get(h264_decoder *dec);           // NULL: out of memory
void h264_picture_release(h264_decoder *dec,
                          picture *pic); // gives slot and taps back when nobody holds them
int h264_taps_get(h264_decoder *dec, picture *pic);
void h264_picture_copy_samples(h264_decoder *dec, picture *to,
                               const picture *from); // NULL: mid-grey
void h264_pictures_free(h264_decoder *dec);
// Note [Colour planes]: colour_plane_id 0 to 2; nothing happens without separate_colour_plane_flag
void h264_select_colour_plane(h264_decoder *dec, int colour_plane_id);
int h264_colour_planes(const h264_decoder *dec); // 3 with separate_colour_plane_flag, else 1
void h264_frame_fill(const picture *pic, h264_frame *f);

// slices.c: what becomes of a picture, in the thread that decodes it. dec->slice.hdr is a header of
// it
void h264_begin_slices(h264_decoder *dec);
void h264_decode_slice(h264_decoder *dec); // dec->slice
void h264_end_slices(h264_decoder *dec, picture *latest);

// workers.c: Note [Pictures side by side]. What they do to the decoder happens in the caller's
// thread.
// dec->cur is given to a worker; false: the caller decodes it
bool h264_workers_begin(h264_decoder *dec);
bool h264_workers_have_it(const h264_decoder *dec); // is dec->cur with one?
void h264_workers_slice(h264_decoder *dec);         // dec->slice, without its macroblocks
void h264_workers_end(h264_decoder *dec, picture *latest);
void h264_workers_give_back(h264_decoder *dec); // the caller goes on with dec->cur
// Waits for the first pictures given to them, that many, or for all
void h264_workers_wait(h264_decoder *dec, int pictures);
void h264_workers_wait_for_all(h264_decoder *dec);
// May a frame be handed out that was queued when so many pictures had begun? Not while as many
// pictures can be begun after it as keep all workers busy.
bool h264_workers_allow(const h264_decoder *dec, int begun_before);
int h264_workers_begun(const h264_decoder *dec);
// Of pictures not waited for; waits for all slices given to workers
uint64_t h264_workers_warnings(const h264_decoder *dec, int warning);
bool h264_workers_lost(const h264_decoder *dec); // this is another process, which has none
void h264_workers_free(h264_decoder *dec);

// sequence.c: Note [Life of a picture]
bool h264_may_start_here(const stream_state *s); // decoding may begin with the picture of s->next
int h264_start_picture(h264_decoder *dec);       // H264_OK, H264_UNSUPPORTED, H264_NOMEM
void h264_finish_picture(h264_decoder *dec);
void h264_end_sequence(h264_decoder *dec);

// decoder.c: H264_OK, or what h264_send() returns for it
int h264_decode_nal(h264_decoder *dec, nal_unit *nal);
// The slice whose partitions were kept, if any: no more of them will come
int h264_decode_partitions(h264_decoder *dec);

#endif
