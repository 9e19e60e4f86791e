/* 9.3.2.2: initial values of the context variables. */
#include "internal.h"

#include "context_tables.h"

_Static_assert((int)N_CONTEXTS <= (int)MAX_CONTEXTS, "room for all contexts");

void hevc_contexts_init(contexts *const c, const int initType, const int SliceQpY) {
    const int qp = iclip(SliceQpY, 0, 51);
    for (int i = 0; i < N_CONTEXTS; i++) {
        const int v = init_values[initType][i];
        const int m = (v >> 4) * 5 - 45, n = ((v & 15) << 3) - 16;
        const int pre = iclip(((m * qp) >> 4) + n, 1, 126);
        const int mps = pre > 63;
        c->state[i] = (uint8_t)((mps ? pre - 64 : 63 - pre) << 1 | mps);
    }
    memset(c->StatCoeff, 0, sizeof c->StatCoeff);
}
