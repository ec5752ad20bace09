"""Search for the lowest precision within the target's drift limits, for `--precision auto`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler.build import export_bundle
from ..compiler.checks import check_request
from ..compiler.request import ExportRequest
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import PRECISIONS, Target
from ..passes import prepare
from ..runtime.bundle import Bundle
from .candidate_bench import Candidate, CandidateBench, SearchSettings
from .float_reference import FloatReference


@dataclass(frozen=True)
class PrecisionSearch:
    """Every candidate in the order of the search, and the one taken; None where none is within the limits."""

    candidates: tuple[Candidate, ...]
    taken: Candidate | None
    bundle: Bundle | None

    def __bool__(self) -> bool:
        return self.taken is not None

    def rows(self) -> list[list[str]]:
        """Return the table, its header first."""
        rows = [
            ["candidate", "drift mm", "p95 mm", "lost", "invented", "latency ms", "of float32", "verdict"]
        ]
        for each in self.candidates:
            drift = each.drift
            verdict = "taken" if each is self.taken else "passes" if each else f"misses {each.missed}"
            people = [f"{100 * fraction:.1f} %" for fraction in (drift.people_lost, drift.people_invented)]
            times = [f"{each.latency_ms:.1f}", f"{each.latency_ms / each.float32_ms:.2f}"]
            lengths = [f"{drift.drift_mm:.2f}", f"{drift.drift_p95_mm:.2f}"]
            rows.append([each.name, *lengths, *people, *times, verdict])
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return lists, numbers and strings for a JSON file; its key for the candidates is "rungs"."""
        candidates = []
        for each in self.candidates:
            golden = None if each.golden is None else each.golden.to_dict()
            plain = {**asdict(each), "name": each.name, "drift": each.drift.to_dict(), "golden": golden}
            candidates.append(
                {**plain, "passes": bool(each), "missed": each.missed, "taken": each is self.taken}
            )
        return {"taken": self.taken.name if self.taken else None, "rungs": candidates}


def search_precision(
    graph: Graph,
    target: Target,
    ranges: Ranges,
    *,
    frames: Iterable[np.ndarray],
    settings: SearchSettings,
    progress: Callable[[str], None] = lambda line: None,
) -> PrecisionSearch:
    """Write the bundle of the lowest precision within the target's drift limits to `settings.out`.

    The order: int8; int8 with the most sensitive layers in float, doubling their number, then bisecting it;
    bfloat16 where this CPU has it; float16; float32. Every candidate is built, and measured in the target's
    engine on this machine, on the frames and on its golden pictures. Latency is reported and does not decide,
    so equal inputs give equal bytes.

    Args:
        graph: of `trace`.
        target: of `targets.load`; precisions that it or this machine lacks are left out.
        ranges: of `calibration.collect`; without tensors, int8 is left out.
        frames: BGR pictures (H, W, 3) uint8 with people in them; other frames than those of the calibration.
        settings: see SearchSettings.
        progress: called with a line per candidate.

    Raises PosecError where the request cannot be met, or the target's engine does not run here.
    """
    check_request(target, ExportRequest(out=settings.out, overwrite=settings.overwrite))
    prepared = prepare(graph)
    reference = FloatReference(prepared, frames, settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        bench = CandidateBench(prepared, target, ranges, reference, Path(folder), settings, progress)
        tried: list[Candidate] = []
        for precision in searched(target, calibrated=bool(ranges.tensors)):
            tried += _int8_candidates(bench) if precision == "int8" else [bench.measure(precision)]
            if any(tried):
                break
    good = [candidate for candidate in tried if candidate]
    if not good:
        return PrecisionSearch(tuple(tried), None, None)
    taken = min(good, key=lambda candidate: len(candidate.float_layers))
    progress(f"taken: {taken.name}")
    bundle = export_bundle(prepared, target, bench.request(taken.precision, taken.float_layers, settings.out))
    return PrecisionSearch(tuple(tried), taken, bundle)


def searched(target: Target, *, calibrated: bool) -> list[str]:
    """Return the precisions of target and machine, the lowest first; int8 only if calibrated."""
    offered = [name for name in PRECISIONS[::-1] if name in target.precisions]
    able = [name for name in offered if not target.lacking_here(name)]
    return [name for name in able if calibrated or name != "int8"]


def _int8_candidates(bench: CandidateBench) -> Iterator[Candidate]:
    """Yield int8 candidates with sensitive layers in float, until the smallest sufficient number is found."""
    first = bench.measure("int8")
    yield first
    if first:
        return
    worst = bench.rank_layers()
    fails, count = 0, 1
    # With more than half of the layers float, float16 or float32 is hardly slower.
    while count <= len(worst) // 2:
        candidate = bench.measure("int8", worst[:count])
        yield candidate
        if candidate:
            yield from _bisect(bench, worst, fails=fails, passes=count)
            return
        fails, count = count, 2 * count


def _bisect(bench: CandidateBench, worst: Sequence[str], *, fails: int, passes: int) -> Iterator[Candidate]:
    while passes - fails > 1:
        middle = (fails + passes) // 2
        candidate = bench.measure("int8", worst[:middle])
        yield candidate
        fails, passes = (fails, middle) if candidate else (middle, passes)
