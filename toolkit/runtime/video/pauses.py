"""Growing pauses between attempts of something that failed."""

from __future__ import annotations

import time

from ..console import Report

FIRST_PAUSE_S, MOST_ATTEMPTS = 0.5, 5


class Pauses:
    """Pauses that double with every failure in a row, up to a number of failures."""

    def __init__(self, first_s: float = FIRST_PAUSE_S, most: int = MOST_ATTEMPTS) -> None:
        self._first_s, self._most, self._failures = first_s, most, 0

    def wait(self, cause: str, report: Report) -> bool:
        """Report a failure and pause; return False without a pause after too many in a row."""
        self._failures += 1
        if self._failures > self._most:
            return False
        pause_s = self._first_s * 2 ** (self._failures - 1)
        report(f"{cause}; trying again in {pause_s:g} s, attempt {self._failures} of {self._most}")
        time.sleep(pause_s)
        return True

    def reset(self) -> None:
        """Forget earlier failures."""
        self._failures = 0
