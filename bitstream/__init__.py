"""H.264 video in, exact frame records and priors files out."""

from .priors import PriorsError, PriorsFile
from .schema import SCHEMA_VERSION, FrameRecord
from .writer import PriorsWriter

__all__ = ["SCHEMA_VERSION", "FrameRecord", "PriorsError", "PriorsFile", "PriorsWriter"]
