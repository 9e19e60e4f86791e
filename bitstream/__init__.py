"""H.264 or HEVC video in, exact frame records and priors files out."""

from ._core import (
    CorruptStreamError,
    DavdError,
    Decoder,
    Frame,
    StreamInfo,
    UnsupportedStreamError,
)
from ._hevc import HevcDecoder, HevcFrame
from .demux import CodecError, VideoError
from .extract import Summary, extract, iterate
from .open import open
from .priors.part import OutputError
from .priors.reader import PriorsError, PriorsFile
from .priors.reading import Priors
from .priors.record import FrameRecord
from .priors.schema import SCHEMA_VERSION
from .priors.writer import PriorsWriter
from .verify import VerificationError
from .video import PriorsVideo

__all__ = [
    "SCHEMA_VERSION",
    "CodecError",
    "CorruptStreamError",
    "DavdError",
    "Decoder",
    "Frame",
    "FrameRecord",
    "HevcDecoder",
    "HevcFrame",
    "OutputError",
    "Priors",
    "PriorsError",
    "PriorsFile",
    "PriorsVideo",
    "PriorsWriter",
    "StreamInfo",
    "Summary",
    "UnsupportedStreamError",
    "VerificationError",
    "VideoError",
    "extract",
    "iterate",
    "open",
]
