"""A stream with overlapping stages: the next picture is inferred while this one is decoded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...runtime.estimator import Inference, PoseEstimator
from ...runtime.video.overlap import ahead
from .quantiles import is_enough, latency_quantiles


def overlapped_stream(
    estimator: PoseEstimator, pictures: Sequence[np.ndarray], seconds: float
) -> dict[str, Any]:
    """Return `frames`, frames per second, and p50, p90 and p99 in ms, from a picture's start to its people.

    The stream goes on until there are enough frames for p99, but at most six times as long; `quantiles`, see
    `latency_quantiles`, states whether there were.

    `stages_ms` has the median of each stage while stages overlap.

    The source always has a next picture. A thread preprocesses and infers while the caller decodes, so
    throughput rises and the latency of a single picture may rise with it.
    """
    begun = time.perf_counter()

    def inferred() -> Iterator[tuple[float, Inference, dict[str, float]]]:
        count = 0
        while not is_enough(count, time.perf_counter() - begun, seconds):
            started = time.perf_counter()
            found = estimator.infer(pictures[count % len(pictures)])
            # The next picture may overwrite the heads.
            heads = {name: np.array(head) for name, head in found.heads.items()}
            yield started, found._replace(heads=heads), dict(estimator.stages_ms)
            count += 1

    latencies_ms, stages = [], []
    for started, found, stages_ms in ahead(inferred()):
        waiting = time.perf_counter()
        estimator.decode(found.heads, found.letterbox)
        ended = time.perf_counter()
        latencies_ms.append(1000 * (ended - started))
        stages.append({**stages_ms, "decode": 1000 * (ended - waiting)})
    elapsed = time.perf_counter() - begun
    p50, p90, p99 = (round(float(value), 4) for value in np.percentile(latencies_ms, (50, 90, 99)))
    return {
        "frames": len(latencies_ms),
        "fps": round(len(latencies_ms) / elapsed, 3),
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "quantiles": latency_quantiles(latencies_ms),
        "stages_ms": {name: round(float(np.median([row[name] for row in stages])), 4) for name in stages[0]},
    }
