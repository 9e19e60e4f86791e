"""H.264 video in, exact frame records and priors files out."""

from ._core import (
    CorruptStreamError,
    DavdError,
    Decoder,
    Frame,
    StreamInfo,
    UnsupportedStreamError,
)
from .demux import VideoError
from .extract import Summary, extract, iterate
from .priors import PriorsError, PriorsFile
from .schema import SCHEMA_VERSION, FrameRecord
from .verify import VerificationError
from .writer import PriorsWriter

__all__ = [
    "SCHEMA_VERSION",
    "CorruptStreamError",
    "DavdError",
    "Decoder",
    "Frame",
    "FrameRecord",
    "PriorsError",
    "PriorsFile",
    "PriorsWriter",
    "StreamInfo",
    "Summary",
    "UnsupportedStreamError",
    "VerificationError",
    "VideoError",
    "extract",
    "iterate",
]
