"""The priors file: what stands in it (schema), frames as records, writing, reading, counting."""

from .reader import PriorsError, PriorsFile
from .record import FrameRecord
from .schema import SCHEMA_VERSION
from .writer import PriorsWriter

__all__ = ["SCHEMA_VERSION", "FrameRecord", "PriorsError", "PriorsFile", "PriorsWriter"]
