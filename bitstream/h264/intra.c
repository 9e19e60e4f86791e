/* Intra prediction (8.3), samples only: which mode, and which neighbours may be used, is the
 * caller's business. Neighbours that are marked unavailable are not read; a mode that would need
 * them (which no legal stream asks for) sees mid-grey. */
#include <string.h>

#include "internal.h"

enum { // Tables 8-2 and 8-3: the same numbers for 4x4 and 8x8 blocks
    INTRA_VERTICAL,
    INTRA_HORIZONTAL,
    INTRA_DC,
    INTRA_DIAGONAL_DOWN_LEFT,
    INTRA_DIAGONAL_DOWN_RIGHT,
    INTRA_VERTICAL_RIGHT,
    INTRA_HORIZONTAL_DOWN,
    INTRA_VERTICAL_LEFT,
    INTRA_HORIZONTAL_UP,
};

enum {
    INTRA16_VERTICAL,
    INTRA16_HORIZONTAL,
    INTRA16_DC,
    INTRA16_PLANE
}; // Table 8-4
enum {
    CHROMA_DC,
    CHROMA_HORIZONTAL,
    CHROMA_VERTICAL,
    CHROMA_PLANE
}; // Table 8-5

#define SAMPLE_SIZE 1
#include "intra_template.h"
#undef SAMPLE_SIZE

#define SAMPLE_SIZE 2
#include "intra_template.h"
#undef SAMPLE_SIZE
