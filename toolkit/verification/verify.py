"""Drift of a compiled network in pose units: `verify` needs the float network, `verify_golden` does not.

Valid Python 3.8: a board runs `verify_golden`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..device.drift import LIMITS, Drift, DriftSummary, measure_drift
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
    return drift(found, _limits(bundle, allowed), blame)


def verify_golden(
    bundle: Bundle | str | Path, threads: int | None = None, allowed: Mapping[str, float] | None = None
) -> Drift:
    """Compare the people of a bundle on its golden pictures with those of the float network.

    Needs neither the checkpoint nor the host's libraries. There is no `blame`: the bundle has no float heads.
    Raises PosecError where the bundle has no golden pictures, or there are no people in them.
    """
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    golden = bundle.golden()
    if not golden:
        raise PosecError(
            f"bundle '{bundle.folder}' carries no golden pictures; export it with some, "
            "or verify it on frames of your own"
        )
    if not any(len(people) for _, people in golden):
        raise PosecError(
            f"no people to compare: the float network found none on the {len(golden)} golden pictures of '{bundle.folder}'; "
            "export again with --golden and pictures of your camera"
        )
    compiled = load(str(bundle.folder), threads)
    found = [compiled(picture) for picture, _ in golden]
    return measure_drift(
        found, [people for _, people in golden], bundle.spec.skeleton, allowed=_limits(bundle, allowed)
    )


def _limits(bundle: Bundle, allowed: Mapping[str, float] | None) -> Mapping[str, float]:
    limits = bundle.allowed if allowed is None else allowed
    missing = [name for name in LIMITS if name not in limits]
    if missing:
        raise PosecError(
            f"the allowance of bundle '{bundle.folder}' lacks {', '.join(missing)}; "
            f"it needs {', '.join(LIMITS)}"
        )
    return limits
