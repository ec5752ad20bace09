"""The result file of a measured bundle: identity, machine, latency with raw samples, drift, accuracy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..runtime.bundle import Bundle
from ..runtime.console import printable
from ..runtime.errors import PosecError
from ..runtime.files.bundle_files import DESCRIPTION, sha256_of
from ..runtime.files.plain_files import write_plain
from .checked_files import Kind, parse_checked, read_checked
from .result_schema import RESULT

FORMAT = 1
ENDING = ".result.json"
KIND = Kind("result", FORMAT, 32 << 20, "`posec bench`", RESULT)
HASH_DIGITS = 8  # of the bundle's SHA-256 in the name of its result
_LONGEST_PART = 40  # of a file's name
BUNDLE_FIELDS = (
    "name",
    "target",
    "backend",
    "engine",
    "precision",
    "scheme",
    "float_baseline",
    "licence",
    "posec",
    "graph_sha256",
    "ranges_sha256",
    "allowed",
    "options",
    "passes",
    "tools",
    "float_layers",
)


@dataclass(frozen=True)
class Result:
    """The measurements of one bundle.

    Attributes:
        bundle: see `describe_bundle`.
        bench: one measurement of `bench`, or None.
        drift: `Drift.to_dict()`, or None.
        accuracy: rows of `evaluate`, of one or more protocols.
        float_accuracy: the same rows of the float network, if it was measured too.
        pictures: annotated pictures, each `caption` and `jpeg` (base64).
        unjudged: the reason if there is no drift.
        compared: pictures with the people of both networks, see `ComparedPictures`.
        title: name among other results, not part of the file; empty takes target and precision.
    """

    bundle: Mapping[str, Any]
    bench: Mapping[str, Any] | None = None
    drift: Mapping[str, Any] | None = None
    accuracy: Sequence[Mapping[str, Any]] = ()
    pictures: Sequence[Mapping[str, str]] = ()
    unjudged: str = ""
    float_accuracy: Sequence[Mapping[str, Any]] = ()
    compared: Sequence[Mapping[str, Any]] = ()
    title: str = ""

    @property
    def name(self) -> str:
        """Target and precision, such as "intel-cpu int8", unless there is a title."""
        return self.title or f"{self.bundle.get('target', '?')} {self.bundle.get('precision', '?')}"

    @property
    def status(self) -> str:
        """One of "ran", "noisy", "failed", "not measured"; independent of the verdict.

        A noisy result ran, but its latencies vary too much to compare with a budget, see `noise`.
        """
        if not self.bench:
            return "not measured"
        status = str(self.bench["status"])
        return "noisy" if status == "ran" and self.noise else status

    @property
    def has_run(self) -> bool:
        """Whether the bundle ran, noisy or not."""
        return self.status in ("ran", "noisy")

    @property
    def noise(self) -> str:
        """Why the latencies are too noisy to trust; empty if they are steady, or were not measured."""
        return "; ".join(((self.bench or {}).get("noise") or {}).get("reasons", ()))

    @property
    def verdict(self) -> str:
        """One of "accepted", "rejected", "not judged", by the drift from the float network."""
        return "not judged" if self.drift is None else "accepted" if self.drift["within"] else "rejected"

    @property
    def reason(self) -> str:
        """The reason for the verdict, with the pictures that it was judged on, or for the failure."""
        if self.status == "failed" and self.bench:
            return str(self.bench["reason"])
        if self.drift is None:
            return self.unjudged or "not compared with the float network"
        source = (self.drift.get("data") or {}).get("source")
        where = f" on {source}" if source else ""
        if self.drift["within"]:
            return f"all limits kept{where}"
        over = (
            f"{name} {_number(self.drift.get(name))}, allowed {_number(self.drift['allowed'][name])}"
            for name in self.drift["missed"]
        )
        return f"over the allowance{where}: {'; '.join(over)}"

    def row(self, protocol: str, subset: str = "all") -> Mapping[str, Any]:
        """Return one row of the accuracy, or an empty one."""
        return row_of(self.accuracy, protocol, subset)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file; status, verdict and reason are derived, for other programs."""
        plain = {name: getattr(self, name) for name in _STORED}
        return {
            **plain,
            "format": FORMAT,
            "status": self.status,
            "verdict": self.verdict,
            "reason": self.reason,
        }


