/* What the unit tests of both cores share: random numbers, samples of either size, comparison with
 * a dump. */
#ifndef DAVD_CORE_CHECK_H
#define DAVD_CORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

int rnd(int n); // 0..n-1, seeded

// Samples of either size, by index
int get(const void *p, int size, ptrdiff_t i);
void put(void *p, int size, ptrdiff_t i, int v);

// Equal w x h samples? If not, prints ours with the differing entries marked.
void check_samples(const char *what, const void *got, const void *want, int size, ptrdiff_t stride,
                   int w, int h);

void check_true(const char *what, bool ok);

#endif
