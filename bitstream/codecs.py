"""The codecs that are looked into: their NAL units, their decoders, the frames that those give."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ._core import Decoder as H264Decoder
from ._core import Frame
from ._hevc import HevcDecoder, HevcFrame
from .annexb import H264_NALS, HEVC_NALS, NalSyntax

AnyFrame = Frame | HevcFrame


class Decoder(Protocol):
    """What the decoders of all codecs can do; see `_core.Decoder`."""

    def send(self, data: bytes, pts: int | None = None) -> None:
        """Decode one packet."""

    def flush(self) -> None:
        """End of stream: all frames become available."""

    def receive(self, *, skip: bool = False) -> AnyFrame | None:
        """Next frame in output order; None: it takes more input."""

    @property
    def warnings(self) -> dict[str, int]:
        """What was odd in the stream and decoded all the same: how often, by name."""


@dataclass(frozen=True)
class Codec:
    """One of them.

    Attributes:
        name: As FFmpeg and the schema have it.
        title: For people.
        nals: Its NAL units.
        suffixes: Of files that hold a bare stream.
        frame: Class of its frames.
        decoder: Opens a decoder: extradata, `units` (every packet is an access unit), `patient`,
            `headers`, `pixels`, `threads`, `lent` and what to record, as `_core.Decoder` has them.
    """

    name: str
    title: str
    nals: NalSyntax
    suffixes: frozenset[str]
    frame: type[AnyFrame]
    decoder: Callable[..., Decoder]


def _hevc_decoder(*, units: bool = False, threads: int = 1, **options: object) -> Decoder:
    """One of HEVC: slices say where pictures begin, and it has one thread."""
    return HevcDecoder(**options)  # type: ignore[arg-type]


H264 = Codec(
    "h264",
    "H.264",
    H264_NALS,
    frozenset({".264", ".h264", ".avc", ".jsv", ".26l", ".jvt", ".annexb"}),
    Frame,
    H264Decoder,
)
HEVC = Codec(
    "hevc",
    "HEVC",
    HEVC_NALS,
    frozenset({".265", ".h265", ".hevc", ".bit", ".bin"}),
    HevcFrame,
    _hevc_decoder,
)
CODECS = {codec.name: codec for codec in (H264, HEVC)}
TITLES = " or ".join(codec.title for codec in CODECS.values())
