"""Int8 without a back end: the quantized graph in ONNX Runtime, and how its people differ from the float network's."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ..compiler.checks import check_ranges
from ..device.drift import Drift, measure_drift
from ..errors import PosecError
from ..ir.float_engine import float_estimator
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Scheme
from ..passes.quantize.bias_correction import correct_biases
from ..passes.quantize.insert_qdq import insert_qdq
from ..runtime.estimator import PoseEstimator
from ..runtime.pose import PoseFrame
from ..runtime.preprocess import Letterbox

Heads = Mapping[str, np.ndarray]
NO_LIMITS = {"drift_mm": math.inf, "people_lost": math.inf, "people_invented": math.inf}


def quantized(prepared: Graph, ranges: Ranges, scheme: Scheme, keep_float: Collection[str] = ()) -> Graph:
    """Return a prepared graph in a scheme's integers, its biases corrected, without a back end's own passes.

    Raises PosecError where the ranges belong to another graph.
    """
    check_ranges(ranges, prepared)
    integer = prepared.copy()
    correct_biases(integer, ranges.means, scheme, keep_float)
    insert_qdq(integer, ranges.tensors, scheme, keep_float)
    return integer


class Judge:
    """The float network's heads and people on some pictures, to judge its quantized twins by."""

    def __init__(
        self, graph: Graph, frames: Iterable[np.ndarray], allowed: Mapping[str, float] = NO_LIMITS
    ) -> None:
        """Run a prepared graph over BGR pictures (H, W, 3) uint8, which are kept. Raises PosecError where there are none."""
        self._pictures = list(frames)
        if not self._pictures:
            raise PosecError("no frames to judge on; give frames with people in them")
        self._float, self._allowed = float_estimator(graph), allowed
        self._heads = [self._of(self._float, picture) for picture in self._pictures]
        self._people = [self._decode(heads, box) for heads, box in self._heads]

    def heads(self, graph: Graph) -> list[Heads]:
        """Return a network's heads on every picture."""
        estimator = float_estimator(graph)
        return [self._of(estimator, picture)[0] for picture in self._pictures]

    def drift(self, heads: list[Heads], mended: str = "") -> Drift:
        """Return the drift of the people that heads describe, the `mended` head taken from the float network.

        Raises PosecError where the float network finds nobody on all frames.
        """
        people = [self._decode({**mine, mended: float_heads[mended]} if mended else mine, box)
                  for mine, (float_heads, box) in zip(heads, self._heads, strict=True)]  # fmt: skip
        return measure_drift(people, self._people, self._float.spec.skeleton, allowed=self._allowed)

    def _decode(self, heads: Heads, box: Letterbox) -> PoseFrame:
        return self._float.decode(heads, box)

    @staticmethod
    def _of(estimator: PoseEstimator, picture: np.ndarray) -> tuple[Heads, Letterbox]:
        heads, box = estimator.infer(picture)
        return {name: array.copy() for name, array in heads.items()}, box
