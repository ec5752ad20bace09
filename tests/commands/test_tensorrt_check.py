"""tensorrt-check: rules that a model breaks."""

from __future__ import annotations

from command_line import json_of, refusal, run


def test_a_model_without_broken_rules_passes(tiny_checkpoint, capsys):
    model = tiny_checkpoint / "model.onnx"
    found = json_of(capsys, "tensorrt-check", model, "--tensorrt", "8.6", "10.3")
    assert found == {"8.6": [], "10.3": []}
    assert run("tensorrt-check", model, "--tensorrt", "8.6") == 0
    assert capsys.readouterr().out == "TensorRT 8.6: no known rule broken\n"


def test_the_broken_rules_of_a_model_are_named(bundle, capsys):
    line = ["tensorrt-check", bundle / "model.onnx", "--tensorrt", "8.6"]
    found = json_of(capsys, *line, status=1)
    assert "zero point" in {finding["rule"] for finding in found["8.6"]}
    assert run(*line) == 1
    assert f"TensorRT 8.6: {len(found['8.6'])} rules broken" in capsys.readouterr().out


def test_unknown_versions_and_broken_files_are_refused(tiny_checkpoint, tmp_path, capsys):
    model = tiny_checkpoint / "model.onnx"
    assert "known: 8.2" in refusal(capsys, "tensorrt-check", model, "--tensorrt", "7.1")
    (tmp_path / "no.onnx").write_bytes(b"no model")
    line = ["tensorrt-check", tmp_path / "no.onnx", "--tensorrt", "8.6"]
    assert "is not an ONNX model" in refusal(capsys, *line)
