# Blocks of memory that arrays of the skins are made of. Each skin has its core's own.

cdef extern from "memory.h" nogil:
    uint8_t *memory_block(size_t size, size_t zeroed)
    void memory_free(void *block)
    size_t memory_aligned(size_t size)


cdef enum:
    LARGE = 1 << 20


@cython.final
cdef class Block:
    """Memory of large planes. The system would clear its pages for every frame; so they are kept."""

    cdef uint8_t *start

    def __dealloc__(self):
        memory_free(self.start)
