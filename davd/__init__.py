"""Repair of very low bit rate talking-head video, with sound and bitstream as witnesses."""

__version__ = "0.1.0"
