"""Recorded heads instead of a network, for tests and for the runtime without an engine."""

from __future__ import annotations

from typing import Dict, Optional

import numpy as np

from ..bundle import Bundle
from ..files.arrays import read_arrays
from . import EngineError


class Engine:
    """Plays an .npz file with one array per head: (C, h, w) for every call, or (T, C, h, w) in a loop."""

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int] = None) -> None:
        """Read the file. Raises EngineError where heads are missing or differ in length."""
        try:
            recorded = read_arrays(path)
        except ValueError as error:
            raise EngineError(str(error)) from error
        names = bundle.spec.head_names
        if sorted(recorded) != sorted(names) or any(
            values.ndim not in (3, 4) or not values.size for values in recorded.values()
        ):
            raise EngineError(
                f"recorded heads must be {', '.join(names)}, each (C, h, w) or (T, C, h, w); "
                f"got {', '.join(recorded)}"
            )
        self._heads = {
            name: values.astype(np.float32).reshape(-1, *values.shape[-3:])
            for name, values in recorded.items()
        }
        lengths = {len(values) for values in self._heads.values()}
        if len(lengths) != 1:
            raise EngineError(f"recorded heads must have one length, got {sorted(lengths)}")
        self._length, self._next = lengths.pop(), 0

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return the next recorded heads; the batch is ignored."""
        now = self._next
        self._next = (now + 1) % self._length
        return {name: values[now] for name, values in self._heads.items()}

    def describe(self) -> Dict[str, str]:
        """Return the engine's name and the number of frames."""
        return {"engine": "replay", "frames": str(self._length)}
