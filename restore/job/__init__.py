"""Restoring one file: what is asked, faces and cuts, tiles, the network over the frames."""

from .job import run
from .request import Outcome, Request

__all__ = ["Outcome", "Request", "run"]
