"""Drift of a compiled network from its float network, in pose units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..device.drift import Drift, DriftSummary, measure_drift
from ..device.golden_check import drift_limits
from ..errors import PosecError
from ..runtime import load
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.pose import PoseFrame

if TYPE_CHECKING:
    from ..ir.graph import Graph

    Progress = Callable[[int, int], None]

NO_LIMITS = {"drift_mm": float("inf"), "people_lost": float("inf"), "people_invented": float("inf")}


def verify(
    bundle: Bundle | str | Path,
    graph: Graph,
    frames: Iterable[np.ndarray],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    allowed: Mapping[str, float] | None = None,
) -> Drift:
    """Compare the people of a bundle with those of its float network, and find the head that drifts most.

    Args:
        bundle: the bundle or its folder; it runs in its own engine, from picture to people.
        graph: the network that it was built from; runs in float32 in ONNX Runtime with the same preprocessing
            and decoding. Its joints may have another order: they are compared by name.
        frames: BGR pictures (H, W, 3) uint8.
        threads: of both engines.
        progress: called with (pictures done, pictures in all; 0 where that is not known).
        allowed: limits; None takes the bundle's.

    Returns:
        A Drift, true within all limits. For its `blame`, each head of the compiled network in turn is
        replaced by the float one before decoding.

    Raises PosecError where the float network finds no people on all frames: drift is not defined.
    """
    from ..evaluation.joints import in_joints
    from ..ir.float_engine import float_estimator

    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    skeleton, own = graph.spec.skeleton, bundle.spec.skeleton
    if replace(bundle.spec, skeleton=skeleton) != graph.spec or sorted(skeleton.names) != sorted(own.names):
        raise PosecError(
            f"bundle '{bundle.folder}' was built from network '{bundle.spec.name}' of another "
            "specification than graph "
            f"'{graph.spec.name}'; trace the checkpoint that it was exported from"
        )
    floating, compiled = float_estimator(graph, threads), load(str(bundle.folder), threads)
    count = len(frames) if isinstance(frames, Sized) else 0
    truth: list[PoseFrame] = []
    found: list[PoseFrame] = []
    replaced: dict[str, list[PoseFrame]] = {name: [] for name in graph.spec.head_names}
    for picture in frames:
        float_heads, letterbox = floating.infer(picture)
        truth.append(floating.decode(float_heads, letterbox))
        heads, _ = compiled.infer(picture)
        found.append(compiled.decode(heads, letterbox))
        for name, people in replaced.items():
            people.append(compiled.decode({**heads, name: float_heads[name]}, letterbox))
        if progress:
            progress(len(truth), count)
    if not truth:
        raise PosecError("no frames to verify on; give frames with people in them")

    def drift(
        frames: list[PoseFrame], limits: Mapping[str, float], blame: Mapping[str, DriftSummary] | None = None
    ) -> Drift:
        named = [
            in_joints(people, own, skeleton.names, root=skeleton.names[skeleton.root]) for people in frames
        ]
        return measure_drift(named, truth, skeleton, allowed=limits, blame=blame)

    remains = {name: drift(people, NO_LIMITS) for name, people in replaced.items()}
    blame = {
        name: DriftSummary(rest.drift_mm, rest.people_lost, rest.people_invented)
        for name, rest in remains.items()
    }
    return drift(found, drift_limits(bundle, allowed), blame)
