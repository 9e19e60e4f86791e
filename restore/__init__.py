"""davd.restore: networks that repair decoded video, the exact projection, training, measuring."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .job.request import Outcome, ProgressListener

__all__ = ["restore"]


def restore(
    video: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: "ProgressListener | None" = None,
    **options: object,
) -> "Outcome":
    """Restore a video.

        >>> from davd.restore import restore  # doctest: +SKIP
        >>> done = restore("call.mp4", "better.mp4", strength=0.8, overwrite=True)
        >>> done.frames, done.notes

    Args:
        video: A video, or its priors file.
        output: The restored video; its suffix says which kind.
        progress: Told how far it is.
        **options: Fields of `davd.restore.job.Request`: `checkpoint`, `start`, `end`, `lossless`,
            `face_only`, `strength`, `reference`, `report`, `overwrite`, `resume` and so on.

    Returns:
        What was done.

    Raises:
        TypeError: An option that there is not.
        ValueError: The video, or what is asked for, cannot be used.
        OSError: A file cannot be read or written.
        DavdError: The video is damaged beyond use.
    """
    from pathlib import Path

    from .job import Request, run

    return run(Request(Path(video), Path(output), **options), progress)  # type: ignore[arg-type]
