"""Mean-PA-MPJPE@K: how well the nearest embeddings of other cameras have the pose of a query.

Mitra et al., CVPR 2020 ("Multiview-consistent semi-supervised learning"). For each query, the K people with
the nearest embeddings (L2) in pictures of other cameras; their mean PA-MPJPE to the query's true pose, with
scale in Procrustes; and the mean of that over the queries.

The oracle ranks by the true PA-MPJPE. Random is the expectation of a random choice, the same for every K.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import metrics
from .views import EmbeddedPeople

RETRIEVAL = "retrieval"
RANKS = (1, 5, 10, 20)
QUERY_STEP = 64
GALLERIES = ("same person, synchronous in", "same person, synchronous out", "other people")
METHODS = ("embedding", "oracle", "random")


def retrieval_rows(people: EmbeddedPeople, query_step: int = QUERY_STEP) -> list[dict[str, Any]]:
    """Return one row per gallery and method.

    Args:
        people: of all recordings.
        query_step: queries are the people in every `query_step`-th frame.

    Returns:
        Rows with `protocol`, `gallery`, `method`, `queries`, `left_out`: queries with a gallery of fewer than
        20 people, `found_share`, and `mean_pa_mpjpe_K_mm` for each K; None without queries.
    """
    queries = np.flatnonzero(people.instants % query_step == 0)
    curves: dict[tuple[str, str], list[np.ndarray]] = {}
    for query in queries:
        errors = _pa_errors_mm(people.poses_mm, people.poses_mm[query])
        apart = np.linalg.norm(people.embeddings - people.embeddings[query], axis=1)
        for gallery, rows in zip(GALLERIES, _galleries(people, int(query))):
            if len(rows) >= RANKS[-1]:
                ranked = {
                    "embedding": errors[rows[np.argsort(apart[rows], kind="stable")]],
                    "oracle": np.sort(errors[rows]),
                    "random": np.full(RANKS[-1], errors[rows].mean()),
                }
                for method, curve in ranked.items():
                    curves.setdefault((gallery, method), []).append(curve[: RANKS[-1]])
    return [
        _row(curves.get((gallery, method), []), gallery, method, queries=len(queries))
        | {"found_share": people.found_share}
        for gallery in GALLERIES
        for method in METHODS
    ]


def _row(curves: list[np.ndarray], gallery: str, method: str, *, queries: int) -> dict[str, Any]:
    means = {f"mean_pa_mpjpe_{rank}_mm": None for rank in RANKS}  # type: dict[str, Any]
    if curves:
        every = np.array(curves)
        means = {f"mean_pa_mpjpe_{rank}_mm": float(every[:, :rank].mean()) for rank in RANKS}
    counts = {"queries": len(curves), "left_out": queries - len(curves)}
    return {"protocol": RETRIEVAL, "gallery": gallery, "method": method, **counts, **means}


def _galleries(people: EmbeddedPeople, query: int) -> tuple[np.ndarray, ...]:
    """Return the indices of each of GALLERIES."""
    elsewhere = people.cameras != people.cameras[query]
    same = people.subjects == people.subjects[query]
    synchronous = same & (people.instants == people.instants[query])
    return tuple(np.flatnonzero(elsewhere & chosen) for chosen in (same, same & ~synchronous, ~same))


def _pa_errors_mm(found_mm: np.ndarray, truth_mm: np.ndarray) -> np.ndarray:
    """Return PA-MPJPE (N,) of poses (N, J, 3) to one pose (J, 3)."""
    return np.asarray(metrics.joint_errors_mm(metrics.procrustes(found_mm, truth_mm), truth_mm).mean(axis=-1))
