"""Drift of a bundle on its golden pictures, without the checkpoint and the host's libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..runtime import load
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.errors import PosecError
from ..runtime.pose import PoseFrame
from .drift import LIMITS, Drift, measure_drift


def verify_golden(
    bundle: Bundle | str | Path, threads: int | None = None, allowed: Mapping[str, float] | None = None
) -> Drift:
    """Compare the people that a bundle finds on its golden pictures with those of the float network.

    Args:
        bundle: the bundle or its folder.
        threads: of the engine; None takes the bundle's.
        allowed: limits; None takes the bundle's.

    Returns:
        A Drift without `blame`: the bundle has no float heads.

    Raises PosecError if the bundle has no golden pictures, or none with people.
    """
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    golden = _judged_pictures(bundle)
    compiled = load(str(bundle.folder), threads)
    found = [compiled(picture) for picture, _ in golden]
    return golden_drift(bundle, found, allowed)


def golden_drift(
    bundle: Bundle, found: Sequence[PoseFrame], allowed: Mapping[str, float] | None = None
) -> Drift:
    """Return the drift of people found on a bundle's golden pictures, in their order; see `verify_golden`."""
    limits = drift_limits(bundle, allowed)
    truth = [people for _, people in _judged_pictures(bundle)]
    return measure_drift(found, truth, bundle.spec.skeleton, allowed=limits)


def _judged_pictures(bundle: Bundle) -> Sequence[tuple[np.ndarray, PoseFrame]]:
    """Return the golden pictures with their people. Raises PosecError without any."""
    golden = bundle.golden()
    if not golden:
        raise PosecError(
            f"bundle '{bundle.folder}' has no golden pictures; "
            "export it with --golden, or verify it on frames of your own"
        )
    if not any(len(people) for _, people in golden):
        raise PosecError(
            f"no people to judge by: the float network found none on the {len(golden)} golden pictures "
            f"of '{bundle.folder}'; export again with --golden and pictures of your camera"
        )
    return golden


def drift_limits(bundle: Bundle, allowed: Mapping[str, float] | None = None) -> Mapping[str, float]:
    """Return the limits to judge a bundle by; None for `allowed` takes the bundle's.

    Raises PosecError if a limit is missing.
    """
    limits = bundle.allowed if allowed is None else allowed
    missing = [name for name in LIMITS if name not in limits]
    if missing:
        raise PosecError(
            f"the limits for bundle '{bundle.folder}' lack {', '.join(missing)}; "
            f"give {', '.join(LIMITS)}, or export again"
        )
    return limits
