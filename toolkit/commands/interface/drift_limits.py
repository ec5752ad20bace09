"""What `verify` and `bench` judge a drift by: pictures, limits, and a warning about rendered pictures."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import PosecError
from ...runtime.console import printable
from .arguments import argument
from .terminal import say

if TYPE_CHECKING:
    from ...device.comparison.drift_parts import DriftData

MAX_RATIO = argument(
    "--max-ratio",
    type=float,
    metavar="RATIO",
    help="judge the drift by its ratio to the float network's own unsteadiness on the same pictures, not by "
    "the limit in mm; 1 allows as much as a shift of the picture by one pixel causes",
)


def name_frames(frames: str) -> DriftData:
    """Return the name of the pictures of --frames, without its folders."""
    from ...device.comparison.drift_parts import RENDERED, USER, DriftData

    if frames == "samples":
        return DriftData("the shipped scenes", RENDERED)
    return DriftData(printable(Path(frames).resolve().name, keep=""), USER)


def limits_of(args: argparse.Namespace, bundle: str) -> Mapping[str, float] | None:
    """Return the limits with --max-ratio in place of millimetres; None for the bundle's own limits."""
    from ...device.drift import ratio_limits
    from ...runtime.bundle import read_bundle

    ratio = max_ratio(args)
    return None if ratio is None else ratio_limits(read_bundle(bundle).allowed, ratio)


def max_ratio(args: argparse.Namespace) -> float | None:
    """Return --max-ratio. Raises PosecError if it is not above 0."""
    if args.max_ratio is not None and not 0 < args.max_ratio < math.inf:
        raise PosecError(f"--max-ratio must be a number above 0, got {args.max_ratio:g}")
    return None if args.max_ratio is None else float(args.max_ratio)


def warn_of_data(drift: Mapping[str, Any] | None) -> None:
    """Print a warning where the drift of `Drift.to_dict()` was not measured on pictures of the user."""
    from ...device.comparison.drift_parts import GOLDEN_PICTURES, RENDERED

    warnings = {
        RENDERED: "judged on posec's rendered scenes alone, and people in photographs move farther",
        GOLDEN_PICTURES: "judged on the few golden pictures of the bundle alone",
    }
    kind = ((drift or {}).get("data") or {}).get("kind")
    if kind in warnings:
        say(f"WARNING: {warnings[kind]}; pass --frames with pictures of your camera")
