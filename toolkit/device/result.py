"""One file per measured bundle: what it is, on which machine, how fast, how true, with raw samples. Valid Python 3.8."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PosecError
from ..runtime.bundle import Bundle
from ..runtime.bundle_files import DESCRIPTION, sha256_of
from ..runtime.plain_files import write_plain
from .checked_files import Kind, read_checked
from .drift import LIMITS

FORMAT = 1
ENDING = ".result.json"
KIND = Kind("result", FORMAT, 64 << 20, "`posec bench`")
TOLD = ("name", "target", "backend", "engine", "precision", "scheme", "float_baseline", "licence", "posec", "graph_sha256", "ranges_sha256",
        "allowed", "options", "passes", "tools", "float_layers")  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What was measured of one bundle.

    Attributes:
        bundle: see `describe_bundle`.
        bench: one measurement of `bench`, or None.
        drift: `Drift.to_dict()`, or None.
        accuracy: rows of `evaluate`, of one or more protocols.
        pictures: annotated pictures, each `caption` and `jpeg` (base64).
        unjudged: why there is no drift, where there is none.
    """

    bundle: Mapping[str, Any]
    bench: Mapping[str, Any] | None = None
    drift: Mapping[str, Any] | None = None
    accuracy: Sequence[Mapping[str, Any]] = ()
    pictures: Sequence[Mapping[str, str]] = ()
    unjudged: str = ""
    format: int = field(default=FORMAT)

    @property
    def name(self) -> str:
        """Target and precision, such as "intel-cpu int8"."""
        return f"{self.bundle.get('target', '?')} {self.bundle.get('precision', '?')}"

    @property
    def status(self) -> str:
        """One of "ran", "failed", "not measured": says nothing of how good it is."""
        return str(self.bench["status"]) if self.bench else "not measured"

    @property
    def verdict(self) -> str:
        """One of "accepted", "rejected", "not judged": are the people those of the float network, within the allowance?"""
        return "not judged" if self.drift is None else "accepted" if self.drift["within"] else "rejected"

    @property
    def reason(self) -> str:
        """Why the verdict is what it is; why it did not run."""
        if self.status == "failed" and self.bench:
            return str(self.bench["reason"])
        if self.drift is None:
            return self.unjudged or "never compared with the float network"
        if self.drift["within"]:
            return "all limits kept"
        over = (
            f"{name} {_number(self.drift.get(name))}, allowed {_number(self.drift['allowed'][name])}"
            for name in self.drift["missed"]
        )
        return "over the allowance: " + "; ".join(over)

    def row(self, protocol: str, subset: str = "all") -> Mapping[str, Any]:
        """Return one row of the accuracy, or an empty one."""
        return next(
            (row for row in self.accuracy if (row.get("protocol"), row.get("subset")) == (protocol, subset)),
            {},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds; status, verdict and reason are there for readers of the file."""
        return {**asdict(self), "status": self.status, "verdict": self.verdict, "reason": self.reason}


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """Return what identifies a bundle: fields of bundle.json, hashes, and sizes in bytes of the model and of everything."""
    sizes = {name: (bundle.folder / name).stat().st_size for name in bundle.files}
    return {**{name: getattr(bundle, name) for name in TOLD}, "folder": bundle.folder.name, "sha256": sha256_of(bundle.folder / DESCRIPTION),
            "model_sha256": bundle.files[bundle.model], "input_size": list(bundle.spec.input_size),
            "model_bytes": sum(size for name, size in sizes.items() if not name.startswith("golden/")), "bytes": sum(sizes.values())}  # fmt: skip


def save_result(result: Result, path: str | Path) -> None:
    """Write the file whole or not at all."""
    write_plain(path, json.dumps(result.to_dict(), indent=None, allow_nan=False))


def read_result(path: str | Path) -> Result:
    """Read what `save_result` wrote. Raises PosecError where the file is missing, too large, newer, or of another form."""
    return read_checked(Path(path), KIND, _checked)


def read_results(where: str | Path) -> list[Result]:
    """Read one file, or all results in a folder, by name. Raises PosecError where there is none."""
    folder = Path(where)
    paths = sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else [folder]
    if not paths:
        raise PosecError(
            f"no results (*{ENDING}) in '{where}'; make some with `posec bench BUNDLE … -o {where}`"
        )
    return [read_result(path) for path in paths]


def _checked(plain: Mapping[str, Any]) -> Result:
    result = Result(**{name: plain[name] for name in Result.__dataclass_fields__})
    _check(result)
    return result


def _check(result: Result) -> None:
    """Touch what the report will read, so that a file that lacks it is refused here."""
    for name in ("target", "precision", "name"):
        _wanted(isinstance(result.bundle[name], str), f"bundle.{name} must be text")
    if result.bench is not None:
        _wanted(result.status in ("ran", "failed"), f"status must be ran or failed, got {result.status!r}")
        _wanted(
            isinstance(result.bench["ratios"], dict) and isinstance(result.bench["machine"], dict),
            "bench lacks ratios or machine",
        )
        str(result.bench["run"]), str(result.bench["measured_at"])
    if result.bench is not None and result.status == "ran":
        for stage in ("preprocess", "inference", "decode", "total"):
            _wanted(
                all(_real(result.bench["latency"][stage][name]) for name in ("p50_ms", "p90_ms", "p99_ms")),
                f"latency of {stage} must be numbers",
            )
        _wanted(
            all(
                _real(value)
                for turn in result.bench["samples"]["rounds"]
                for frame in turn
                for value in frame[:4]
            ),
            "samples must be numbers",
        )
        _wanted(
            len(result.bench["samples"]["rounds"][0][0]) >= 4,
            "samples must hold preprocess, inference, decode and total",
        )
        slow = result.bench["sustained"] or {"slower": 1.0, "seconds": 0.0, "slices": []}
        numbers = [
            slow["slower"],
            slow["seconds"],
            *(entry[name] for entry in slow["slices"] for name in ("at_s", "p50_ms")),
        ]
        numbers += [
            row[name] for row in result.bench["decode_us"] or () for name in ("people", "p50_us", "p90_us")
        ]
        _wanted(all(map(_real, numbers)), "sustained load and decoding must be numbers")
    if result.drift is not None:
        numbers = [result.drift["allowed"][name] for name in LIMITS]
        numbers += [
            number
            for repair in result.drift["blame"].values()
            for number in (repair["people_lost"], repair["drift_mm"] or 0.0)
        ]
        _wanted(
            all(map(_real, [*numbers, result.drift["people_lost"], result.drift["drift_mm"] or 0.0])),
            "drift must be numbers",
        )
        _wanted(set(result.drift["missed"]) <= set(LIMITS), "drift misses a limit that there is not")
    for row in result.accuracy:
        _wanted(
            isinstance(row["protocol"], str) and isinstance(row["subset"], str),
            "a row of accuracy names protocol and subset",
        )
        _wanted(
            all(
                value is None or _real(value)
                for name, value in row.items()
                if name not in ("protocol", "subset")
            ),
            "accuracy must be numbers",
        )
    for picture in result.pictures:
        _wanted(
            isinstance(picture["caption"], str) and isinstance(picture["jpeg"], str),
            "a picture has a caption and a jpeg, both text",
        )


def _real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _wanted(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise TypeError(otherwise)


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (int, float)) else "cannot be stated"
