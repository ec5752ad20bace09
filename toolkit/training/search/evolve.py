"""Search by evolution under a budget: the best candidates are changed a little, again and again.

Real, Aggarwal, Huang and Le: "Regularized evolution for image classifier architecture search", AAAI 2019,
without aging. Every candidate depends only on the log before it, so that the log resumes a search.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import PosecError
from ...runtime.files.plain_files import read_plain, write_plain
from .candidates import SIZES, Candidate, choices, whole
from .thinning import UNITS

LARGEST_LOG = 16 << 20
_TRIES = 100
# A size is drawn up to this cost over the budget: networks that lose more channels need training.
_MOST_OVER = 1.5


@dataclass(frozen=True)
class Search:
    """Settings of a search.

    Attributes:
        budget: largest cost of a candidate, a share of the whole network's.
        candidates: how many are judged.
        random: the first ones, which are drawn at random; all of them for a random search.
        parents: the best candidates, one of which is changed.
        seed: of all draws.
    """

    budget: float
    candidates: int = 64
    random: int = 16
    parents: int = 6
    seed: int = 0


@dataclass(frozen=True)
class Judged:
    """A candidate with its cost, a share of the whole network's, and its score."""

    candidate: Candidate
    cost: float
    score: float


def search(
    settings: Search,
    cost: Callable[[Candidate], float],
    score: Callable[[Candidate], float],
    *,
    log: Path,
    progress: Callable[[Judged, int], None],
) -> list[Judged]:
    """Return the candidates judged, those of the log first; every further one is added to the log.

    Progress is (judged, candidates so far). Raises PosecError where the budget is too small for any
    candidate, and for a log of another form.
    """
    judged = read_log(log)
    write_plain(log, "".join(f"{json.dumps(_plain(each))}\n" for each in judged))  # without a line cut short
    with log.open("a", encoding="utf-8") as lines:
        while len(judged) < settings.candidates:
            candidate = propose(judged, settings, cost)
            latest = Judged(candidate, cost(candidate), score(candidate))
            judged.append(latest)
            lines.write(json.dumps(_plain(latest)) + "\n")
            lines.flush()
            progress(latest, len(judged))
    return judged


def propose(judged: Sequence[Judged], settings: Search, cost: Callable[[Candidate], float]) -> Candidate:
    """Return the next candidate, which is within the budget and was not judged before."""
    rng = np.random.default_rng([settings.seed, len(judged)])
    known = {each.candidate for each in judged}
    best = sorted(judged, key=lambda each: -each.score)[: settings.parents]
    sizes = [size for size in SIZES if cost(whole(size)) <= _MOST_OVER * settings.budget] or [SIZES[0]]
    for _ in range(_TRIES):
        if len(judged) < settings.random:
            made = whole(sizes[rng.integers(len(sizes))])
        else:
            made = _changed(best[rng.integers(len(best))].candidate, sizes, rng)
        kept = _within(made, settings.budget, cost, rng)
        if kept is not None and kept not in known:
            return kept
    raise PosecError(
        f"no new candidate within a budget of {settings.budget:g} of the whole network; give a larger one"
    )


def _changed(candidate: Candidate, sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> Candidate:
    """Return a candidate with one to three changes."""
    size, shares = candidate.size, list(candidate.shares)
    for _ in range(rng.integers(1, 4)):
        unit = int(rng.integers(-2, len(shares)))
        if unit < 0:
            size = sizes[int(rng.integers(len(sizes)))]
        else:
            shares[unit] = float(rng.choice(choices(tuple(UNITS)[unit])))
    return Candidate(size, tuple(shares))


def _within(
    candidate: Candidate, budget: float, cost: Callable[[Candidate], float], rng: np.random.Generator
) -> Candidate | None:
    """Narrow units drawn at random until a candidate keeps within the budget, then widen while it does."""
    names, shares = tuple(UNITS), list(candidate.shares)
    while cost(Candidate(candidate.size, tuple(shares))) > budget:
        narrower = [unit for unit, name in enumerate(names) if shares[unit] > min(choices(name))]
        if not narrower:
            return None
        unit = int(rng.choice(narrower))
        shares[unit] = max(share for share in choices(names[unit]) if share < shares[unit])
    for unit in rng.permutation(len(names)):
        for share in sorted(choices(names[unit]), reverse=True):
            widened = [*shares[:unit], share, *shares[unit + 1 :]]
            if share > shares[unit] and cost(Candidate(candidate.size, tuple(widened))) <= budget:
                shares = widened
                break
    return Candidate(candidate.size, tuple(shares))


def read_log(path: Path) -> list[Judged]:
    """Return the candidates of a log, without a last line that was cut short.

    Raises PosecError for another file.
    """
    if not path.exists():
        return []
    content = read_plain(path, most_bytes=LARGEST_LOG, error=PosecError, advice="name another log")
    lines = content.decode(errors="replace").split("\n")
    try:
        return [_judged(json.loads(line)) for line in lines[:-1]]
    except (KeyError, TypeError, ValueError) as error:
        raise PosecError(f"'{path}' is no log of a search: {error}; name another folder") from error


def _judged(plain: Any) -> Judged:
    height, width = plain["size"]
    shares = tuple(float(share) for share in plain["shares"])
    candidate = Candidate((int(height), int(width)), shares)
    if candidate.size not in SIZES or len(shares) != len(UNITS):
        raise ValueError(f"a candidate of size {height}x{width} with {len(shares)} shares")
    if any(share not in choices(unit) for unit, share in zip(UNITS, shares, strict=True)):
        raise ValueError("a share that is no choice")
    return Judged(candidate, float(plain["cost"]), float(plain["score"]))


def _plain(judged: Judged) -> dict[str, Any]:
    size, shares = judged.candidate
    return {"size": list(size), "shares": list(shares), "cost": round(judged.cost, 5), "score": judged.score}
