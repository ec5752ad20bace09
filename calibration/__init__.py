"""Calibration: the frames that a float network is observed on, and the ranges that its tensors take there.

frames = calibration.folder("photos/", graph.spec, count=256)
ranges = calibration.collect(graph, frames)
"""

from .collect import collect, sweep
from .frames import Frames, folder, listing, video
from .observers import OBSERVERS

__all__ = ["OBSERVERS", "Frames", "collect", "folder", "listing", "sweep", "video"]
