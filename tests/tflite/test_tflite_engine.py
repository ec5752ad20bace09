"""The TFLite engine, and exports for it by the command."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from networks import tiny_graph_of

import calibration
from toolkit.cli import main
from toolkit.commands.interface import inputs
from toolkit.compiler.build import build
from toolkit.runtime import load
from toolkit.runtime.engines import EngineError

pytest.importorskip("litert_torch")
litert = pytest.importorskip("ai_edge_litert.interpreter")
from tflite_files import PI5, PICTURES  # noqa: E402

pytestmark = pytest.mark.tflite


def test_equal_networks_give_equal_bytes(bundles, tmp_path):
    PI5.backend._CACHE.clear()  # or nothing would be converted again
    again = build(tiny_graph_of(), PI5, "float32", ranges=None, out=tmp_path / "again", golden=PICTURES)
    assert again.files == bundles["float32"].files


def test_the_engine_describes_itself_and_refuses_other_batches(bundles):
    engine = load(bundles["int8"].folder, threads=2).engine
    described = engine.describe()
    assert (described["library"], described["threads"], described["kernels"]) == (
        "ai_edge_litert",
        "2",
        "XNNPACK",
    )
    with pytest.raises(
        EngineError, match=r"failed on a batch uint8 .*: the model takes int8 \(1, 64, 96, 3\)"
    ):
        engine(np.zeros((1, 64, 96, 3), np.uint8))
    first = engine(np.zeros((1, 64, 96, 3), np.int8))
    assert engine(np.zeros((1, 64, 96, 3), np.int8))["centre"].shape == first["centre"].shape == (1, 8, 12)


def test_the_engine_refuses_a_file_of_another_format(bundles, tmp_path):
    from toolkit.runtime.engines.tflite import Engine

    (tmp_path / "model.tflite").write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"ai_edge_litert .* cannot open"):
        Engine(str(tmp_path / "model.tflite"), bundles["int8"])


def test_without_a_library_the_error_states_the_command_to_install_it(bundles, monkeypatch):
    for name in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(
        EngineError, match=r"engine 'tflite' cannot be imported.*: pip install ai-edge-litert"
    ):
        load(bundles["int8"].folder)


def test_the_command_prints_json_and_its_stages_only(tiny_checkpoint, tmp_path):
    asked = [
        "export",
        str(tiny_checkpoint),
        "--target",
        "raspberry-pi-4",
        "--precision",
        "float32",
        "-o",
        str(tmp_path / "pi4"),
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *asked], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["target"] == "raspberry-pi-4"
    stages = ["prepare", "rewrite", "lower", "golden", "check in the engine"]
    assert [line.strip() for line in done.stderr.splitlines()] == stages


def test_an_export_reports_float_islands_and_their_cause(tiny_checkpoint, people_pictures, tmp_path, capsys):
    calibration.collect(inputs.checkpoint(tiny_checkpoint), people_pictures).save(tmp_path / "ranges.json")
    asked = [
        "export",
        tiny_checkpoint,
        "--target",
        "raspberry-pi-5",
        "--precision",
        "int8",
        "--calibration",
        tmp_path / "ranges.json",
    ]
    printed = []
    for more in (["-o", tmp_path / "as-text"], ["-o", tmp_path / "as-json", "--json"]):
        assert main([str(word) for word in [*asked, *more]]) == 0
        printed.append(capsys.readouterr().out)
    plain = json.loads(printed[1])
    assert plain["float_islands"] == 1
    assert "float islands: 1 (the heads' last layers, " in printed[0]
    assert printed[0].rstrip().endswith(", ".join(plain["float_layers"]))
