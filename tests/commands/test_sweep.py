"""sweep: bundles of a plan, their result files, and what a second run does not do again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import json_of, refusal, run
from networks import tiny_spec, write_checkpoint

from toolkit.commands.sweeping.work import work
from toolkit.device.result import read_results
from toolkit.runtime.bundle import read_bundle
from toolkit.sweep.store import Store
from toolkit.sweep.tasks import EXPORT, Task

pytest.importorskip("distributed")

PLAN = """
network = "{network}"
targets = ["generic-cpu", "{other}"]
precisions = ["float32", "int8"]
observers = ["min-max", "no-such-observer"]
calibration = "{frames}"
calibration_frames = 4
scenes = "{scenes}"
shards = 2
seconds = 0.3
"""


@pytest.fixture
def plan(tmp_path, tiny_checkpoint, pictures):
    samples = Path(__file__).parents[2] / "toolkit" / "samples"
    scenes = json.loads((samples / "scenes.json").read_text())
    (tmp_path / "few.json").write_text(json.dumps(scenes[:4]))
    (tmp_path / "few").symlink_to(samples / "scenes")
    other = tmp_path / "other.toml"
    shipped = Path(__file__).parents[2] / "targets" / "generic-cpu.toml"
    other.write_text(shipped.read_text())
    path = tmp_path / "sweep.toml"
    path.write_text(
        PLAN.format(network=tiny_checkpoint, other=other, frames=pictures, scenes=tmp_path / "few.json")
    )
    return path


def outcomes(store):
    return [json.loads(path.read_text()) for path in store.glob("*/*.json")]


def test_a_sweep_writes_a_result_for_every_bundle_and_resumes(plan, tmp_path, capsys):
    out = tmp_path / "results"
    results = json_of(capsys, "sweep", plan, "-o", out, "--workers", 2, status=1)
    assert len(results) == 6
    failed = [result for result in results if result["status"] == "failed"]
    assert len(failed) == 2
    assert all("no observer 'no-such-observer'" in result["reason"] for result in failed)
    for result in results:
        if result["status"] != "failed":
            assert result["bench"]["latency"]["total"]["p50_ms"] > 0
            assert result["verdict"] in ("accepted", "rejected")
            assert result["accuracy"]
            if result["bundle"]["precision"] == "int8":  # as of `posec calibrate` and `export`
                assert dict(result["bundle"]["passes"])["correct_biases"] > 0
    assert "pck_rel150" in results[0]["accuracy"][0]  # of the table
    # The report reads the rows, failures included.
    assert len(read_results(out)) == 6
    assert run("report", out, "-o", tmp_path / "report.html") == 0
    capsys.readouterr()
    # Latency was measured when no task of the sweep was running.
    stored = outcomes(out / "store")
    timed = [each for each in stored if each["kind"] == "latency"]
    others = [each for each in stored if each["kind"] != "latency"]
    assert len(timed) == 4
    assert min(each["began"] for each in timed) >= max(each["ended"] for each in others)
    # A second run does nothing again, and gives the same rows.
    before = {path: path.stat().st_mtime_ns for path in (out / "store").rglob("*") if path.is_file()}
    again = json_of(capsys, "sweep", plan, "-o", out, "--workers", 2, status=1)
    after = {path: path.stat().st_mtime_ns for path in (out / "store").rglob("*") if path.is_file()}
    assert after == before
    for result in (*results, *again):
        result["bench"].pop("measured_at")  # of a failure, which is a row of every run
    assert again == results


def test_shards_give_the_accuracy_of_the_whole(plan, tmp_path, capsys):
    text = plan.read_text().replace("seconds = 0.3", "seconds = 0").replace('"int8"', '"float32"')
    plan.write_text(text.replace('["float32", "float32"]', '["float32"]').replace("shards = 2", "shards = 3"))
    (result, _) = json_of(capsys, "sweep", plan, "-o", tmp_path / "out", "--workers", 1)
    bundle = next(path for path in (tmp_path / "out" / "store").glob("*/*.files"))
    rows = json_of(capsys, "evaluate", bundle, "--scenes", tmp_path / "few.json")
    assert result["status"] == "not measured"
    assert result["accuracy"][0].pop("by_picture")["measures"]["pck_rel150"]
    for row, expected in zip(result["accuracy"], rows, strict=True):
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, abs=0.01)


def test_a_dry_run_lists_the_bundles_and_writes_nothing(plan, tmp_path, capsys):
    assert run("sweep", plan, "-o", tmp_path / "none", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "other, int8, no-such-observer" in shown
    assert "6 bundles" in shown
    assert not (tmp_path / "none").exists()


def test_a_plan_that_names_a_missing_file_is_refused(plan, tmp_path, capsys):
    plan.write_text(plan.read_text().replace(str(tmp_path / "few.json"), str(tmp_path / "none.json")))
    assert "none.json" in refusal(capsys, "sweep", plan, "-o", tmp_path / "out")
    assert "--workers" in refusal(capsys, "sweep", plan, "-o", tmp_path / "out", "--workers", 0)


def test_a_second_sweep_into_the_folder_of_a_running_one_is_refused(plan, tmp_path, capsys):
    with Store(tmp_path / "out" / "store").claimed():
        error = refusal(capsys, "sweep", plan, "-o", tmp_path / "out")
    assert "another sweep is running in" in error


def test_a_worker_that_outlives_a_sweep_exports_a_changed_network(tmp_path):
    store, network = Store(tmp_path / "store"), tmp_path / "net"
    names = []
    for number in range(2):
        write_checkpoint(network, replace(tiny_spec(), name=f"net {number}"))
        settings = {"network": str(network), "digest": str(number), "target": "generic-cpu"}
        settings.update(precision="float32", keep_float=[])
        task = Task(EXPORT, str(number) * 64, settings)
        store.files_of(task.key).parent.mkdir(parents=True)
        assert work(task, store, [])["bytes"] > 0
        names.append(read_bundle(store.files_of(task.key)).spec.name)
    assert names == ["net 0", "net 1"]
