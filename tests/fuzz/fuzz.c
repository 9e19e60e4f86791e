/* libFuzzer harnesses of both decoders: whatever the bytes, it answers with frames or an error
 * code, reads nothing behind its input, and takes no more memory and time than the input justifies.
 *
 * HARNESS chooses what the bytes are:
 *   HARNESS_STREAM   an Annex B stream, sent whole or by NAL unit
 *   HARNESS_UNIT     a byte that chooses parameter sets, and NAL units that follow them
 *   HARNESS_PACKETS  pieces with a length of 16 bits each: an avcC or hvcC record, and packets
 *   HARNESS_MEMORY   as STREAM, and one allocation fails, or all from one on
 * A run is made by `make fuzz`; a finding is repeated by giving its file to the program. */
#define _GNU_SOURCE
#include <malloc.h>
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "codec.h"
#include "sets.h" // made by seeds.py: FUZZ_SETS parameter sets of each codec, fuzz_sets[]

enum {
    MAX_PIXELS = 1 << 15,
    // 38 pictures of 16-bit 4:4:4 with all taps, and as many of the size before
    MAX_MEMORY = 2 * 38 * MAX_PIXELS * 3 * 12 + (16 << 20),
};
static const double SECONDS_A_PICTURE = 0.25; // with sanitizers, on a busy machine

// ----------------------------------------------------------------------------------- allocations

static struct {
    bool armed;
    size_t live, calls;
    size_t fail_at; // this call fails; 0: none
    bool and_on;    // those after it too
} memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static bool refused(void) {
    if (!memory.armed)
        return false;
    memory.calls++;
    return memory.fail_at &&
           (memory.and_on ? memory.calls >= memory.fail_at : memory.calls == memory.fail_at);
}

static void *counted(void *const p) {
    if (memory.armed && p) {
        memory.live += malloc_usable_size(p);
        if (memory.live > MAX_MEMORY) {
            fprintf(stderr, "%zu bytes are in use\n", memory.live);
            abort();
        }
    }
    return p;
}

void *__wrap_malloc(const size_t size) {
    return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(const size_t n, const size_t size) {
    return refused() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *const p, const size_t size) {
    if (refused())
        return NULL;
    if (memory.armed && p)
        memory.live -= malloc_usable_size(p);
    return counted(__real_realloc(p, size));
}

void __wrap_free(void *const p) {
    if (memory.armed && p)
        memory.live -= malloc_usable_size(p);
    __real_free(p);
}

// ------------------------------------------------------------------------------------------ input

// A copy that ends at a page which may not be read
typedef struct guarded {
    uint8_t *data;
    void *pages;
    size_t bytes;
} guarded;

static guarded guard(const uint8_t *const data, const size_t size) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    guarded g = {.bytes = (size + 2 * page - 1) / page * page};
    g.pages = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.pages == MAP_FAILED || mprotect((uint8_t *)g.pages + g.bytes - page, page, PROT_NONE))
        abort();
    g.data = (uint8_t *)g.pages + g.bytes - page - size;
    if (size)
        memcpy(g.data, data, size);
    return g;
}

static uint32_t hash(const uint8_t *const data, const size_t size) { // FNV-1a
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * 16777619u;
    return h;
}

// ----------------------------------------------------------------------------------------- frames

void touch(const void *const data, const size_t size) {
    if (data && __asan_region_is_poisoned((void *)(uintptr_t)data, size))
        abort();
}

