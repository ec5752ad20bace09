"""Data sets of the field as their owners ship them, and the protocols that their papers use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .labelled import DataSet
from .mpi_inf_3dhp import read_mpi_inf_3dhp
from .mupots import read_mupots
from .panoptic import read_panoptic
from .threedpw import read_3dpw

# Readers of (folder, step) by the option of `posec evaluate`.
LAYOUTS: Mapping[str, Callable[[str | Path, int], DataSet]] = {
    "mupots": read_mupots,
    "mpi-inf-3dhp": read_mpi_inf_3dhp,
    "panoptic": read_panoptic,
    "3dpw": read_3dpw,
}
