"""A frame before and after: what restoring hands to writers, measures and the report."""

import dataclasses

import numpy as np

from ..data.sample import Sample


@dataclasses.dataclass(frozen=True)
class RestoredFrame:
    """A frame before and after.

    Attributes:
        index: Display index in the priors file.
        decoded: Planes of the coded picture as the decoder made them, uint8 or uint16 `[Hp, Wp]`;
            one plane for 4:0:0.
        restored: Likewise, after network, projection and rounding.
        sample: What the network was given of this frame, `[1, 1, ...]`.
    """

    index: int
    decoded: tuple[np.ndarray, ...]
    restored: tuple[np.ndarray, ...]
    sample: Sample
