# What the skins over both cores share: packets in, frames out, and those that wait between.


cdef enum:  # return codes, the same numbers in h264.h and hevc.h
    OK = 0
    AGAIN = -1
    END = -2
    CORRUPT = -5


cdef class PacketQueue:
    """Packets to a core and frames from it; packets that come too early wait."""

    cdef object _waiting  # packets (or None for a flush) that came while frames had not been taken
    cdef bint _failed  # receive() has raised for good

    cdef int _put(self, const uint8_t *data, size_t size, int64_t pts) noexcept nogil:
        """h264_send() or its like."""
        return END

    cdef int _end(self) noexcept nogil:
        """h264_flush() or its like."""
        return END

    cdef int _take(self) noexcept nogil:
        """h264_receive() or its like, into a frame of the decoder's own."""
        return END

    cdef object _taken(self, bint skip):
        """What was taken, as an object."""

    cdef int _check(self, int rc) except -1:
        """Raise what a code stands for, with the core's own text."""
        return 0

    cdef int _send(self, object packet, object pts) except? -100:
        """One packet, or a flush when it is None; the core's code."""
        cdef int64_t when = INT64_MIN if pts is None else pts
        cdef const uint8_t[::1] data
        cdef const uint8_t *start = NULL
        cdef size_t size = 0
        cdef int rc
        if packet is None:
            with nogil:
                rc = self._end()
            return rc
        data = packet
        size = <size_t>data.shape[0]
        if size > 0:
            start = &data[0]
        with nogil:
            rc = self._put(start, size, when)
        return rc

    def send(self, data, pts=None):
        """Decode one packet: an access unit, or any piece of an Annex B stream cut at NAL units.

        Packets sent before the frames of the one before were taken are kept until they are.

        Args:
            data: bytes or another contiguous buffer.
            pts: what the frame whose first slice is in here shall carry.

        Raises:
            CorruptStreamError: no usable NAL unit in it; the next packet may be sent.
            UnsupportedStreamError, StreamMemoryError: the stream cannot be decoded further. Frames
                before the trouble can be had first: for the packet that brings it, `receive` raises.
        """
        if data is None:
            raise TypeError("data must be bytes")
        if self._waiting:
            self._waiting.append((bytes(data), pts))
            return
        cdef int rc = self._send(data, pts)
        if rc == AGAIN:
            self._waiting.append((bytes(data), pts))
        elif rc == CORRUPT or self._failed:
            self._check(rc)

    def flush(self):
        """End of stream: all frames become available. Another stream may be sent afterwards."""
        if self._waiting:
            self._waiting.append((None, None))
        else:
            self._send(None, None)

    def receive(self, *, bint skip=False):
        """Next frame in output order; None: it takes more input.

        Args:
            skip: return the frame without arrays but for the scaling lists.

        Raises:
            UnsupportedStreamError, StreamMemoryError: the stream cannot be decoded further.
        """
        cdef int rc
        while True:
            with nogil:
                rc = self._take()
            if rc == OK:
                return self._taken(skip)
            if rc != AGAIN and rc != END:
                self._waiting.clear()
                self._failed = True
                self._check(rc)
            if not self._waiting:
                return None
            packet, pts = self._waiting.popleft()
            self._send(packet, pts)
