"""Read the test set of MPI-INF-3DHP (Mehta et al., 3DV 2017): TS1 … TS6.

Each sequence has annot_data.mat (MATLAB 7.3) and imageSequence/img_000001.jpg onwards. As h5py reads them,
annot2 is (frames, 1, 17, 2) in pixels, annot3 and univ_annot3 are (frames, 1, 17, 3) in mm, and valid_frame
is (frames, 1). Frames that are not valid are left out. There are no intrinsics; see `focal_length`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17
from .labelled import DataSet, LabelledFrame, data_set, focal_length, numbers_in, people_of
from .mat73 import read_mat73

PROTOCOL = "mpi-inf-3dhp"
_JOINTS = len(MUPOTS17.names)
_PELVIS = MUPOTS17.index("pelvis")
ADVICE = "give the folder of the test set, which holds TS1 to TS6"


def read_mpi_inf_3dhp(folder: str | Path, step: int = 1) -> DataSet:
    """Return every `step`-th valid frame of all sequences in a folder.

    Raises PosecError without sequences, and for annotations that contradict the layout.
    """
    frames = []
    for path in sorted(Path(folder).glob("TS*/annot_data.mat")):
        arrays = read_mat73(path, ("annot2", "annot3", "univ_annot3", "valid_frame"))
        try:
            frames += _sequence(path.parent.name, arrays)[::step]
        except ValueError as error:
            raise PosecError(f"'{path}' is not an annotation of MPI-INF-3DHP: {error}; {ADVICE}") from error
    return data_set(PROTOCOL, folder, MUPOTS17, frames, ADVICE)


def _sequence(name: str, arrays: dict[str, np.ndarray]) -> list[LabelledFrame]:
    count = arrays["valid_frame"].size
    valid = np.flatnonzero(arrays["valid_frame"].ravel())
    joints_px, joints_mm, universal_mm = (
        numbers_in(arrays[field], (count, 1, _JOINTS, size), field)[valid]
        for field, size in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3))
    )
    if not len(valid):
        return []
    universal_mm = universal_mm - universal_mm[:, :, _PELVIS : _PELVIS + 1]
    focal_px = focal_length(joints_mm, joints_px)
    return [
        LabelledFrame(
            f"{name}/imageSequence/img_{frame + 1:06d}.jpg",
            name,
            int(frame),
            focal_px,
            people_of(joints_mm[row], joints_px[row], MUPOTS17),
            np.zeros(1, int),
            universal_mm[row],
        )
        for row, frame in enumerate(valid)
    ]
