"""FloatReference: heads and people of the float network, to compare lowered graphs with in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..device.drift import NO_LIMITS, Drift, measure_drift
from ..errors import PosecError
from ..ir.float_engine import float_estimator
from ..ir.graph import Graph
from ..runtime.estimator import PoseEstimator
from ..runtime.pose import PoseFrame
from ..runtime.preprocess import Letterbox

Heads = Mapping[str, np.ndarray]


class FloatReference:
    """The float network's heads and people on some pictures, and the drift of other graphs from them."""

    def __init__(
        self, graph: Graph, frames: Iterable[np.ndarray], allowed: Mapping[str, float] = NO_LIMITS
    ) -> None:
        """Run a graph over BGR pictures (H, W, 3) uint8 and keep them. Raises PosecError without pictures."""
        self._pictures = list(frames)
        if not self._pictures:
            raise PosecError("no frames to measure drift on; give frames with people in them")
        self._float, self._allowed = float_estimator(graph), allowed
        self._heads = [self._of(self._float, picture) for picture in self._pictures]
        self._people = [self._decode(heads, box) for heads, box in self._heads]

    def heads(self, graph: Graph) -> list[Heads]:
        """Return a graph's heads on every picture."""
        estimator = float_estimator(graph)
        return [self._of(estimator, picture)[0] for picture in self._pictures]

    def drift(self, heads: list[Heads], *, float_head: str = "") -> Drift:
        """Return the drift of people decoded from heads, with `float_head` taken from the float network.

        Raises PosecError where the float network finds no people on any frame.
        """
        people = []
        for mine, (float_heads, box) in zip(heads, self._heads, strict=True):
            replaced = {float_head: float_heads[float_head]} if float_head else {}
            people.append(self._decode({**mine, **replaced}, box))
        return measure_drift(people, self._people, self._float.spec.skeleton, allowed=self._allowed)

    def _decode(self, heads: Heads, box: Letterbox) -> PoseFrame:
        return self._float.decode(heads, box)

    @staticmethod
    def _of(estimator: PoseEstimator, picture: np.ndarray) -> tuple[Heads, Letterbox]:
        heads, box = estimator.infer(picture)
        return {name: array.copy() for name, array in heads.items()}, box