_STORED = ("bundle", "bench", "drift", "accuracy", "pictures", "unjudged", "float_accuracy", "compared")


def row_of(rows: Sequence[Mapping[str, Any]], protocol: str, subset: str = "all") -> Mapping[str, Any]:
    """Return the row of a protocol and a subset, or an empty one."""
    return next((row for row in rows if (row.get("protocol"), row.get("subset")) == (protocol, subset)), {})


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """Return the identity of a bundle: fields of bundle.json, hashes, and sizes in bytes."""
    sizes = {name: (bundle.folder / name).stat().st_size for name in bundle.files}
    return {
        **{name: getattr(bundle, name) for name in BUNDLE_FIELDS},
        "folder": printable(bundle.folder.name, keep=""),
        "sha256": sha256_of(bundle.folder / DESCRIPTION),
        "model_sha256": bundle.files[bundle.model],
        "input_size": list(bundle.spec.input_size),
        "model_bytes": sum(size for name, size in sizes.items() if not name.startswith("golden/")),
        "bytes": sum(sizes.values()),
    }


def result_name(bundle: Mapping[str, Any], place: str = "") -> str:
    """Return the file name of a bundle's result, such as "intel-cpu-int8-3fa1c02b.result.json".

    It includes the hash of the bundle, so that two networks for one board have separate results.
    Bundles are untrusted, so only letters, digits, dots and hyphens of their names are used.

    Args:
        bundle: see `describe_bundle`.
        place: place of the measurement, such as the host of a board; part of the name.
    """
    parts = [
        bundle["target"],
        bundle["precision"],
        bundle["sha256"][:HASH_DIGITS],
        *([place] if place else []),
    ]
    return "-".join(map(_plain, parts)) + ENDING


def _plain(part: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-.")[:_LONGEST_PART] or "unnamed"


def save_result(result: Result, path: str | Path) -> None:
    """Write the file atomically. Raises PosecError if `read_result` would refuse it, or writing fails."""
    content = json.dumps(result.to_dict(), indent=None, allow_nan=False)
    parse_result(content, str(path))
    try:
        write_plain(path, content)
    except OSError as error:
        raise PosecError(
            f"cannot write the result '{path}': {error.strerror}; name another folder with -o"
        ) from error


def read_result(path: str | Path) -> Result:
    """Read a result file. Raises PosecError if it is missing, too large, newer, or invalid."""
    return _of(read_checked(Path(path), KIND))


def parse_result(text: str, where: str) -> Result:
    """Return the result in the text of a file; `where` names it in messages. Raises PosecError if invalid."""
    return _of(parse_checked(text.encode(), KIND, where))


def titled(results: Sequence[Result]) -> list[Result]:
    """Return the results with unique titles: equal names are extended by network, hash and run."""
    for extra in (_network, _hash, _run):
        names = [result.name for result in results]
        alike = [names.count(name) > 1 for name in names]
        added = [extra(result) for result in results]
        if any(alike) and len(set(added)) > 1:
            results = [
                replace(
                    result, title=f"{result.name} {added[index]}".strip() if alike[index] else result.title
                )
                for index, result in enumerate(results)
            ]
    return list(results)


def _network(result: Result) -> str:
    return str(result.bundle["name"])


def _hash(result: Result) -> str:
    return str(result.bundle["sha256"])[:HASH_DIGITS]


def _run(result: Result) -> str:
    return f"run {result.bench['run']}" if result.bench else ""


def read_results(where: str | Path) -> list[Result]:
    """Read one file, or all results in a folder, by name. Raises PosecError if there is none."""
    folder = Path(where)
    paths = sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else [folder]
    if not paths:
        raise PosecError(
            f"no results (*{ENDING}) in '{where}'; make some with `posec bench BUNDLE … -o {where}`"
        )
    return [read_result(path) for path in paths]


def _of(plain: Mapping[str, Any]) -> Result:
    # Files of earlier versions lack the last two.
    return Result(**{name: plain[name] for name in _STORED if name in plain})


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (int, float)) else "cannot be stated"
