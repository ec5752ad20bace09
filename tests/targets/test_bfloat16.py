"""bfloat16 for intel-cpu: exported and searched where the CPU has it, else refused with the next choice."""

import json

import cv2
import pytest
from networks import spot_picture

import targets
from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.runtime import load
from toolkit.runtime.bundle import read_bundle
from toolkit.runtime.engines.cpu import computes_bfloat16
from toolkit.verification.precision_search import searched

pytestmark = pytest.mark.openvino
HERE = pytest.mark.skipif(not computes_bfloat16(), reason="this CPU does not compute in bfloat16")
INTEL = ("--target", "intel-cpu", "--precision", "bfloat16")


@pytest.fixture
def other_cpu(monkeypatch):
    monkeypatch.setattr("targets.openvino.computes_bfloat16", lambda: False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for people in range(1, 4):
        cv2.imwrite(str(folder / f"{people}.png"), spot_picture(people, seed=people))
    return folder


@HERE
def test_an_export_holds_float32_weights_and_runs_in_bfloat16(tiny_checkpoint, pictures, tmp_path, capsys):
    for precision in ("float32", "bfloat16"):
        words = [
            "export",
            tiny_checkpoint,
            *INTEL[:3],
            precision,
            "--golden",
            pictures,
            "-o",
            tmp_path / precision,
        ]
        assert main([str(word) for word in words]) == 0
    bundle = read_bundle(tmp_path / "bfloat16")
    assert (bundle.precision, bundle.scheme, bundle.allowed["drift_mm"]) == ("bfloat16", None, 8)
    assert (tmp_path / "bfloat16" / "model.onnx").read_bytes() == (
        tmp_path / "float32" / "model.onnx"
    ).read_bytes()
    computed = [load(str(tmp_path / name)).describe()["float precision"] for name in ("float32", "bfloat16")]
    assert computed == ["f32", "bf16"]
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "bfloat16"), "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)


@HERE
def test_auto_without_a_calibration_tries_bfloat16_first(tiny_checkpoint, pictures, tmp_path, capsys):
    words = [
        "export",
        tiny_checkpoint,
        "--target",
        "intel-cpu",
        "--precision",
        "auto",
        "--frames",
        pictures,
        "-o",
        tmp_path / "out",
    ]
    assert main([str(word) for word in words]) in (0, 1)
    tried = json.loads((tmp_path / "out.candidates.json").read_text())["rungs"]
    assert tried[0]["precision"] == "bfloat16"
    assert "int8" not in {rung["precision"] for rung in tried}


@pytest.mark.parametrize("command", [["plan"], ["export", "-o", "never"]])
def test_other_cpus_refuse_it_with_the_reason_and_the_next_choice(
    command, other_cpu, tiny_checkpoint, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([command[0], str(tiny_checkpoint), *command[1:], *INTEL]) == 2
    message = capsys.readouterr().err
    assert (
        "this CPU does not compute in bfloat16 (AVX512-BF16 or AMX); "
        "take int8, or export on a CPU that has it" in message
    )
    assert not list(tmp_path.iterdir())


def test_a_precision_search_leaves_it_out_on_other_cpus(other_cpu):
    assert searched(targets.load("intel-cpu"), calibrated=True) == ["int8", "float32"]
    assert searched(targets.load("intel-cpu"), calibrated=False) == ["float32"]


@HERE
def test_a_precision_search_takes_it_after_int8():
    assert searched(targets.load("intel-cpu"), calibrated=True) == ["int8", "bfloat16", "float32"]


@pytest.mark.parametrize("name", sorted(set(targets.names()) - {"intel-cpu"}))
def test_other_targets_refuse_it_with_the_reason(name):
    with pytest.raises(PosecError, match=r"got 'bfloat16' \(.+\); take (float16|int8)"):
        targets.load(name).check_precision("bfloat16")


def test_float16_on_intel_leads_to_the_other_16_bits():
    with pytest.raises(PosecError, match="take bfloat16"):
        targets.load("intel-cpu").check_precision("float16")


def test_a_target_file_that_does_not_mention_it_still_loads(tmp_path):
    limits = "{drift_mm = 1, people_lost = 0.1, people_invented = 0.1}"
    text = (
        'title = "old"\nbackend = "openvino"\nprecisions = ["float32"]\n'
        f'[refusals]\nfloat16 = "no"\nint8 = "no"\n[allowed]\nfloat32 = {limits}\n'
    )
    (tmp_path / "old.toml").write_text(text)
    assert "does not list it" in targets.load(tmp_path / "old.toml").refusals["bfloat16"]
    wrong = text.replace('["float32"]', '["float32", "bfloat16"]').replace('"openvino"', '"onnxruntime"')
    (tmp_path / "wrong.toml").write_text(wrong)
    with pytest.raises(PosecError, match="'onnxruntime' does not compute in bfloat16; only openvino does"):
        targets.load(tmp_path / "wrong.toml")
