"""Read recordings by several cameras, whatever the layout of their folder."""

from __future__ import annotations

from pathlib import Path

from ...errors import PosecError
from ..clips.clip_file import read_labelled_clips
from .mpi_inf_3dhp_train import ANNOTATIONS, read_mpi_inf_3dhp_train
from .views import Recordings, recordings_of


def read_recordings(folder: str | Path, step: int = 1) -> Recordings:
    """Return every `step`-th frame of the training set of MPI-INF-3DHP, or of rendered clips.

    Raises PosecError for other folders.
    """
    if step < 1:
        raise PosecError(f"--step takes a number from 1, got {step}")
    if any(Path(folder).glob(ANNOTATIONS)):
        return read_mpi_inf_3dhp_train(folder, step)
    return recordings_of(read_labelled_clips(folder), step)
