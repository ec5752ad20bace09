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
found.append({"people": "a large product", **measure(lambda: large @ large)})
print(json.dumps(found))
"""


def measured(threads: str) -> list[dict]:
    """Return the processor time of other threads as a share of the decoding thread's, and their number."""
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    given |= {"PYTHONPATH": str(ROOT), **({"OPENBLAS_NUM_THREADS": threads} if threads else {})}
    done = subprocess.run(
        [sys.executable, "-c", DECODE], capture_output=True, text=True, env=given, check=True, timeout=300
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
