"""Light on a board: what a start costs, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import pytest
from networks import spot_picture
from processes import environment
from tiny_bundles import write_tiny_bundle

import targets
from toolkit import trace
from toolkit.compiler.build import build
from toolkit.device.result import Result
from toolkit.device.timing.cold_start import cold_start
from toolkit.report.sections.cold_start import cold_start_section

IMPORT = """
import json, sys, time
import numpy, cv2
before, start = set(sys.modules), time.process_time()
import toolkit.runtime.command.run, toolkit.runtime.estimator, toolkit.runtime.decoding.decode
took = time.process_time() - start
print(json.dumps([took, sorted({name.split(".")[0] for name in set(sys.modules) - before})]))
"""
HEAVY = {
    "http",
    "socketserver",
    "onnx",
    "onnxruntime",
    "openvino",
    "torch",
    "tomllib",
    "asyncio",
    "multiprocessing",
}


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), spot_picture(2, seed=2))
    return path


def test_the_runtime_is_imported_in_a_fifth_of_a_second_beyond_numpy_and_cv2(tmp_path):
    # As on a board: the first start compiles the modules, later ones read them.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    took, modules = [], set()
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT],
            env={**environment(), **compiled},
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, names = json.loads(done.stdout)
        took.append(seconds)
        modules |= set(names)
    assert min(took) < 0.2
    assert not modules & HEAVY


def test_a_cold_start_is_measured_from_the_start_of_python_to_the_first_people(tmp_path, picture):
    bundle = write_tiny_bundle(tmp_path / "bundle").folder
    start = cold_start(bundle, picture, seconds=0.0)
    parts = sum(start[name] for name in ("libraries_ms", "import_ms", "load_ms", "first_ms"))
    assert 0 < parts < start["start_to_people_ms"] < 60_000
    assert 20 < start["resident_mb"] < 1000


def test_a_bundle_that_cannot_run_has_no_cold_start(tmp_path, picture):
    assert cold_start(tmp_path / "none", picture) == {}


def test_the_report_shows_cold_start_and_memory_and_leaves_out_results_without(tmp_path):
    bundle = {"name": "tiny", "target": "generic-cpu", "precision": "int8", "sha256": "0" * 64}
    cold = {"libraries_ms": 101.0, "import_ms": 99.4, "load_ms": 62.0, "first_ms": 63.0}
    bench = {
        "cold": {**cold, "start_to_people_ms": 371.0},
        "memory": {"resident_mb": 137.0, "peak_mb": 140.2},
    }
    old = {"cold": {"load_ms": 62.0, "first_ms": 63.0}, "memory": {"peak_mb": 140.2}}
    section = cold_start_section([Result(bundle, each, None, (), ()) for each in (bench, old)])
    assert section.count("<tr>") == 2
    for text in ("Cold start and memory", "99.4", "371", "137", "140"):
        assert text in section
    assert cold_start_section([Result(bundle, old, None, (), ())]) == ""


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.tflite
def test_the_reference_network_needs_less_than_200_mb_with_tflite(tmp_path):
    pytest.importorskip("litert_torch")
    build(trace("reference"), targets.load("raspberry-pi-5"), "float32", out=tmp_path / "pi5")
    picture = next((tmp_path / "pi5/golden").glob("*.png"), None) or next(
        (tmp_path / "pi5/golden").glob("*.jpg")
    )
    start = cold_start(tmp_path / "pi5", picture, seconds=0.0)
    assert start["resident_mb"] < 200
