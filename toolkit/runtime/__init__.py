"""The floor: what a board runs. Needs numpy, cv2 and the engine of the bundle; works as a folder on its own.

from toolkit.runtime import load
for person in load("orin/")(cv2.imread("street.jpg")):
    print(person.score, person.joints_mm)
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from .decoding.intrinsics import CameraModel
    from .estimator import PoseEstimator

# Decoding is many small matrix products: threads on them wait for each other and for the engine's, at ten times the cost. Holds where
# numpy is imported later than this; whoever sets the variable decides.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Loaded on first use: a host that wants the specification alone imports no cv2.
_HOMES = {
    "Bundle": "bundle", "read_bundle": "bundle", "PoseError": "errors", "PoseEstimator": "estimator", "PoseFrame": "pose", "PoseSpec": "pose",
    "Skeleton": "pose", "Tracker": "video.track", "draw_people": "video.draw", "open_source": "video.sources", "read_picture": "files.pictures",
}  # fmt: skip
__all__ = sorted([*_HOMES, "load"])


def load(folder: str, threads: Optional[int] = None, focal_px: Optional[float] = None, refine: bool = True,
         centre_threshold: Optional[float] = None, camera: Optional[CameraModel] = None) -> PoseEstimator:  # fmt: skip
    """Return an estimator for the bundle in a folder.

    Args:
        folder: what `posec export` wrote.
        threads: for the engine; None takes what the bundle says.
        focal_px: the camera's focal length in picture pixels; None assumes the specification's, with which depths
            of people are right relative to each other, not in metres.
        refine: fit poses to key points where the network tells of them; False is faster and less accurate.
        centre_threshold: 0..1, what a centre must exceed: higher finds fewer people and invents fewer; None takes the specification's.
        camera: in place of `focal_px`, see `decoding.intrinsics.field_of_view` and `decoding.camera_file.read_intrinsics`.

    Raises PoseError where the folder is no sound bundle, or its engine is missing or cannot open the model, or where
    the threshold is none.
    """
    from .bundle import read_bundle
    from .decoding.intrinsics import focal_length
    from .decoding.refine import REFINEMENT
    from .engines import open_engine
    from .estimator import PoseEstimator

    bundle = read_bundle(folder)
    bundle = replace(bundle, spec=bundle.spec.with_threshold(centre_threshold))
    return PoseEstimator(
        bundle.spec, bundle.frame, bundle.decoder(), open_engine(bundle, threads), bundle=bundle, refinement=REFINEMENT if refine else None,
        camera=camera if focal_px is None else focal_length(focal_px),
    )  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
