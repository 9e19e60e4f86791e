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


cdef cnp.ndarray lent_array(
    const void *source, int typenum, int ndim, cnp.npy_intp *shape, object block
):
    """An array of memory inside a block, which cannot be written to."""
    cdef cnp.ndarray array = cnp.PyArray_SimpleNewFromData(ndim, shape, typenum, <void *>source)
    cnp.set_array_base(array, block)
    cnp.PyArray_CLEARFLAGS(array, cnp.NPY_ARRAY_WRITEABLE)
    return array


cdef list kept_planes(const int *width, const int *height, int typenum, size_t size):
    """New planes of samples of `size` bytes, not filled yet, in one block; None: too small for one.

    Raises:
        MemoryError: there is no memory for them.
    """
    cdef int p
    cdef size_t whole = 0
    cdef size_t[3] at
    cdef cnp.npy_intp[2] shape
    cdef cnp.ndarray array
    cdef Block block
    for p in range(3):
        at[p] = whole
        whole += memory_aligned(<size_t>width[p] * <size_t>height[p] * size)
    if whole < LARGE:
        return None
    block = Block.__new__(Block)
    block.start = memory_block(whole, 0)
    if block.start == NULL:
        raise MemoryError("no memory for the planes of a frame")
    planes = []
    for p in range(3):
        if width[p] > 0:
            shape[0], shape[1] = height[p], width[p]
            array = cnp.PyArray_SimpleNewFromData(2, shape, typenum, block.start + at[p])
            cnp.set_array_base(array, block)
            planes.append(array)
    return planes
