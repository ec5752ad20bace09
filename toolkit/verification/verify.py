"""Drift of a compiled network from its float network, in pose units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
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
from ..runtime.pose import PoseFrame, PoseSpec, Skeleton

if TYPE_CHECKING:
    from ..ir.graph import Graph
    from ..runtime.estimator import Detection
    from .float_reference import FloatReference

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
    count, bundle = len(frames) if isinstance(frames, Sized) else 0, _of_network(bundle, graph.spec)
    detections = _detections(graph, frames, threads)
    report = None if progress is None else lambda done: progress(done, count)
    found = _find(bundle, graph.spec, detections, threads=threads, progress=report, pictures=pictures)
    return _drift(found, graph.spec.skeleton, drift_limits(bundle, allowed))


def verify_against(
    bundle: Bundle | str | Path,
    reference: FloatReference,
    *,
    threads: int | None = None,
    allowed: Mapping[str, float] | None = None,
    pictures: ComparedPictures | None = None,
) -> Drift:
    """Compare as `verify` does, with the float network's detections on the pictures of a reference."""
    spec = reference.graph.spec
    bundle = _of_network(bundle, spec)
    found = _find(bundle, spec, reference.compared(), threads=threads, pictures=pictures)
    return _drift(found, spec.skeleton, drift_limits(bundle, allowed))


class FloatDetection(NamedTuple):
    """A picture (H, W, 3) uint8 BGR, the float network's detection, its people on the `perturbed` one."""

    picture: np.ndarray
    detection: Detection
    changed: PoseFrame


def _detections(graph: Graph, frames: Iterable[np.ndarray], threads: int | None) -> Iterator[FloatDetection]:
    from ..ir.float_engine import float_estimator

    floating = float_estimator(graph, threads)
    for picture in frames:
        yield FloatDetection(picture, floating.detect(picture), floating(perturbed(picture)))


def _of_network(bundle: Bundle | str | Path, spec: PoseSpec) -> Bundle:
    """Return the bundle. Raises PosecError where it was built from a network of another specification."""
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    skeleton, own = spec.skeleton, bundle.spec.skeleton
    if replace(bundle.spec, skeleton=skeleton) != spec or sorted(skeleton.names) != sorted(own.names):
        raise PosecError(
            f"bundle '{bundle.folder}' was built from network '{bundle.spec.name}' of another specification "
            f"than graph '{spec.name}'; trace the checkpoint that it was exported from"
        )
    return bundle


def _find(
    bundle: Bundle,
    spec: PoseSpec,
    detections: Iterable[FloatDetection],
    *,
    threads: int | None,
    progress: Callable[[int], None] | None = None,
    pictures: ComparedPictures | None = None,
) -> _Found:
    """Run a bundle on pictures with the detections of its float network."""
    from ..evaluation.joints import in_joints

    skeleton, own = spec.skeleton, bundle.spec.skeleton
    compiled, found = load(str(bundle.folder), threads), _Found([], [], [], {})
    found.replaced.update({name: [] for name in spec.head_names})

    def named(people: PoseFrame) -> PoseFrame:
        return in_joints(people, own, skeleton.names, root=skeleton.names[skeleton.root])

    for picture, floating, changed in detections:
        found.truth.append(floating.people)
        found.changed.append(changed)
        detection = compiled.detect(picture)
        found.compiled.append(named(detection.people))
        for name, people in found.replaced.items():
            heads = {**detection.heads, name: floating.heads[name]}
            people.append(named(compiled.decode(heads, detection.letterbox)))
        if pictures is not None:
            pictures.add(Compared(picture, floating.people, found.compiled[-1]))
        if progress:
            progress(len(found.truth))
    if not found.truth:
        raise PosecError("no frames to verify on; give frames with people in them")
    return found


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
