"""FloatReference: detections of the float network on some pictures, to measure the drift of other graphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np

from ..device.comparison.unsteadiness import perturbed
from ..device.drift import NO_LIMITS, Drift, measure_drift
from ..errors import PosecError
from ..ir.float_engine import float_estimator
from ..ir.graph import Graph
from ..runtime.estimator import Detection
from ..runtime.pose import PoseFrame
from .verify import FloatDetection

Heads = Mapping[str, np.ndarray]


class FloatReference:
    """Pictures, and the float network's detections on them, which are made once.

    Attributes:
        graph: the float network.
        pictures: BGR (H, W, 3) uint8.
    """

    def __init__(self, graph: Graph, frames: Iterable[np.ndarray], threads: int | None = None) -> None:
        """Keep BGR pictures (H, W, 3) uint8 for the network, which runs with `threads`.

        Raises PosecError without pictures.
        """
        self.graph, self.pictures = graph, list(frames)
        if not self.pictures:
            raise PosecError("no frames to measure drift on; give frames with people in them")
        self._estimator = float_estimator(graph, threads)

    @cached_property
    def detections(self) -> list[Detection]:
        """The float network's people and heads, picture by picture."""
        return [self._estimator.detect(picture) for picture in self.pictures]

    @cached_property
    def _changed(self) -> list[PoseFrame]:
        return [self._estimator(perturbed(picture)) for picture in self.pictures]

    def compared(self) -> Iterator[FloatDetection]:
        """Yield what `verify` compares with, picture by picture."""
        for index, picture in enumerate(self.pictures):
            yield FloatDetection(picture, self.detections[index], self._changed[index])

    def crowded(self, count: int) -> FloatReference:
        """Return the `count` pictures with most people, with their detections."""
        order = sorted(range(len(self.pictures)), key=lambda index: -len(self.detections[index].people))
        part = FloatReference(self.graph, [self.pictures[index] for index in order[:count]])
        part.detections = [self.detections[index] for index in order[:count]]
        return part

    def heads(self, graph: Graph) -> list[Heads]:
        """Return a graph's heads on every picture."""
        estimator = float_estimator(graph)
        return [estimator.heads(picture) for picture in self.pictures]

    def drift(self, heads: list[Heads], *, float_head: str = "") -> Drift:
        """Return the drift of people decoded from heads, with `float_head` taken from the float network.

        Raises PosecError where the float network finds no people on any frame.
        """
        people = []
        for mine, detection in zip(heads, self.detections, strict=True):
            replaced = {float_head: detection.heads[float_head]} if float_head else {}
            people.append(self._estimator.decode({**mine, **replaced}, detection.letterbox))
        truth = [detection.people for detection in self.detections]
        return measure_drift(people, truth, self.graph.spec.skeleton, allowed=NO_LIMITS)
