"""The runtime on the instruction set of a Raspberry Pi: people, numbers as on x86, kernels as expected."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from arm64_pictures import PICTURES

from toolkit.deploy.deploy import board_files
from toolkit.runtime.preprocess import to_batch

HERE = Path(__file__).parent
TOOLKIT = HERE.parents[1] / "toolkit"
# Both libraries compute floats by XNNPACK. tflite-runtime 2.14 has its own integer kernels: 14 layers and
# the step to floats.
CASES = [
    ("litert", "float32", "XNNPACK"),
    ("litert", "int8", "XNNPACK"),
    ("tflite-runtime", "float32", "XNNPACK"),
    ("tflite-runtime", "int8", "the library's own for 15 operators, XNNPACK for the rest"),
]


@pytest.fixture(scope="module")
def carried(root, bundles, tmp_path_factory):
    """Folder inside the root with what a deployment carries, the bundles, and the script of these tests."""
    folder = tmp_path_factory.mktemp("carried")
    for path in board_files():
        (folder / "toolkit" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOOLKIT / path, folder / "toolkit" / path)
    shutil.copy(HERE / "heads_of.py", folder)
    for precision, bundle in bundles.items():
        shutil.copytree(bundle.folder, folder / precision)
        # The same batches on both sides: cv2 resizes by other instructions on Arm.
        batches = {
            str(number): to_batch(picture, bundle.spec, bundle.frame)[0]
            for number, picture in enumerate(PICTURES)
        }
        np.savez(folder / f"{precision}.npz", **batches)
    return root.put(folder, "carried")


@pytest.fixture(scope="module")
def on_arm(root, carried):
    """(library, precision) → what the script printed and wrote inside the root, as a Raspberry Pi 4."""
    root.become("raspberry-pi-4")
    found = {}
    for runtime, precision, _ in CASES:
        out = f"{carried}/{runtime}-{precision}.npz"
        given = [f"{carried}/{precision}", f"{carried}/{precision}.npz", out]
        printed = root.run(runtime, f"{carried}/heads_of.py", *given, path=carried).stdout.splitlines()[-1]
        found[runtime, precision] = json.loads(printed), np.load(f"{root.system}{out}")
    return found


def on_x86(root, carried, runtime, precision, out):
    """Return what the same script writes on this machine with the same packages, and what it prints."""
    inside = Path(f"{root.system}{carried}")
    # -S: without the packages of the tests' own environment.
    command = [
        sys.executable,
        "-S",
        str(inside / "heads_of.py"),
        str(inside / precision),
        str(inside / f"{precision}.npz"),
        str(out),
    ]
    environment = {"PYTHONPATH": f"{inside}:{root.x86(runtime)}"}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1]), np.load(out)


@pytest.mark.parametrize(("runtime", "precision", "kernels"), CASES)
def test_the_library_uses_the_kernels_of_the_plan(on_arm, runtime, precision, kernels):
    answer, _ = on_arm[runtime, precision]
    assert answer["kernels"] == kernels
    assert answer["library"] == {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}[runtime]


@pytest.mark.parametrize(("runtime", "precision", "kernels"), CASES)
def test_heads_are_those_of_the_same_library_on_x86(
    root, carried, on_arm, runtime, precision, kernels, tmp_path
):
    answer, arm = on_arm[runtime, precision]
    same, x86 = on_x86(root, carried, runtime, precision, tmp_path / "heads.npz")
    assert [same[key] for key in ("library", "version", "kernels")] == [
        answer[key] for key in ("library", "version", "kernels")
    ]
    assert set(arm.files) == set(x86.files)
    for name in arm.files:
        if name.endswith("integers"):
            steps = np.abs(arm[name].astype(int) - x86[name])
            assert len(np.unique(x86[name])) > 50
            if runtime == "litert":
                assert steps.max() == 0, name
            else:
                assert steps.max() <= 8, name
                assert (steps > 0).mean() <= 0.03, name
        elif precision == "float32" or runtime == "litert":
            np.testing.assert_allclose(arm[name], x86[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("runtime", "precision", "kernels"), CASES)
def test_the_golden_people_are_found_again(root, carried, runtime, precision, kernels):
    answer = root.run(
        runtime, "-m", "toolkit.device", "check", f"{carried}/{precision}", path=carried
    ).stdout.splitlines()[-1]
    drift = json.loads(answer)["drift"]
    print(f"{runtime} {precision}: {drift['drift_mm']:.2f} mm, {drift['people']} people")
    assert drift["within"]
    assert drift["people"] == 10


def test_the_floor_alone_finds_people(root, carried):
    """The folder toolkit/runtime by itself, under another name, with numpy, cv2 and one engine."""
    alone = root.put(TOOLKIT / "runtime", "alone/floor")
    code = f"""
import sys; sys.path.insert(0, {str(Path(alone).parent)!r})
from floor import load, read_bundle
estimator = load({carried + "/int8"!r}, threads=1)
print([len(estimator(picture)) for picture, _ in read_bundle({carried + "/int8"!r}).golden()])
assert not any(name.split(".")[0] in ("toolkit", "onnx", "torch") for name in sys.modules)
"""
    assert root.run("litert", "-c", code).stdout.splitlines()[-1] == "[1, 2, 3, 4]"


def test_without_a_library_the_error_names_the_package(root, carried):
    half = root.system / "opt/half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for name in ("numpy", "numpy.libs", "cv2", "opencv_python_headless.libs"):
        (half / name).symlink_to(f"/opt/litert/{name}")
    failed = root.run(
        "half", "-m", "toolkit.runtime", f"{carried}/int8", "--source", "0", path=carried, check=False
    )
    assert failed.returncode == 2
    assert "engine 'tflite' cannot be imported" in failed.stderr
    assert "pip install ai-edge-litert" in failed.stderr


def test_the_board_describes_itself(on_arm):
    answer, _ = on_arm["litert", "int8"]
    assert answer["machine"]["architecture"] == "aarch64"
    assert answer["machine"]["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert "Raspberry Pi 4 Model B" in answer["machine"]["cpu"]
    assert answer["state"]["governor"] == "ondemand"
    assert answer["state"]["throttled"] == {"flags": ["throttled since boot"]}
    assert answer["state"]["temperatures_c"] == {"cpu-thermal": 48.0}


def test_memory_fits_a_zero_2(on_arm):
    for (runtime, precision), (answer, _) in on_arm.items():
        print(f"{runtime} {precision}: {answer['peak_mb']} MB resident at most")
        assert answer["peak_mb"] < 300  # of 512, with the emulator's own