void require(const bool ok, const char *const what) {
    if (!ok) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static int take_frames(CODEC(decoder) *const dec) {
    CODEC(frame) f;
    int rc;
    while ((rc = CODEC(receive)(dec, &f)) == CODE(OK))
        check_frame(&f);
    return rc;
}

// ---------------------------------------------------------------------------------------- sending

// How the bytes are sent, by their hash, so that a file alone repeats its run
typedef struct manner {
    bool by_unit, lazy; // lazy: frames are taken only when the decoder insists
    CODEC(settings) settings;
} manner;

static manner manner_of(const uint32_t h) {
    const unsigned taps = h >> 4 & 3 ? ALL_TAPS : h >> 6 & ALL_TAPS;
    manner m = {
        .by_unit = h & 1, .lazy = h & 2, .settings = {.taps = taps, .max_pixels = MAX_PIXELS}};
#if HAS_THREADS
    m.settings.threads = h >> 2 & 3 ? 1 : -2; // a quarter of all inputs
#endif
    return m;
}

// False: the decoder will take no more
static bool send(CODEC(decoder) *const dec, const uint8_t *const data, const size_t size,
                 const bool lazy) {
    const guarded g = guard(data, size);
    int rc = CODEC(send)(dec, g.data, size, (int64_t)size);
    if (rc == CODE(AGAIN)) {
        take_frames(dec);
        rc = CODEC(send)(dec, g.data, size, (int64_t)size);
        require(rc != CODE(AGAIN), "a packet is taken when no frame waits");
    }
    munmap(g.pages, g.bytes);
    require(rc <= 0 && rc >= CODE(UNSUPPORTED) && rc != CODE(BADARG), "code of send()");
    const int taken = lazy ? CODE(AGAIN) : take_frames(dec);
    return (rc == CODE(OK) || rc == CODE(CORRUPT)) && taken == CODE(AGAIN);
}

static size_t next_unit(const uint8_t *const data, const size_t size, const size_t pos) {
    for (size_t i = pos + 3; i + 3 <= size; i++)
        if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1)
            return i;
    return size;
}

static void send_stream(CODEC(decoder) *const dec, const uint8_t *const data, const size_t size,
                        const manner *const m) {
    for (size_t pos = 0, end; pos < size; pos = end) {
        end = m->by_unit ? next_unit(data, size, pos) : size;
        if (!send(dec, data + pos, end - pos, m->lazy))
            return;
    }
}

static void send_units(CODEC(decoder) *const dec, const uint8_t *const data, const size_t size,
                       const manner *const m) {
    if (!size)
        return;
    const fuzz_set *const s = &fuzz_sets[data[0] % FUZZ_SETS];
    if (send(dec, s->data, s->size, m->lazy))
        send_stream(dec, data + 1, size - 1, m);
}

static void send_packets(CODEC(decoder) *const dec, const uint8_t *const data, const size_t size,
                         const manner *const m) {
    bool first = true;
    for (size_t pos = 0, n; pos + 2 <= size; pos += n, first = false) {
        n = (size_t)(data[pos] << 8 | data[pos + 1]);
        pos += 2;
        n = n < size - pos ? n : size - pos;
        if (!first && !send(dec, data + pos, n, m->lazy))
            return;
        if (!first)
            continue;
        const guarded g = guard(data + pos, n);
        CODEC(set_extradata)(dec, g.data, n);
        munmap(g.pages, g.bytes);
    }
}

#ifndef HARNESS
#define HARNESS HARNESS_STREAM
#endif
enum {
    HARNESS_STREAM,
    HARNESS_UNIT,
    HARNESS_PACKETS,
    HARNESS_MEMORY
};

static void run(const uint8_t *const data, const size_t size, const manner *const m) {
    CODEC(decoder) * dec;
    if (CODEC(open)(&dec, &m->settings) < 0)
        return;
    if (HARNESS == HARNESS_UNIT)
        send_units(dec, data, size, m);
    else if (HARNESS == HARNESS_PACKETS)
        send_packets(dec, data, size, m);
    else
        send_stream(dec, data, size, m);
    CODEC(flush)(dec);
    take_frames(dec);
    touch(CODEC(error_text)(dec), strlen(CODEC(error_text)(dec)));
    CODEC(close)(dec);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// A slice header of some 8 bytes may begin a picture; nothing else costs more.
static void check_progress(const double seconds, const size_t size) {
    const double allowed = 1 + SECONDS_A_PICTURE * (double)(1 + size / 8);
    if (seconds < allowed)
        return;
    fprintf(stderr, "%.1f s for %zu bytes\n", seconds, size);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size) {
    const uint32_t h = hash(data, size);
    const manner m = manner_of(h);
    const double before = cpu_seconds();
    memset(&memory, 0, sizeof memory);
    if (HARNESS == HARNESS_MEMORY) {
        memory.fail_at = 1 + (h >> 12) % 96;
        memory.and_on = h >> 11 & 1;
    }
    memory.armed = true;
    run(data, size, &m);
    memory.armed = false;
    require(memory.live == 0, "everything is freed");
    check_progress(cpu_seconds() - before, size);
    return 0;
}
