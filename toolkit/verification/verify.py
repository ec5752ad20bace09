"""Float against compiled, in pose units: `verify` where the float network is at hand, `verify_golden` anywhere.

Valid Python 3.8: a board runs `verify_golden`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..device.drift import LIMITS, Drift, DriftSummary, measure_drift
from ..errors import PosecError
from ..runtime import load
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.decoding.decode import decode_heads
from ..runtime.pose import PoseFrame

if TYPE_CHECKING:
    from ..ir.graph import Graph

    Progress = Callable[[int, int], None]

ALL_MAY_GO = {"drift_mm": float("inf"), "people_lost": float("inf"), "people_invented": float("inf")}


def verify(
    bundle: Bundle | str | Path, graph: Graph, frames: Iterable[np.ndarray], threads: int | None = None, progress: Progress | None = None,
    allowed: Mapping[str, float] | None = None,
) -> Drift:  # fmt: skip
    """Compare the people that a bundle finds with those of its float network, and say which head makes the difference.

    Args:
        bundle: the bundle or its folder; it runs in its own engine, from picture to people.
        graph: the network that it was built from, run in ONNX Runtime in float32 with the same steps before and after.
        frames: BGR pictures (H, W, 3) uint8.
        threads: of both engines.
        progress: is told (pictures done, pictures in all; 0 where that is not known).
        allowed: limits; None takes the bundle's.

    Returns:
        A Drift, true where the allowance is kept. For its `blame`, each head of the compiled network in turn is replaced
        by the float one before decoding.

    Raises PosecError where the float network finds nobody on all frames: that is no pass, there is nothing to judge by.
    """
    from .float_estimator import FloatEstimator

    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    if bundle.spec != graph.spec:
        raise PosecError(f"bundle '{bundle.folder}' was built from network '{bundle.spec.name}' of another specification than graph "
                         f"'{graph.spec.name}'; trace the checkpoint that it was exported from")  # fmt: skip
    floating, compiled, decoder = (
        FloatEstimator(graph, threads),
        load(str(bundle.folder), threads),
        bundle.decoder(),
    )
    count = len(frames) if isinstance(frames, Sized) else 0
    truth: list[PoseFrame] = []
    found: list[PoseFrame] = []
    mended: dict[str, list[PoseFrame]] = {name: [] for name in graph.spec.head_names}
    for picture in frames:
        float_heads, box = floating.heads(picture)
        truth.append(decode_heads(float_heads, graph.spec, decoder, box))
        found.append(compiled(picture))
        heads = compiled.heads(picture)
        for name in graph.spec.head_names:
            mended[name].append(decode_heads({**heads, name: float_heads[name]}, graph.spec, decoder, box))
        if progress:
            progress(len(truth), count)
    if not truth:
        raise PosecError("no frames to verify on; give frames with people in them")
    skeleton = graph.spec.skeleton
    remains = {name: measure_drift(people, truth, skeleton, ALL_MAY_GO) for name, people in mended.items()}
    blame = {
        name: DriftSummary(drift.drift_mm, drift.people_lost, drift.people_invented)
        for name, drift in remains.items()
    }
    return measure_drift(found, truth, skeleton, _limits(bundle, allowed), blame)


def verify_golden(
    bundle: Bundle | str | Path, threads: int | None = None, allowed: Mapping[str, float] | None = None
) -> Drift:
    """Compare the people that a bundle finds on its golden pictures with those that the float network found there.

    Needs neither the checkpoint nor the host's libraries. The bundle has no float heads, so there is no `blame`.
    Raises PosecError where the bundle carries no golden pictures, or nobody is on them.
    """
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    golden = bundle.golden()
    if not golden:
        raise PosecError(
            f"bundle '{bundle.folder}' carries no golden pictures; export it with some, or verify it on frames of your own"
        )
    compiled = load(str(bundle.folder), threads)
    found = [compiled(picture) for picture, _ in golden]
    return measure_drift(
        found, [people for _, people in golden], bundle.spec.skeleton, _limits(bundle, allowed)
    )


def _limits(bundle: Bundle, allowed: Mapping[str, float] | None) -> Mapping[str, float]:
    limits = bundle.allowed if allowed is None else allowed
    missing = [name for name in LIMITS if name not in limits]
    if missing:
        raise PosecError(
            f"the allowance of bundle '{bundle.folder}' lacks {', '.join(missing)}; it needs {', '.join(LIMITS)}"
        )
    return limits
