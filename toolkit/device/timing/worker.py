"""A process that measures one bundle on request; one per bundle keeps load times and memory separate.

Reads one JSON request per line from stdin and answers with one JSON line on stdout:
{"answer": …} or {"refused": "reason"}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

# Imported before the runtime, as in a program of the user, so that the load time excludes them.
import cv2
import numpy as np

from ..energy import EnergyMeter, Sensor, find_sensor
from ..machine import machine_state, peak_memory_mb
from .decode_cost import decode_cost
from .overlapped import overlapped_stream

STAGES = ("preprocess", "inference", "decode")
SLICE_S = 1.0  # of a sustained run: one entry each


class Worker:
    """A loaded bundle, and the pictures that it runs on in turn."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []
        self.count = 0
        self.started_cpu_s = time.process_time()

    def load(
        self, folder: str, pictures: list[str], *, size: list[int] | None, threads: int | None
    ) -> dict[str, Any]:
        """Open the bundle and run the first picture; return the cold times and the engine's description."""
        self.pictures = [read(path, size) for path in pictures]
        start = time.perf_counter()
        from ...runtime import load

        self.estimator = load(folder, threads=threads)
        loaded = time.perf_counter()
        people = len(self.estimator(self.pictures[0]))
        first = time.perf_counter()
        return {
            "load_ms": round(1000 * (loaded - start), 3),
            "first_ms": round(1000 * (first - loaded), 3),
            "people": people,
            "engine": self.estimator.engine.describe(),
            "libraries": {"numpy": np.__version__, "cv2": cv2.__version__},
            "shapes": [list(picture.shape[:2]) for picture in self.pictures],
        }

    def run(self, frames: int) -> list[list[float]]:
        """Return a row per frame: the stages, total and processor time of all threads in ms, and people.

        The first frame is not counted: it refills the caches that another bundle has emptied.
        Its picture is run again, or turns as long as the list of pictures would never count it.
        """
        self._run_next()
        self.count -= 1
        return [self._run_next() for _ in range(frames)]

    def sustain(self, seconds: float) -> dict[str, Any]:
        """Run continuously.

        Returns `slices`: latencies, temperatures, clocks and throttling of every second; and `energy`, see
        `EnergyMeter.stop`, or `absent`: the reason why it cannot be measured.
        """
        slices: list[dict[str, Any]] = []
        sensor = find_sensor()
        meter = EnergyMeter(sensor) if isinstance(sensor, Sensor) else None
        if meter:
            meter.start()
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            slices.append(self._slice(start))
        energy = {"absent": str(sensor)}
        if meter:
            energy = meter.stop(sum(entry["frames"] for entry in slices))
        return {"slices": slices, "energy": energy}

    def _slice(self, start: float) -> dict[str, Any]:
        """Run for a second; `start` is the beginning of the sustained run."""
        begun, latencies = time.perf_counter(), []
        while time.perf_counter() - begun < SLICE_S:
            latencies.append(self._run_next()[3])
        state = machine_state()
        p50, p90 = (round(float(value), 4) for value in np.percentile(latencies, (50, 90)))
        return {
            "at_s": round(time.perf_counter() - start, 2),
            "frames": len(latencies),
            "p50_ms": p50,
            "p90_ms": p90,
            "temperatures_c": state["temperatures_c"],
            "frequencies_mhz": state["frequencies_mhz"],
            "throttled": state["throttled"],
        }

    def overlap(self, seconds: float) -> dict[str, Any]:
        """Return latency and throughput with overlapping stages, see `overlapped_stream`."""
        return overlapped_stream(self.estimator, self.pictures, seconds)

    def decode_cost(self) -> list[dict[str, Any]]:
        """Return the decoding time by number of people, see `decode_cost`."""
        return decode_cost(self.estimator.spec, self.estimator.decoder)

    def finish(self) -> dict[str, Any]:
        """Return the peak memory of the process and its processor time over all threads."""
        return {
            "peak_memory_mb": peak_memory_mb(),
            "cpu_s": round(time.process_time() - self.started_cpu_s, 3),
        }

    def _run_next(self) -> list[float]:
        picture = self.pictures[self.count % len(self.pictures)]
        self.count += 1
        start, start_cpu = time.perf_counter(), time.process_time()
        people = self.estimator(picture)
        total, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        stages = self.estimator.stages_ms
        return [
            *(round(stages[name], 4) for name in STAGES),
            round(1000 * total, 4),
            round(1000 * cpu, 4),
            len(people),
        ]


# Names of requests: the public methods of the worker.
REQUESTS = tuple(name for name, method in vars(Worker).items() if callable(method) and name[0] != "_")


def read(path: str, size: list[int] | None) -> np.ndarray:
    """Return a picture, resized to (height, width) if a size is given. Raises SourceError if unreadable."""
    from ...runtime.files.pictures import read_picture

    picture = read_picture(path)
    return cv2.resize(picture, (size[1], size[0])) if size else picture


def main() -> None:
    """Answer requests until stdin ends."""
    # Engines may print to stdout, so the answers have a pipe of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or request.get("do") not in REQUESTS:
                raise ValueError(f"a request is a JSON object with 'do', one of {', '.join(REQUESTS)}")
            reply = {"answer": getattr(worker, request.pop("do"))(**request)}
        except (ValueError, OSError, RuntimeError, TypeError) as error:
            reply = {"refused": str(error)}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
