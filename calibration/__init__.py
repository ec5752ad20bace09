"""Calibration: frames, and the value ranges of a float network's tensors on them.

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
    "OBSERVERS",
    "Comparison",
    "Finding",
    "Frames",
    "collect",
    "compare",
    "cover",
    "folder",
    "lint_frames",
    "lint_halves",
    "listing",
    "survey",
    "sweep",
    "video",
]
