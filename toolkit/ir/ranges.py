"""Ranges: what values each tensor of the float graph takes, collected once, used by every back end."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PosecError
from ..runtime.plain_files import write_plain

FORMAT = 1
LARGEST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Ranges:
    """Tensor name → (low, high), with what they were collected from.

    Attributes:
        tensors: by the tensor names of the float graph that `graph_sha256` identifies.
        observer: name of the observer that made them, such as "min-max".
        graph_sha256: of the graph they belong to.
        frames_sha256: one hash per calibration frame.
        versions: library versions that ran the float graph.
        means: tensor name → mean of each channel, of the tensors that layers with weights read; see `passes.quantize.bias_correction`.
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
                    f"range of tensor '{name}' must be finite and ordered, got ({low}, {high}); calibrate again"
                )
        for name, means in self.means.items():
            if not all(map(math.isfinite, means)):
                raise PosecError(f"means of tensor '{name}' must be finite; calibrate again")

    @property
    def sha256(self) -> str:
        """Hash of everything here, for the bundle."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def _json(self) -> str:
        plain = {"format": FORMAT, "observer": self.observer, "graph_sha256": self.graph_sha256, "versions": dict(sorted(self.versions.items())),
                 "frames_sha256": list(self.frames_sha256), "tensors": {name: list(pair) for name, pair in sorted(self.tensors.items())}}  # fmt: skip
        means = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(list(values))}" for name, values in sorted(self.means.items())
        )
        return f'{json.dumps(plain, indent=1)[:-2]},\n "means": {{\n{means}\n }}\n}}\n'

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all; its folder is made where it is missing."""
        write_plain(path, self._json())

    @classmethod
    def load(cls, path: str | Path) -> Ranges:
        """Read what `save` wrote. Raises PosecError where the file is missing or of another form."""
        try:
            if Path(path).stat().st_size > LARGEST_BYTES:
                raise PosecError(
                    f"'{path}' has more than {LARGEST_BYTES >> 20} MB; it is no calibration file"
                )
            plain = json.loads(Path(path).read_text())
            if plain["format"] != FORMAT:
                raise PosecError(
                    f"'{path}' has calibration format {plain['format']}, this posec reads {FORMAT}; calibrate again"
                )
            tensors = {str(name): (float(low), float(high)) for name, (low, high) in plain["tensors"].items()}
            frames, versions = (
                tuple(map(str, plain["frames_sha256"])),
                {str(name): str(value) for name, value in plain["versions"].items()},
            )
            means = {str(name): tuple(map(float, values)) for name, values in plain.get("means", {}).items()}
            return cls(tensors, str(plain["observer"]), str(plain["graph_sha256"]), frames, versions, means)
        except PosecError:
            raise
        except FileNotFoundError as error:
            raise PosecError(f"no calibration file '{path}'; make one with `posec calibrate`") from error
        except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise PosecError(
                f"'{path}' is not a calibration file; make one with `posec calibrate`"
            ) from error
