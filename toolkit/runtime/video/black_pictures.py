"""Report a camera that sends black pictures, as behind a closed lens cap."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..console import Report

# A picture is black if no sampled value exceeds this.
BLACKEST = 16
BLACK_AFTER_S = 10.0
_SAMPLED_EVERY = 16  # rows and columns


class BlackPictures:
    """Reports once that a camera's pictures are black, and once that they no longer are."""

    def __init__(self, name: str, report: Report) -> None:
        self._name, self._report = name, report
        self._since: Optional[float] = None
        self._is_reported = False

    def check(self, picture: np.ndarray, came: float) -> None:
        """Check a picture (H, W, 3) uint8 that came at a time in s."""
        if picture.size and picture[::_SAMPLED_EVERY, ::_SAMPLED_EVERY].max() > BLACKEST:
            if self._is_reported and self._since is not None:
                self._report(f"{self._name} no longer sends black pictures, after {came - self._since:.0f} s")
            self._since, self._is_reported = None, False
            return
        self._since = came if self._since is None else self._since
        if not self._is_reported and came - self._since >= BLACK_AFTER_S:
            self._is_reported = True
            self._report(
                f"{self._name} has sent black pictures for {came - self._since:.0f} s; "
                "check the lens cap, the light and the exposure"
            )
