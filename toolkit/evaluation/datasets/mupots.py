"""Read MuPoTS-3D (Mehta et al., 3DV 2018): TS1 … TS20, each with annot.mat and img_000000.jpg onwards.

annot.mat (MATLAB 5) holds `annotations`, a cell array (frames, people) of structures with annot2 (2, 17) in
pixels, annot3 and univ_annot3 (3, 17) in mm, and isValidFrame. People who are not valid in a frame are left
out, as in the owners' evaluation. The files hold no intrinsics; see `focal_length`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17
from .labelled import DataSet, LabelledFrame, data_set, focal_length, numbers_in, people_of
from .mat5 import read_mat5

PROTOCOL = "mupots-3d"
_JOINTS = len(MUPOTS17.names)
_PELVIS = MUPOTS17.index("pelvis")
ADVICE = "give the folder that holds TS1 to TS20"


def read_mupots(folder: str | Path, step: int = 1) -> DataSet:
    """Return every `step`-th frame of all sequences in a folder.

    Raises PosecError without sequences, and for annotations that contradict the layout.
    """
    frames = []
    for path in sorted(Path(folder).glob("TS*/annot.mat"), key=_number):
        annotations = read_mat5(path).get("annotations")
        if not isinstance(annotations, np.ndarray) or annotations.dtype != object or annotations.ndim != 2:
            raise PosecError(f"'{path}' has no cell array 'annotations' (frames, people); {ADVICE}")
        try:
            frames += _sequence(path.parent.name, annotations)[::step]
        except (KeyError, ValueError, TypeError) as error:
            raise PosecError(f"'{path}' is not an annotation of MuPoTS-3D: {error}; {ADVICE}") from error
    return data_set(PROTOCOL, folder, MUPOTS17, frames, ADVICE)


def _number(path: Path) -> tuple[int, str]:
    digits = path.parent.name[2:]
    return (int(digits) if digits.isdecimal() else 0, path.parent.name)


def _sequence(name: str, annotations: np.ndarray) -> list[LabelledFrame]:
    """Return the frames of a sequence that have a valid person."""
    found: list[tuple[int, list[int], np.ndarray, np.ndarray, np.ndarray]] = []
    for index, row in enumerate(annotations):
        valid = [person for person, entry in enumerate(row) if _is_valid(entry)]
        if valid:
            points = {
                field: np.stack(
                    [numbers_in(row[person][field], (size, _JOINTS), field).T for person in valid]
                )
                for field, size in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3))
            }
            found.append((index, valid, points["annot2"], points["annot3"], points["univ_annot3"]))
    if not found:
        return []
    focal_px = focal_length(
        np.concatenate([entry[3] for entry in found]), np.concatenate([entry[2] for entry in found])
    )
    return [
        LabelledFrame(
            f"{name}/img_{index:06d}.jpg",
            name,
            index,
            focal_px,
            people_of(joints_mm, joints_px, MUPOTS17),
            np.array(valid),
            universal_mm - universal_mm[:, _PELVIS : _PELVIS + 1],
        )
        for index, valid, joints_px, joints_mm, universal_mm in found
    ]


def _is_valid(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(np.any(entry["isValidFrame"]))
