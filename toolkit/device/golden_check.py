"""Drift of a bundle on its golden pictures, without the checkpoint and the host's libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime import load
from ..runtime.bundle import LARGEST_PEOPLE, Bundle, read_bundle
from ..runtime.errors import PosecError
from ..runtime.files.plain_json import read_json
from ..runtime.pose import PoseFrame
from .comparison.compared_pictures import Compared, ComparedPictures
from .comparison.drift_parts import GOLDEN_PICTURES, RENDERED, USER, DriftData
from .comparison.unsteadiness import measure_unsteadiness
from .drift import LIMITS, Drift, measure_drift

CHANGED = "golden/changed.json"


def verify_golden(
    bundle: Bundle | str | Path,
    threads: int | None = None,
    allowed: Mapping[str, float] | None = None,
    *,
    pictures: ComparedPictures | None = None,
) -> Drift:
    """Compare the people that a bundle finds on its golden pictures with those of the float network.

    Args:
        bundle: the bundle or its folder.
        threads: of the engine; None takes the bundle's.
        allowed: limits; None takes the bundle's.
        pictures: takes the compared pictures.

    Returns:
        A Drift without `blame`: the bundle has no float heads. Bundles of earlier versions have no
        `unsteadiness`.

    Raises PosecError if the bundle has no golden pictures, or none with people.
    """
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    golden, compiled = _judged_pictures(bundle), load(str(bundle.folder), threads)
    return golden_drift(bundle, [compiled(picture) for picture, _ in golden], allowed, pictures=pictures)


def golden_drift(
    bundle: Bundle,
    found: Sequence[PoseFrame],
    allowed: Mapping[str, float] | None = None,
    *,
    pictures: ComparedPictures | None = None,
) -> Drift:
    """Return the drift of the people that a bundle found on its golden pictures, see `verify_golden`."""
    golden, skeleton = _judged_pictures(bundle), bundle.spec.skeleton
    limits, people = drift_limits(bundle, allowed), [people for _, people in golden]
    for index, (picture, expected) in enumerate(golden):
        if pictures is not None:
            pictures.add(Compared(picture, expected, found[index]))
    drift = measure_drift(found, people, skeleton, allowed=limits)
    changed = _read_changed(bundle, len(golden))
    if changed is None:
        return replace(drift, data=DriftData("the golden pictures", GOLDEN_PICTURES))
    return replace(
        drift,
        data=DriftData("the golden pictures", RENDERED if changed.rendered else USER),
        unsteadiness=measure_unsteadiness(changed.people, people, skeleton),
    )


def _judged_pictures(bundle: Bundle) -> Sequence[tuple[np.ndarray, PoseFrame]]:
    """Return the golden pictures with the float network's people. Raises PosecError without people."""
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


class _Changed(NamedTuple):
    """The people of the float network on slightly changed golden pictures, and whether these are rendered."""

    people: list[PoseFrame]
    rendered: bool


def _read_changed(bundle: Bundle, count: int) -> _Changed | None:
    """Return the contents of golden/changed.json; None where the bundle has none.

    Raises PosecError if it does not hold people of `count` pictures.
    """
    if CHANGED not in bundle.files:
        return None
    try:
        plain = read_json(bundle.folder / CHANGED, most_bytes=2 * LARGEST_PEOPLE)
        joints = len(bundle.spec.skeleton.names)
        people = [PoseFrame.from_dict(frame, joints) for frame in plain["people"]]
        if len(people) != count:
            raise ValueError(f"it needs one entry for each of {count} pictures, got {len(people)}")
        return _Changed(people, bool(plain["rendered"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PosecError(
            f"bundle '{bundle.folder}': {CHANGED} does not hold people: {error}; export again"
        ) from error


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
