"""Plans are built once per model, GPU and version, kept, and built again where they do not fit."""

import hashlib
import json
import re

import onnx
import pytest
from jetson_bundles import jetson_bundle
from standin_tensorrt import Faults

from toolkit.runtime.engines import open_engine
from toolkit.runtime.engines._tensorrt import plan_build, plan_runner


def test_the_second_load_builds_nothing(bundle, board, capsys):
    trt, _ = board()
    assert open_engine(bundle).describe()["plan"].endswith("s")
    printed = capsys.readouterr().err
    assert "expect 2 to 4 minutes" in printed
    assert "plan built in" in printed
    assert open_engine(bundle).describe()["plan"].endswith("loaded")
    assert trt.record.builds == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("version", "step"), [("8.5.2", ""), ("10.3.0", ", Building Engine 2/2")])
def test_a_build_reports_its_progress(version, step, bundle, board, capsys, monkeypatch):
    monkeypatch.setattr(plan_build, "_REPORT_EVERY_S", 0.02)
    board(version, Faults(seconds=0.3))
    open_engine(bundle)
    assert re.search(
        rf"posec: building the plan: \d s{step} \(expected: 2 to 4 minutes\)", capsys.readouterr().err
    )


MACHINES = {
    "multiprocessors": {"multiprocessors": 4},
    "gpu": {"name": "Xavier"},
    "capability": {"capability": (7, 2)},
    "cuda": {"version": 12050},
}


@pytest.mark.parametrize(
    "change", [*MACHINES, "model", "precision", "workspace", "dla core", "tensorrt", "jetpack"]
)
def test_every_changed_input_gets_its_own_plan(change, tmp_path, board, capsys, monkeypatch):
    board()
    open_engine(jetson_bundle(tmp_path / "a", workspace_mb=64))
    trt, _ = board("10.7.0" if change == "tensorrt" else "10.3.0", **MACHINES.get(change, {}))
    if change == "jetpack":
        monkeypatch.setattr(plan_runner, "board_facts", lambda: {"l4t": "36.4.3"})
    options = {
        "workspace_mb": 65 if change == "workspace" else 64,
        **({"dla_core": 1} if change == "dla core" else {}),
    }
    other = jetson_bundle(tmp_path / "b", "float32" if change == "precision" else "float16", **options)
    if change == "model":
        model = onnx.load(other.model_path)
        model.producer_name = "another"
        other = jetson_bundle(tmp_path / "c", model=model, workspace_mb=64)
    open_engine(other)
    assert trt.record.builds == 1
    assert "cannot load the plan" not in capsys.readouterr().err  # it was never tried


def test_the_same_model_under_another_name_shares_the_plan(tmp_path, board):
    trt, _ = board()
    open_engine(jetson_bundle(tmp_path / "a"))
    open_engine(jetson_bundle(tmp_path / "b"))
    assert trt.record.builds == 1


def test_the_timing_cache_is_kept_and_given_to_the_next_build(tmp_path, board, plans):
    trt, _ = board()
    open_engine(jetson_bundle(tmp_path / "a"))
    open_engine(jetson_bundle(tmp_path / "b", "float32"))
    assert trt.record.timings_taken == 1
    next(plans.glob("timings-*.cache")).write_bytes(b"not a timing cache")
    open_engine(jetson_bundle(tmp_path / "c", workspace_mb=33))
    assert (trt.record.builds, trt.record.timings_taken) == (3, 1)


def test_a_plan_put_in_place_of_ours_is_not_loaded(bundle, board, plans):
    trt, _ = board()
    open_engine(bundle)
    plan = next(plans.glob("*.plan"))
    plan.write_bytes(plan.read_bytes().replace(b"10.3.0", b"8.6.2"))
    assert open_engine(bundle).describe()["plan"].endswith("s")
    assert trt.record.builds == 2


def test_a_plan_that_tensorrt_refuses_is_built_again(bundle, board, plans, capsys):
    trt, _ = board()
    open_engine(bundle)
    plan = next(plans.glob("*.plan"))
    plan.write_bytes(plan.read_bytes().replace(b'"tensorrt": "10.3.0"', b'"tensorrt": "8.6.2"'))
    note = json.loads(plan.with_suffix(".json").read_text())
    note["sha256"] = hashlib.sha256(plan.read_bytes()).hexdigest()
    plan.with_suffix(".json").write_text(json.dumps(note))
    open_engine(bundle)
    assert trt.record.builds == 2
    assert "TensorRT cannot load the plan that it built earlier" in capsys.readouterr().err
