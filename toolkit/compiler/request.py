"""ExportRequest: the settings of one export."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ir.ranges import Ranges


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The settings of one export.

    Attributes:
        out: folder to write.
        precision: "float32", "float16" or "int8", if the target has it.
        ranges: of `calibration.collect`; required for int8.
        golden: BGR pictures (H, W, 3) uint8 to ship with the people found on them; None takes shipped scenes.
        keep_float: names or patterns of layers that int8 leaves float, beside those of the scheme.
        skip_passes: names of passes to leave out, for debugging; the bundle's history records them.
        overwrite: replace an existing bundle.
        threads: of the networks that run during the export; None takes all processors.
    """

    out: str | Path = ""
    precision: str = "float32"
    ranges: Ranges | None = None
    golden: Sequence[np.ndarray] | None = None
    keep_float: Collection[str] = ()
    skip_passes: Collection[str] = ()
    overwrite: bool = False
    threads: int | None = None
