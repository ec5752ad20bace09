"""Ranges: the values that each tensor of the float graph takes, collected once and used by every back end."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PosecError
from ..runtime.files.plain_files import write_plain
from ..runtime.files.plain_json import read_json

FORMAT = 1
LARGEST_BYTES = 64 * 2**20
_ADVICE = "make one with `posec calibrate`"


@dataclass(frozen=True)
class Ranges:
    """Tensor name → (low, high), and where they come from.

    Attributes:
        tensors: by the tensor names of the float graph that `graph_sha256` identifies.
        observer: the rule that chose them, such as "min-max".
        graph_sha256: of the prepared float graph.
        frames_sha256: one hash per calibration frame.
        versions: of the libraries that ran the float graph.
        means: tensor name → mean of each channel, for the inputs of layers with weights; see
            `passes.quantize.bias_correction`.
    """

    tensors: Mapping[str, tuple[float, float]]
    observer: str
    graph_sha256: str
    frames_sha256: tuple[str, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (low, high) in self.tensors.items():
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise PosecError(
                    f"range of tensor '{name}' must be finite and ordered, got ({low}, {high}); "
                    "calibrate again"
                )
        for name, means in self.means.items():
            if not all(map(math.isfinite, means)):
                raise PosecError(f"means of tensor '{name}' must be finite; calibrate again")

    @property
    def sha256(self) -> str:
        """Hash of all fields, for the bundle."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def _json(self) -> str:
        plain = {
            "format": FORMAT,
            "observer": self.observer,
            "graph_sha256": self.graph_sha256,
            "versions": dict(sorted(self.versions.items())),
            "frames_sha256": list(self.frames_sha256),
            "tensors": {name: list(pair) for name, pair in sorted(self.tensors.items())},
        }
        means = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(list(values))}" for name, values in sorted(self.means.items())
        )
        return f'{json.dumps(plain, indent=1)[:-2]},\n "means": {{\n{means}\n }}\n}}\n'

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all, and its folder where it is missing."""
        write_plain(path, self._json())

    @classmethod
    def load(cls, path: str | Path) -> Ranges:
        """Read what `save` wrote.

        Raises PosecError where the file is missing, too large, or of another form.
        """
        if not Path(path).exists():
            raise PosecError(f"no calibration file '{path}'; {_ADVICE}")
        plain = read_json(path, most_bytes=LARGEST_BYTES, error=PosecError, advice=_ADVICE)
        try:
            if plain["format"] != FORMAT:
                raise PosecError(
                    f"'{path}' has calibration format {plain['format']!r:.40}, this posec reads {FORMAT}; "
                    "calibrate again"
                )
            tensors = {str(name): (float(low), float(high)) for name, (low, high) in plain["tensors"].items()}
            means = {str(name): tuple(map(float, values)) for name, values in plain.get("means", {}).items()}
            frames, versions = (
                _texts(plain["frames_sha256"]),
                dict(zip(plain["versions"], _texts(plain["versions"].values()), strict=True)),
            )
            observer, graph_sha256 = _texts((plain["observer"], plain["graph_sha256"]))
            return cls(tensors, observer, graph_sha256, frames, versions, means)
        except PosecError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PosecError(f"'{path}' is not a calibration file; {_ADVICE}") from error


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    texts = tuple(values)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is something else")
    return texts
