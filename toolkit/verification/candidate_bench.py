"""CandidateBench: builds the bundle of one precision, and measures its drift and latency on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..compiler.build import build, export_bundle
from ..compiler.request import ExportRequest
from ..device.drift import Drift
from ..device.golden_check import verify_golden
from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Target
from ..runtime import load
from .float_reference import FloatReference
from .sensitivity import SensitivitySettings, measure_sensitivity
from .verify import verify_against

# Layers are ranked on the frames with most people. More hardly change the order, and cost a run per layer.
_RANKING_FRAMES = 16
_LATENCY_CALLS = 24


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Settings of `search_precision`.

    Attributes:
        out: folder to write; untouched where no candidate is within the limits.
        allowed: drift limits of every precision, by the names of `device.drift.LIMITS`; None: the target's.
        golden, overwrite: see `compiler.build.ExportRequest`.
        threads: of the engines.
    """

    out: str | Path = ""
    allowed: Mapping[str, float] | None = None
    golden: Sequence[np.ndarray] | None = None
    overwrite: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class Candidate:
    """One precision that was built and measured; true where it is within the limits.

    Attributes:
        precision: of the layers that are not left float.
        float_layers: layers left float beside those of the scheme, worst first.
        drift: of the bundle in its own engine.
        latency_ms: median of whole calls, picture to people, on this machine.
        float32_ms: the same of the float32 bundle, measured alternately.
        golden: drift on the bundle's golden pictures, which a deployment checks. None where `drift` is over
            the limits, or the bundle has no golden pictures with people.
    """

    precision: str
    float_layers: tuple[str, ...]
    drift: Drift
    latency_ms: float
    float32_ms: float
    golden: Drift | None = None

    def __bool__(self) -> bool:
        return bool(self.drift) and (self.golden is None or bool(self.golden))

    @property
    def name(self) -> str:
        """The precision, and the number of layers left float."""
        return (
            f"{self.precision}, {len(self.float_layers)} layers float"
            if self.float_layers
            else self.precision
        )

    @property
    def missed(self) -> str:
        """The limits that are missed, and whether only on the golden pictures; empty where none is."""
        if self.golden is not None and not self.golden:
            return ", ".join(self.golden.missed) + " on its golden pictures"
        return ", ".join(self.drift.missed)


class _Latency(NamedTuple):
    latency_ms: float
    float32_ms: float


@dataclass
class CandidateBench:
    """Builds a candidate, runs it beside the float32 bundle, and measures both.

    Attributes:
        prepared: of `passes.prepare`.
        target: of `targets.load`.
        ranges: for int8.
        reference: the prepared network's detections, which all candidates are compared with.
        folder: for the bundles of candidates.
        settings: of the search.
        progress: called with a line per candidate.
    """

    prepared: Graph
    target: Target
    ranges: Ranges
    reference: FloatReference
    folder: Path
    settings: SearchSettings
    progress: Callable[[str], None]
    _float32: Any = field(init=False)

    def __post_init__(self) -> None:
        build(self.prepared, self.target, "float32", out=self.folder / "float32", golden=[])
        try:
            self._float32 = load(str(self.folder / "float32"), self.settings.threads)
        except ValueError as error:
            raise PosecError(
                f"--precision auto needs the engine of target '{self.target.name}' on this machine: {error}; "
                "export one precision, and verify it on the board"
            ) from error

    def request(self, precision: str, float_layers: Sequence[str], out: str | Path) -> ExportRequest:
        """Return the request that exports a candidate to a folder."""
        return ExportRequest(
            out=out,
            precision=precision,
            ranges=self.ranges if precision == "int8" else None,
            golden=self.settings.golden,
            keep_float=tuple(float_layers),
            overwrite=self.settings.overwrite,
        )

    def measure(self, precision: str, float_layers: Sequence[str] = ()) -> Candidate:
        """Build a candidate and measure its drift and its latency."""
        folder, settings = self.folder / f"{precision}-{len(float_layers)}", self.settings
        request = self.request(precision, float_layers, folder)
        bundle = export_bundle(self.prepared, self.target, request)
        drift = verify_against(bundle, self.reference, threads=settings.threads, allowed=settings.allowed)
        has_golden = drift and any(len(people) for _, people in bundle.golden())
        golden = verify_golden(bundle, settings.threads, settings.allowed) if has_golden else None
        candidate = Candidate(precision, tuple(float_layers), drift, *self._latency(folder), golden)
        on_golden = "" if golden is None else f"; on its golden pictures {golden}"
        times = f"{candidate.latency_ms:.1f} ms, float32 {candidate.float32_ms:.1f} ms"
        self.progress(f"{candidate.name}: {drift}{on_golden}; {times}")
        return candidate

    def rank_layers(self) -> list[str]:
        """Return the names of all layers that int8 quantizes, most sensitive first."""
        self.progress("ranking the layers")
        frames, settings = self.reference.crowded(_RANKING_FRAMES), SensitivitySettings(float_only=False)
        found = measure_sensitivity(self.prepared, self.target, self.ranges, frames=frames, settings=settings)
        return [each.layer for each in found.layers]

    def _latency(self, folder: Path) -> _Latency:
        """Return medians of whole calls of a bundle and the float32 one, alternating: clock rates drift."""
        estimators = [load(str(folder), self.settings.threads), self._float32]
        pictures, times = self.reference.pictures, list[list[float]]([[], []])
        for call in range(_LATENCY_CALLS + 2):
            picture = pictures[call % len(pictures)]
            for estimator, taken in zip(estimators, times, strict=True):
                estimator(picture)  # refills the caches after the other one's call
                start = time.perf_counter()
                estimator(picture)
                taken.append(1000 * (time.perf_counter() - start))
        return _Latency(*(float(np.median(taken[2:])) for taken in times))
