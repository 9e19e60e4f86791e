"""davd: repair of very low bit rate talking-head video, with the sound and the bitstream as witnesses."""

__version__ = "0.1.0"
