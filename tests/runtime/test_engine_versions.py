"""Bundles open in the oldest, a middle and the newest version of each engine that pyproject.toml allows."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import cv2
import pytest
from networks import spot_picture
from pythons import environment

pytest.importorskip("torch")
from own_networks import Net, parts, write

import calibration
import targets
from toolkit.compiler.build import build
from toolkit.frontend.trace import trace

ROOT = Path(__file__).parents[2]
# Engine → (version, a Python that it was made for). None is the newest that pip has.
ENGINES = {
    "onnxruntime": (
        ("1.16.3", "3.8"),
        ("1.20.1", "3.10"),
        ("1.21.1", "3.10"),
        ("1.23.2", "3.10"),
        (None, "3.12"),
    ),
    "openvino": (("2023.3.0", "3.8"), ("2025.0.0", "3.10"), (None, "3.12")),
}
TARGETS = {"onnxruntime": "generic-cpu", "openvino": "intel-cpu"}
CASES = [
    (engine, version, python, precision)
    for engine, versions in ENGINES.items()
    for version, python in versions
    for precision in ("float32", "int8")
]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, people_pictures):
    """(engine, precision) → a bundle of a network with a Clip that ONNX Runtime 1.21 to 1.30 cannot fuse."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    checkpoint = write(folder / "own", Net(parts()["hardtanh-inside"]), "onnx-17")
    for engine, target in TARGETS.items():
        for precision in ("float32", "int8"):
            graph = trace(checkpoint)
            ranges = calibration.collect(graph, people_pictures) if precision == "int8" else None
            made[engine, precision] = folder / f"{engine}-{precision}"
            build(
                graph,
                targets.load(target),
                precision,
                ranges=ranges,
                out=made[engine, precision],
                golden=people_pictures,
            )
    return made


@pytest.fixture(scope="module")
def pythons(tmp_path_factory):
    """A Python with a version of an engine, made once for both precisions."""
    made: dict[tuple[str, str | None], str] = {}

    def python(engine: str, version: str | None, of: str) -> str:
        if (engine, version) not in made:
            wanted = f"{engine}=={version}" if version else engine
            made[engine, version] = environment(
                tmp_path_factory.mktemp(engine) / "env", of, wanted, "numpy", "opencv-python-headless"
            )
        return made[engine, version]

    return python


@pytest.mark.parametrize("engine", ENGINES)
def test_the_oldest_version_is_the_one_that_the_extra_states(engine):
    (stated,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][
        engine
    ]
    oldest = ENGINES[engine][0][0]
    assert stated == f"{engine}>={oldest.rsplit('.', 1)[0]}"


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "version", "python", "precision"), CASES)
def test_a_bundle_runs_in_this_version(engine, version, python, precision, bundles, pythons, tmp_path):
    cv2.imwrite(str(tmp_path / "two.png"), spot_picture(2, seed=2))
    command = [
        pythons(engine, version, python),
        "-m",
        "toolkit",
        "run",
        str(bundles[engine, precision]),
        "--source",
        str(tmp_path / "two.png"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "people on 1" in done.stderr
