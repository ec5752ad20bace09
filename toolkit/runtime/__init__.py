"""The runtime of a board: numpy, cv2 and the engine of the bundle. The folder works on its own.

from toolkit.runtime import load
for person in load("orin/")(cv2.imread("street.jpg")):
    print(person.score, person.joints_mm)
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from .decoding.intrinsics import CameraModel
    from .estimator import PoseEstimator

# Loaded on first use: a host that wants the specification alone imports no cv2.
_HOMES = {
    "Bundle": "bundle",
    "PoseError": "errors",
    "PoseEstimator": "estimator",
    "PoseFrame": "pose",
    "PoseSpec": "pose",
    "PosecError": "errors",
    "Skeleton": "pose",
    "Tracker": "tracking.track",
    "draw_people": "video.draw",
    "OverTimeSettings": "tracking.choice",
    "open_source": "video.sources",
    "people_over_time": "tracking.choice",
    "read_bundle": "bundle",
    "read_picture": "files.pictures",
}
__all__ = sorted([*_HOMES, "load"])


def load(
    folder: str,
    threads: Optional[int] = None,
    focal_px: Optional[float] = None,
    *,
    refine: bool = True,
    centre_threshold: Optional[float] = None,
    camera: Optional[CameraModel] = None,
    key: Optional[str] = None,
) -> PoseEstimator:
    """Return an estimator for the bundle in a folder.

    Args:
        folder: that `posec export` wrote.
        threads: of the engine; None takes the bundle's.
        focal_px: focal length of the camera in picture pixels; None assumes the specification's. Depths of
            people are then right relative to each other, not in metres.
        refine: fit poses to key points if the network has key-point heads; False is faster and less accurate.
        centre_threshold: 0..1, the score that a centre must exceed. A higher one finds fewer people and has
            fewer false positives. None takes the specification's.
        camera: camera model in place of `focal_px`; see `decoding.intrinsics.field_of_view` and
            `decoding.camera_file.read_intrinsics`.
        key: PEM file of the public key that must verify the bundle's signature; None needs no signature.

    Raises PoseError if the folder is not a sound bundle, its engine is missing or cannot open the model, or
    `focal_px` or `centre_threshold` is out of range.
    """
    from .bundle import read_bundle
    from .decoding.bone_prior import REFINEMENT
    from .decoding.decode import DecodeOptions
    from .decoding.intrinsics import focal_length
    from .engines import open_engine
    from .estimator import PoseEstimator

    bundle = read_bundle(folder, key)
    bundle = replace(bundle, spec=bundle.spec.with_threshold(centre_threshold))
    return PoseEstimator(
        bundle.spec,
        bundle.frame,
        bundle.decoder(),
        engine=open_engine(bundle, threads),
        bundle=bundle,
        camera=camera if focal_px is None else focal_length(focal_px),
        options=DecodeOptions(refinement=REFINEMENT if refine else None),
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
