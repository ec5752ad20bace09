"""Decoding runs on the calling thread alone, in any order of imports, for any OPENBLAS_NUM_THREADS."""

import json
import os
import subprocess
import sys

import pytest
from processes import ROOT

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")

DECODE = """
import json, os, time
import cv2
import numpy as np
from toolkit.device.timing.decode_cost import crowd_heads
from toolkit.frontend.trace import trace
from toolkit.runtime.decoding.decode import decode_heads
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.preprocess import place

graph = trace("reference")
spec, decoder = graph.spec, layers(graph.decoder)
box, found = place(*spec.input_size, spec)[0], []

def measure(work):
    work()
    threads, start, own = len(os.listdir("/proc/self/task")), time.process_time(), time.thread_time()
    while time.thread_time() - own < 0.2:
        work()
    used, own = time.process_time() - start, time.thread_time() - own
    return {"other threads": used / own - 1, "started": len(os.listdir("/proc/self/task")) - threads}

for people in (1, 5, 50):
    heads = crowd_heads(spec, people)
    decode = lambda: decode_heads(heads, spec, decoder, letterbox=box)
    found.append({"people": len(decode()), **measure(decode)})
large = np.ones((700, 700), np.float32)
tries = [measure(lambda: large @ large) for _ in range(5)]  # a busy machine may give the threads no time
found.append({"people": "a large product", **max(tries, key=lambda one: one["other threads"])})
print(json.dumps(found))
"""


STAGE = """
import json, os, sys, time
import numpy as np
sys.path.insert(0, "tests/support")
from walking_people import detections, random_network
from toolkit.frontend.trace import trace
from toolkit.network.temporal import temporal_arrays
from toolkit.runtime.temporal.stage import TemporalStage

spec, found = trace("reference").spec, []
arrays = temporal_arrays(random_network(spec))
for people in (1, 5, 20):
    stage, frames = TemporalStage(arrays, spec), detections(spec, people, 30)
    threads, start, own, updates = len(os.listdir("/proc/self/task")), None, None, 0
    while own is None or time.thread_time() - own < 0.2:
        for frame, evidence in frames:
            stage.update(frame, range(people), updates / 30, evidence=evidence)
            updates += 1
        if own is None:
            start, own, counted = time.process_time(), time.thread_time(), updates
    used, own = time.process_time() - start, time.thread_time() - own
    started = len(os.listdir("/proc/self/task")) - threads
    ms = 1000 * own / (updates - counted)
    found.append({"people": people, "other threads": used / own - 1, "started": started, "ms": ms})
print(json.dumps(found))
"""


def measured(threads: str, script: str = DECODE) -> list[dict]:
    """Return the processor time of other threads as a share of the measured thread's, and their number."""
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    given |= {"PYTHONPATH": str(ROOT), **({"OPENBLAS_NUM_THREADS": threads} if threads else {})}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=given,
        check=True,
        timeout=300,
        cwd=ROOT,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("threads", ["", "8"])
def test_decoding_uses_no_other_thread(threads):
    *decoding, product = measured(threads)
    assert [row["people"] for row in decoding] == [1, 5, 50]
    for row in decoding:
        assert row["started"] == 0, row
        assert abs(row["other threads"]) < 0.02, row
    if (os.cpu_count() or 1) > 1:  # the measurement sees the threads of BLAS where there are some
        assert product["other threads"] > 0.1


@pytest.mark.torch
@pytest.mark.parametrize("threads", ["", "8"])
def test_the_temporal_stage_uses_no_other_thread_and_little_time(threads):
    for row in measured(threads, STAGE):
        assert row["started"] == 0, row
        assert abs(row["other threads"]) < 0.02, row
        # A wide margin for a loaded machine; a loop over people or past frames takes more.
        assert row["ms"] < 3 + 0.35 * row["people"], row
