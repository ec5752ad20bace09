"""One checkout in one process, for `frame_time`: answers each line of JSON on stdin with one on stdout.

    PYTHONPATH=CHECKOUT python frame_time_child.py numpy|posec

The word is the first import: numpy and cv2, as in programs of users, or the runtime, as in `posec run`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

if sys.argv[1] == "numpy":
    import cv2
    import numpy as np
from toolkit.runtime import load

if sys.argv[1] != "numpy":
    import cv2
    import numpy as np

LOADED: dict[str, Any] = {}


def open_bundle(name: str, folder: str, threads: int | None = None) -> None:
    """Load a bundle under a name."""
    LOADED[name] = load(folder, threads)


def frames(name: str, picture: str, count: int) -> dict[str, float]:
    """Return medians in ms over `count` frames of 1280 x 720, `rest` without inference, and people."""
    estimator = LOADED[name]
    pixels = cv2.resize(cv2.imread(picture), (1280, 720))
    rows, people = [], 0
    for _ in range(count + 1):
        start, processor = time.perf_counter(), time.process_time()
        people = len(estimator(pixels))
        total, used = 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - processor)
        stages = estimator.stages_ms
        rows.append((total, total - stages["inference"], stages["inference"], used))
    names = ("total", "rest", "inference", "processor")
    return {**dict(zip(names, np.median(rows[1:], axis=0).tolist(), strict=True)), "people": people}


def engine(name: str, count: int) -> dict[str, float]:
    """Return medians of wall and processor time of the engine alone."""
    estimator = LOADED[name]
    batch, rows = estimator._batch.array, []
    for _ in range(count + 1):
        start, processor = time.perf_counter(), time.process_time()
        estimator.engine(batch)
        rows.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - processor)))
    return dict(zip(("inference", "processor"), np.median(rows[1:], axis=0).tolist(), strict=True))


def decode(name: str, heads: str, count: int) -> dict[str, float]:
    """Return the median time to decode the heads in an .npz file, without an engine beside it."""
    from toolkit.runtime.preprocess import place

    try:
        from toolkit.runtime.decoding.decode import decode_heads
    except ImportError:  # checkouts of before decoding had a folder
        from toolkit.runtime.decode import decode_heads
    estimator = LOADED[name]
    spec, decoder, rows = estimator.bundle.spec, estimator.bundle.decoder(), []
    box = place(*spec.input_size, spec)[0]
    with np.load(heads) as stored:
        found = {head: stored[head] for head in stored.files}
    for _ in range(count + 2):
        start = time.perf_counter()
        decode_heads(found, spec, decoder, box)
        rows.append(1000 * (time.perf_counter() - start))
    return {"decode": float(np.median(rows[2:]))}


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(globals()[request.pop("do")](**request)) + "\n")
        answers.flush()


main()
