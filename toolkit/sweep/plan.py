"""The plan of a sweep, a TOML file: the bundles to build, and the data to measure them on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PosecError
from ..frontend.trace import split_size
from ..ir.target import PRECISIONS
from ..ir.toml_file import read_toml

MOST_CANDIDATES = 10_000
MOST_SHARDS = 1000
LONGEST_S = 3600.0
INT8 = "int8"
NO_OBSERVER = ""


class Candidate(NamedTuple):
    """One bundle to make and to measure.

    Attributes:
        network: checkpoint, perhaps with "@HEIGHTxWIDTH".
        target: name or .toml file of a board.
        precision: of the arithmetic.
        observer: of the calibration; empty for float precisions.
        keep_float: patterns of layers that int8 leaves float.
    """

    network: str
    target: str
    precision: str
    observer: str = NO_OBSERVER
    keep_float: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The candidate in one line."""
        kept = f"{' '.join(self.keep_float)} in float" if self.keep_float else ""
        return ", ".join(
            filter(None, (self.network, Path(self.target).stem, self.precision, self.observer, kept))
        )


@dataclass(frozen=True)
class SweepPlan:
    """The fields of a plan. Candidates are the product of the lists.

    Attributes:
        network: checkpoint, see `posec export`.
        targets: boards, by name or .toml file.
        precisions: combinations that a board does not support are left out.
        observers: of int8, see `posec calibrate`.
        sizes: "HEIGHTxWIDTH" of the network's input; none takes the network's own.
        keep_float: of int8: lists of patterns of layers that stay float, see `posec export --keep-float`.
        calibration: frames for int8: a folder, a video, a listing, or "samples".
        calibration_frames: how many of them are used.
        scenes: labelled scenes for accuracy: a scenes.json, or "samples".
        shards: parts of the calibration frames, and of the scenes; each is one task.
        seconds: of latency for each bundle; 0 measures none.
    """

    network: str = "reference"
    targets: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float32", INT8)
    observers: tuple[str, ...] = ("min-max",)
    sizes: tuple[str, ...] = ()
    keep_float: tuple[tuple[str, ...], ...] = ((),)
    calibration: str = "samples"
    calibration_frames: int = 64
    scenes: str = "samples"
    shards: int = 4
    seconds: float = 5.0

    def networks(self) -> list[str]:
        """Return the checkpoint in every size."""
        return [f"{self.network}@{size}" for size in self.sizes] or [self.network]

    def candidates(self, supports: Callable[[str, str], bool]) -> list[Candidate]:
        """Return all candidates that boards support.

        Args:
            supports: (target, precision) → whether the board computes in it.

        Raises PosecError for none, and for more than MOST_CANDIDATES.
        """
        int8 = list(itertools.product(self.observers, self.keep_float))
        count = len(self.networks()) * len(self.targets) * (len(self.precisions) + len(int8))
        if count > 2 * MOST_CANDIDATES:
            raise PosecError(f"the plan has about {count} bundles, at most {MOST_CANDIDATES} are made")
        found = []
        for network, target, precision in itertools.product(self.networks(), self.targets, self.precisions):
            if supports(target, precision):
                options = int8 if precision == INT8 else [(NO_OBSERVER, ())]
                found += [Candidate(network, target, precision, *option) for option in options]
        if not 0 < len(found) <= MOST_CANDIDATES:
            raise PosecError(
                f"the plan has {len(found)} bundles, from 1 to {MOST_CANDIDATES} are made; "
                "change its targets and precisions"
            )
        return found


def read_plan(path: Path) -> SweepPlan:
    """Return the plan in a TOML file. Raises PosecError naming a field that is unknown or wrong."""
    plain = read_toml(path, advice="see docs/sweep.md for the fields of a plan")
    known = [field.name for field in fields(SweepPlan)]
    if unknown := sorted(set(plain) - set(known)):
        raise PosecError(f"'{path}': unknown fields {', '.join(unknown)}; known: {', '.join(known)}")
    try:
        return SweepPlan(**{name: _READERS[name](value) for name, value in _named(plain).items()})
    except ValueError as error:
        raise PosecError(f"'{path}': {error}") from error


def _named(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    if not plain.get("targets"):
        raise ValueError('targets must list boards, such as ["intel-cpu"]; see `posec targets`')
    return plain


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a text is needed, got {value!r:.60}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or len(set(map(str, value))) < len(value):
        raise ValueError(f"a list of different texts is needed, got {value!r:.60}")
    return tuple(_text(item) for item in value)


def _precisions(value: Any) -> tuple[str, ...]:
    precisions = _texts(value)
    if unknown := [name for name in precisions if name not in PRECISIONS]:
        raise ValueError(f"no precision '{unknown[0]:.40}'; known: {', '.join(PRECISIONS)}")
    return precisions


def _sizes(value: Any) -> tuple[str, ...]:
    sizes = _texts(value)
    for size in sizes:
        if split_size(f"network@{size}")[1] is None:
            raise ValueError(f"a size is HEIGHTxWIDTH, such as 256x448; got '{size:.40}'")
    return sizes


def _patterns(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"keep_float is a list of lists of patterns, got {value!r:.60}")
    return tuple(tuple(_texts(item)) if item != [] else () for item in value)


def _count(most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(f"a whole number from 1 to {most} is needed, got {value!r:.60}")
        return value

    return read


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise ValueError(f"seconds are 0 to {LONGEST_S:g}, got {value!r:.60}")
    return float(value)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("network", "calibration", "scenes"), _text),
    **dict.fromkeys(("targets", "observers"), _texts),
    "precisions": _precisions,
    "sizes": _sizes,
    "keep_float": _patterns,
    "calibration_frames": _count(100_000),
    "shards": _count(MOST_SHARDS),
    "seconds": _seconds,
}
