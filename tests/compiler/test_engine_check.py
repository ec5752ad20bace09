"""A bundle is written only if its engine, in another process, computes the heads of its graph."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from networks import spot_picture, tiny_graph_of

torch = pytest.importorskip("torch")
from own_networks import Net, parts, write  # noqa: E402

import targets  # noqa: E402
from toolkit.cli import main  # noqa: E402
from toolkit.compiler import build as compiler  # noqa: E402
from toolkit.errors import PosecError  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spots")
    for seed in range(20):
        cv2.imwrite(str(folder / f"{seed}.png"), spot_picture(seed % 5 + 1, seed=seed))
    return str(folder)


def export_int8(part: str, target: str, frames: str, folder) -> tuple[int, str]:
    """Calibrate and export a network with a part; return the exit status, and the folder to be."""
    checkpoint, calibration, out = (
        str(write(folder / "own", Net(parts()[part]), "onnx-17")),
        str(folder / "c.json"),
        folder / "out",
    )
    assert main(["calibrate", checkpoint, "--frames", frames, "-o", calibration, "--force"]) == 0
    status = main(
        [
            "export",
            checkpoint,
            "--target",
            target,
            "--precision",
            "int8",
            "--calibration",
            calibration,
            "--golden",
            frames,
            "-o",
            str(out),
        ]
    )
    return status, out


@pytest.mark.openvino
def test_a_file_that_ends_its_engine_is_not_written(frames, tmp_path, capsys):
    status, out = export_int8("split-scaled", "intel-cpu", frames, tmp_path)
    printed = capsys.readouterr().err
    if status == 0:  # a later OpenVINO may run it
        command = [sys.executable, "-m", "toolkit", "verify", str(out)]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode in (0, 1)
    else:
        assert "openvino cannot run this file" in printed
        assert not out.exists()


@pytest.mark.openvino
def test_heads_that_differ_beyond_rounding_are_refused(frames, tmp_path, capsys):
    status, out = export_int8("instance-norm", "intel-cpu", frames, tmp_path)
    printed = capsys.readouterr().err
    if status == 0:  # a later OpenVINO may compute it as the graph does
        assert main(["verify", str(out)]) == 0
    else:
        assert "otherwise than the graph" in printed
        assert not out.exists()


def test_the_same_network_passes_in_an_engine_that_computes_it_as_the_graph_does(frames, tmp_path):
    status, out = export_int8("instance-norm", "generic-cpu", frames, tmp_path)
    assert status == 0
    assert (out / "bundle.json").is_file()


@pytest.mark.parametrize("name", ["generic-cpu", "intel-cpu", "raspberry-pi-5"])
@pytest.mark.parametrize("fault", ["other weights", "no model"])
def test_every_installed_engine_is_checked(name, fault, tmp_path, monkeypatch, people_pictures):
    target = targets.load(name)
    if why := target.backend.missing():
        pytest.skip(why)
    lower = target.backend.lower

    def wrong(graph, job):
        if fault == "no model":
            return dict.fromkeys(lower(graph, job), b"no model")
        changed = graph.copy()
        changed.model.graph.initializer[0].CopyFrom(_scaled(changed.model.graph.initializer[0], 1.2))
        return lower(changed, job)

    monkeypatch.setattr(target.backend, "lower", wrong)
    with pytest.raises(
        PosecError, match="otherwise than the graph" if fault == "other weights" else "cannot run this file"
    ):
        compiler.build(tiny_graph_of(), target, "float32", out=tmp_path / "out", golden=people_pictures)
    assert not (tmp_path / "out").exists()


def _scaled(tensor, factor):
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    return numpy_helper.from_array((values * factor).astype(values.dtype), tensor.name)
