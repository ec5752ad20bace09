"""Calibration: the frames that a float network is observed on, and the ranges that its tensors take there.

frames = calibration.folder("photos/", graph.spec, count=256)
ranges = calibration.collect(graph, frames)
"""

from .collect import collect, sweep
from .compare import Comparison, compare
from .coverage import cover
from .frames import Frames, folder, listing, video
from .lint import Finding, lint_frames, lint_halves
from .observers import OBSERVERS
from .survey import survey

__all__ = [
    "OBSERVERS", "Comparison", "Finding", "Frames", "collect", "compare", "cover",
    "folder", "lint_frames", "lint_halves", "listing", "survey", "sweep", "video",
]  # fmt: skip
