"""A process that starts, imports the runtime, loads a bundle, runs one picture, and prints its times."""

from __future__ import annotations

import json
import sys
import time


def main(folder: str, picture: str, threads: int, started: float) -> None:
    """Print one line of JSON, see `cold_start`; `started` is time.monotonic() of the parent at the start."""
    times = [time.perf_counter()]
    import cv2  # noqa: F401
    import numpy  # noqa: F401

    times.append(time.perf_counter())
    import importlib

    # All that `python -m toolkit.runtime` imports for a run, its engine's library excepted.
    for name in ("estimator", "decoding.decode", "command.run"):
        importlib.import_module(f"toolkit.runtime.{name}")
    from ...runtime import load
    from ...runtime.files.pictures import read_picture
    from ..machine import resident_mb

    times.append(time.perf_counter())
    first = read_picture(picture)
    read = time.perf_counter()
    estimator = load(folder, threads=threads or None)
    loaded = time.perf_counter()
    estimator(first)
    done, now = time.perf_counter(), time.monotonic()
    print(
        json.dumps(
            {
                "libraries_ms": 1000 * (times[1] - times[0]),
                "import_ms": 1000 * (times[2] - times[1]),
                "load_ms": 1000 * (loaded - read),
                "first_ms": 1000 * (done - loaded),
                "start_to_people_ms": 1000 * (now - started),
                "resident_mb": resident_mb(),
            }
        )
    )


if __name__ == "__main__":
    try:
        words = (sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    except (IndexError, ValueError):
        print("usage: cold_start_child BUNDLE PICTURE THREADS STARTED; the bench starts it", file=sys.stderr)
        sys.exit(2)
    main(*words)
