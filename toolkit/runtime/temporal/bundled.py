"""The temporal stage of a bundle."""

from __future__ import annotations

from typing import Dict, Optional

import numpy as np

from ..bundle import TEMPORAL, Bundle
from ..errors import PoseError
from ..files.arrays import read_arrays
from ..files.bundle_files import BundleError
from .stage import TemporalStage

LARGEST_BYTES = 16 * 2**20


def read_stage(bundle: Bundle) -> Dict[str, np.ndarray]:
    """Return the arrays of a bundle's temporal stage; none if it has no stage. Raises BundleError."""
    if TEMPORAL not in bundle.files:
        return {}
    try:
        return read_arrays(bundle.folder / TEMPORAL, LARGEST_BYTES)
    except ValueError as error:
        raise BundleError(f"bundle '{bundle.folder}': {error}; export again") from error


def open_stage(bundle: Bundle, lookahead: int = 0) -> Optional[TemporalStage]:
    """Return the temporal stage of a bundle, or None if it has none.

    Raises BundleError if its arrays do not fit the specification, and PoseError for another lookahead than
    those of `TemporalStage`.
    """
    arrays = read_stage(bundle)
    try:
        return TemporalStage(arrays, bundle.spec, lookahead) if arrays else None
    except PoseError:
        raise
    except ValueError as error:
        raise BundleError(f"bundle '{bundle.folder}': {error}; export again") from error
