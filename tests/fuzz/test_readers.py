"""Random changes of valid files: a reader returns or refuses with an error of its own, soon and in bounds.

POSEC_FUZZ_SECONDS is the time for each reader after a first batch; the file POSEC_FUZZ_LOG gets the counts.
Equal POSEC_FUZZ_SEED, equal changes; another seed looks elsewhere.
"""

from __future__ import annotations

import json
import os
import resource
import time
from datetime import timedelta
from pathlib import Path

import pytest

hypothesis = pytest.importorskip("hypothesis")

from fuzz_changes import changed_bytes, changed_json  # noqa: E402
from fuzz_seeds import READERS  # noqa: E402
from hypothesis import HealthCheck  # noqa: E402

SECONDS = float(os.environ.get("POSEC_FUZZ_SECONDS", "0"))
MOST_MEMORY_MB = 1500
SLOWEST_S = 20
BATCH = 50
SETTINGS = hypothesis.settings(
    max_examples=BATCH,
    deadline=timedelta(seconds=SLOWEST_S),
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@pytest.mark.parametrize("name", READERS)
def test_changed_files_are_read_or_refused(name, tmp_path):
    reader = READERS[name]
    path = reader.write(tmp_path)
    content = path.read_bytes()
    reader.read(path)
    counts = {"reader": name, "read": 0, "refused": 0, "slowest_s": 0.0}
    before_mb = memory_mb()

    def attempt(changed: bytes) -> None:
        path.write_bytes(changed)
        started = time.monotonic()
        try:
            reader.read(path)
            counts["read"] += 1
        except reader.error:
            counts["refused"] += 1
        counts["slowest_s"] = max(counts["slowest_s"], round(time.monotonic() - started, 3))

    changes = changed_json(content) if reader.form == "json" else changed_bytes(content)
    ends, batch = time.monotonic() + SECONDS, 0
    first = int(os.environ.get("POSEC_FUZZ_SEED", "0"))
    while not batch or time.monotonic() < ends:
        hypothesis.seed(first + batch)(SETTINGS(hypothesis.given(changes)(attempt)))()
        batch += 1
    grown_mb = memory_mb() - before_mb
    assert counts["refused"] > 0
    assert grown_mb < MOST_MEMORY_MB
    if log := os.environ.get("POSEC_FUZZ_LOG"):
        with Path(log).open("a") as file:
            file.write(json.dumps({**counts, "grown_mb": round(grown_mb)}) + "\n")
