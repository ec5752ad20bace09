"""Measure the loop of `--web` with 0, 1 and 5 viewers: rounds in turn, medians and ratios.

python -m research.benchmarks.live_view BUNDLE [--seconds 120] [--round 3]

The viewers are processes of their own at the lowest priority, so that what they do with the pictures does not
count. The loop takes pictures of 1280x720 from memory without a pause, which is the worst case: the server
finds no idle time. `latency` is wall-clock time of a frame; `cpu` is the processor time of the whole process
(engine, loop and server) per frame; `write` is processor time of the loop for handing a frame over;
`encoded` is JPEG files per second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from toolkit.runtime import load
from toolkit.runtime.video.frames import CapturedFrame
from toolkit.runtime.video.result import Estimate, Result, Tracked
from toolkit.runtime.video.sources import Source
from toolkit.runtime.web.viewer import Viewer

CLIP = Path(__file__).parents[2] / "toolkit/samples/clip.mp4"
VIEWERS = (0, 1, 5)
WARM_UP = 3
# Asks for one picture after the other over one connection, as the page does.
LOOK = """
import http.client, os, sys
os.nice(19)
connection, number = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1])), 0
while True:
    connection.request("GET", f"/next?after={number}")
    body = connection.getresponse().read()
    if body:
        head = body[4:4 + int.from_bytes(body[:4], "big")]
        number = int(head.split(b'"number": ')[1].split(b",")[0])
"""


def pictures() -> list[np.ndarray]:
    """Return pictures (720, 1280, 3) of the sample clip."""
    capture, found = cv2.VideoCapture(str(CLIP)), []
    while (read := capture.read())[0] and len(found) < 40:
        found.append(cv2.resize(read[1], (1280, 720)))
    return found


def main() -> None:
    """Print a row for each number of viewers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--round", type=float, default=3.0)
    args = parser.parse_args()
    estimator = load(args.bundle)
    shown, source = cycle(pictures()), Source(iter(()), live=True)
    viewer = Viewer("0", estimator)
    times: dict[int, list[float]] = {count: [] for count in VIEWERS}
    costs: dict[int, list[float]] = {count: [] for count in VIEWERS}
    puts: dict[int, list[float]] = {count: [] for count in VIEWERS}
    rates: dict[int, list[float]] = {count: [] for count in VIEWERS}
    end = time.monotonic() + args.seconds
    while time.monotonic() < end:
        for count in VIEWERS:
            command = [sys.executable, "-c", LOOK, str(viewer.server.port)]
            looking = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(count)]
            time.sleep(0.7 if count else 0.0)
            latencies, encoded = [], viewer.server.feed.encoded
            begun, begun_cpu = time.perf_counter(), 0.0
            while time.perf_counter() - begun < args.round or len(latencies) <= WARM_UP:
                if len(latencies) == WARM_UP:
                    begun_cpu = time.process_time()
                start = time.perf_counter()
                picture = next(shown)
                people, evidence = estimator.detect(picture)[:2]
                frame = CapturedFrame("0", picture, 0.0)
                estimate = Estimate(frame, people, evidence, dict(estimator.stages_ms), start, 0)
                result = Result(estimate, Tracked(people, list(range(len(people)))), source)
                put_at = time.thread_time()
                viewer.write(result)
                puts[count].append(1e6 * (time.thread_time() - put_at))
                latencies.append(1000 * (time.perf_counter() - start))
            took = time.perf_counter() - begun
            times[count].append(float(np.median(latencies[WARM_UP:])))
            costs[count].append(1000 * (time.process_time() - begun_cpu) / (len(latencies) - WARM_UP))
            rates[count].append((viewer.server.feed.encoded - encoded) / took)
            for process in looking:
                process.kill()
                process.wait()
    print(f"{len(times[0])} rounds, {os.cpu_count()} logical CPUs, load {os.getloadavg()[0]:.1f}")
    print("viewers  latency ms  ratio (p10, p90)     cpu ms  ratio  write us  encoded/s")
    for count in VIEWERS:
        ratios = np.array(times[count]) / np.array(times[0])
        low, high = np.percentile(ratios, (10, 90))
        cost = np.median(np.array(costs[count]) / np.array(costs[0]))
        print(
            f"{count:7d}  {np.median(times[count]):10.1f}  {np.median(ratios):.3f} ({low:.2f}, {high:.2f})"
            f"  {np.median(costs[count]):9.1f}  {cost:.3f}  {np.median(puts[count]):8.0f}"
            f"  {np.median(rates[count]):9.1f}"
        )
    viewer.server.close()


if __name__ == "__main__":
    main()
