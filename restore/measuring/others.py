"""The output files of any other tool, measured as networks are.

FOLDER/crf42/CLIP.mkv, or FOLDER/CLIP.mkv: the restored video of a clip of the work folder, of its
size and frame for frame; any container and codec that FFmpeg reads, best a lossless one
"""

from pathlib import Path

import torch

from ...bitstream.pictures import PicturesVideo
from ...data.dataset import Segment
from ...data.sample import Planes
from ..networks.picture import normal


class OtherOutput:
    """Pictures that another tool has made of a clip.

    Args:
        folder: Of its files.
        segment: The clip.
    """

    def __init__(self, folder: Path, segment: Segment) -> None:
        """Find and open the clip's file.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is of another size, depth or length.
        """
        name = segment.reader.name
        places = [folder / f"crf{segment.crf}" / name, folder / name]
        found = [path for place in places for path in sorted(place.parent.glob(f"{place.name}.*"))]
        if not found:
            raise FileNotFoundError(f"{places[0]}.*: no such file, nor {places[1]}.*")
        self._video = PicturesVideo(found[0])
        size, count = self._video.coded_size, len(self._video)
        if size != segment.reader.size or count != len(segment.reader):
            high, wide = segment.reader.size
            raise ValueError(
                f"{found[0]} has {count} frames of {size[1]}x{size[0]}, the clip "
                f"{len(segment.reader)} of {wide}x{high}"
            )

    def planes(self, index: int) -> Planes:
        """A frame, `[1, 1, H, W]` in [0, 1]."""
        depth = int(self._video.attrs["bit_depth_luma"])
        planes = (self._video.read(f"decoded/{name}", [index]) for name in ("y", "cb", "cr"))
        codes = Planes(*(torch.from_numpy(plane.astype("int32"))[None] for plane in planes))
        return normal(codes, (depth, depth))
