"""Read the training set of MPI-INF-3DHP (Mehta et al., 3DV 2017): people in a studio with 14 cameras.

Each sequence, such as S1/Seq1, has annot.mat and imageSequence/video_0.avi onwards. annot2 and annot3 are
cell arrays with one matrix per camera: (frames, 56) in pixels, (frames, 84) in mm in the camera's frame.
Cameras without a video are left out. There are no intrinsics in annot.mat; see `focal_length`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ...errors import PosecError
from ..datasets.labelled import focal_length, numbers_in, people_of, skeleton_of
from ..datasets.mat5 import read_mat5
from .views import LabelledView, Recordings

ANNOTATIONS = "S*/Seq*/annot.mat"
ADVICE = "give the folder of the training set, which holds S1/Seq1 onwards"
_JOINTS = (
    *("spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top"),
    *(f"left_{name}" for name in ("clavicle", "shoulder", "elbow", "wrist", "hand")),
    *(f"right_{name}" for name in ("clavicle", "shoulder", "elbow", "wrist", "hand")),
    *(f"left_{name}" for name in ("hip", "knee", "ankle", "foot", "toe")),
    *(f"right_{name}" for name in ("hip", "knee", "ankle", "foot", "toe")),
)
_PARENTS = {
    "pelvis": "",
    "spine": "pelvis",
    "neck": "spine",
    "head": "neck",
    "head_top": "neck",
    **{
        f"{side}_{name}": parent.format(side=side)
        for side in ("left", "right")
        for name, parent in (
            ("shoulder", "neck"),
            ("elbow", "{side}_shoulder"),
            ("wrist", "{side}_elbow"),
            ("hip", "pelvis"),
            ("knee", "{side}_hip"),
            ("ankle", "{side}_knee"),
        )
    },
}
SKELETON = skeleton_of(_PARENTS)
_ORDER = [_JOINTS.index(name) for name in SKELETON.names]


def read_mpi_inf_3dhp_train(folder: str | Path, step: int = 1) -> Recordings:
    """Return every `step`-th frame of all cameras of all sequences in a folder.

    Raises PosecError without sequences, and for annotations that contradict the layout.
    """
    views: list[LabelledView] = []
    for path in sorted(Path(folder).glob(ANNOTATIONS)):
        try:
            views += _sequence(path, step)
        except (KeyError, ValueError, TypeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise PosecError(f"'{path}' is not an annotation of MPI-INF-3DHP: {reason}; {ADVICE}") from error
    if not views:
        raise PosecError(f"no videos of MPI-INF-3DHP in '{folder}'; {ADVICE}")
    return Recordings(tuple(views), SKELETON)


def _sequence(path: Path, step: int) -> Iterator[LabelledView]:
    content = read_mat5(path)
    pixels, places = (np.ravel(content[name]) for name in ("annot2", "annot3"))
    if len(pixels) != len(places):
        raise ValueError(f"annot2 has {len(pixels)} cameras and annot3 {len(places)}")
    for camera, (flat_px, flat_mm) in enumerate(zip(pixels, places)):
        file = path.parent / "imageSequence" / f"video_{camera}.avi"
        if not file.is_file():
            continue
        count = len(flat_mm)
        joints_px, joints_mm = (
            numbers_in(flat, (count, size * len(_JOINTS)), name).reshape(count, -1, size)[::step, _ORDER]
            for flat, size, name in ((flat_px, 2, "annot2"), (flat_mm, 3, "annot3"))
        )
        focal_px, video = focal_length(joints_mm, joints_px), _Video(file)
        for index in range(len(joints_mm)):
            yield LabelledView(
                f"{path.parent.parent.name}/{path.parent.name}",
                f"video_{camera}",
                index,
                focal_px,
                people_of(joints_mm[index : index + 1], joints_px[index : index + 1], SKELETON),
                np.ones(1),
                lambda video=video, frame=index * step: video.frame(frame),  # type: ignore[misc]
            )


class _Video:
    """The frames of a video file, read forwards."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0
        self._capture: cv2.VideoCapture | None = None

    def frame(self, number: int) -> np.ndarray:
        """Return a frame (H, W, 3) uint8 BGR. Raises PosecError where the video is too short or damaged."""
        if self._capture is None or number < self._next:
            self._capture, self._next = cv2.VideoCapture(str(self._path)), 0
        while self._next < number and self._capture.grab():
            self._next += 1
        done, picture = self._capture.read()
        if not done or self._next != number:
            raise PosecError(f"'{self._path}' has no frame {number} that its labels have; copy it again")
        self._next += 1
        return picture
