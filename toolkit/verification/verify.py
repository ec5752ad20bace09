"""Drift of a compiled network from its float network, in pose units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..device.comparison.compared_pictures import Compared, ComparedPictures
from ..device.comparison.drift_parts import DriftSummary
from ..device.comparison.unsteadiness import measure_unsteadiness, perturbed
from ..device.drift import NO_LIMITS, Drift, measure_drift
from ..device.golden_check import drift_limits
from ..errors import PosecError
from ..runtime import load
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.pose import PoseFrame, Skeleton

if TYPE_CHECKING:
    from ..ir.graph import Graph

    Progress = Callable[[int, int], None]


def verify(
    bundle: Bundle | str | Path,
    graph: Graph,
    frames: Iterable[np.ndarray],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    allowed: Mapping[str, float] | None = None,
    pictures: ComparedPictures | None = None,
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
        pictures: takes the compared pictures.

    Returns:
        A Drift, true within all limits, beside the float network's own unsteadiness on the same frames. For
        its `blame`, each head of the compiled network in turn is replaced by the float one before decoding.

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
    found = _Found([], [], [], {name: [] for name in graph.spec.head_names})

    def named(people: PoseFrame) -> PoseFrame:
        return in_joints(people, own, skeleton.names, root=skeleton.names[skeleton.root])

    for picture in frames:
        float_heads, letterbox = floating.infer(picture)
        found.truth.append(floating.decode(float_heads, letterbox))
        heads, _ = compiled.infer(picture)
        found.compiled.append(named(compiled.decode(heads, letterbox)))
        for name, people in found.replaced.items():
            people.append(named(compiled.decode({**heads, name: float_heads[name]}, letterbox)))
        found.changed.append(floating(perturbed(picture)))
        if pictures is not None:
            pictures.add(Compared(picture, found.truth[-1], found.compiled[-1]))
        if progress:
            progress(len(found.truth), count)
    if not found.truth:
        raise PosecError("no frames to verify on; give frames with people in them")
    return _drift(found, skeleton, drift_limits(bundle, allowed))


class _Found(NamedTuple):
    """People picture by picture, in the joints of the float network.

    `changed` are those of the float network on slightly changed pictures, `replaced` those of the compiled
    one with a head of the float network.
    """

    truth: list[PoseFrame]
    compiled: list[PoseFrame]
    changed: list[PoseFrame]
    replaced: dict[str, list[PoseFrame]]


def _drift(found: _Found, skeleton: Skeleton, limits: Mapping[str, float]) -> Drift:
    """Return the drift, its blame, and the unsteadiness."""
    blame = {}
    for name, people in found.replaced.items():
        rest = measure_drift(people, found.truth, skeleton, allowed=NO_LIMITS)
        blame[name] = DriftSummary(rest.drift_mm, rest.people_lost, rest.people_invented)
    drift = measure_drift(found.compiled, found.truth, skeleton, allowed=limits, blame=blame)
    return replace(drift, unsteadiness=measure_unsteadiness(found.changed, found.truth, skeleton))
