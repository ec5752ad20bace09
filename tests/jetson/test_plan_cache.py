"""Plans on disk: fingerprints, killed builds, two processes at once, folders that are not ours."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jetson_bundles import jetson_bundle

from toolkit.runtime.engines import EngineError, open_engine
from toolkit.runtime.engines._tensorrt.plan_cache import CacheError, PlanCache, cache_folder, key_of

MACHINE = {"gpu": "Orin", "tensorrt": "10.3.0"}
# A process that makes this machine a Jetson and opens a bundle; with "hang" its build never ends.
SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {here!r}]
from standin_cuda import StandInCuda
from standin_tensorrt import Faults, make_module
from toolkit.runtime.bundle import read_bundle
from toolkit.runtime.engines import open_engine
from toolkit.runtime.engines._tensorrt import cuda
standin = StandInCuda()
cuda.open_library = lambda: standin
hang = Path(sys.argv[2]) if len(sys.argv) > 2 else None
trt = sys.modules["tensorrt"] = make_module("10.3.0", standin, Faults(hang=hang))
engine = open_engine(read_bundle(sys.argv[1]))
print(engine.describe()["plan"], trt.record.workspaces, standin.breaches)
"""


def cache(folder, **changed):
    folder.mkdir(exist_ok=True)
    return PlanCache(folder, {**MACHINE, "model_sha256": "0", **changed}, MACHINE)


def start(folder, plans, *hang):
    here = Path(__file__).parent
    environment = {**os.environ, "POSEC_CACHE": str(plans), "PYTHONPATH": str(here.parents[1])}
    script = SCRIPT.format(tests=str(here.parent / "support"), here=str(here))
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *map(str, hang)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def test_a_stored_plan_is_loaded(tmp_path):
    ours = cache(tmp_path / "p")
    assert ours.load() is None
    assert ours.timings() == b""
    ours.store(b"plan", b"timings")
    assert cache(tmp_path / "p").load() == b"plan"
    assert cache(tmp_path / "p", model_sha256="1").timings() == b"timings"
    assert cache(tmp_path / "p", model_sha256="1").load() is None
    ours.forget()
    assert cache(tmp_path / "p").load() is None


@pytest.mark.parametrize("name", ["gpu", "tensorrt", "model_sha256", "l4t"])
def test_every_part_of_the_fingerprint_counts(name, tmp_path):
    assert cache(tmp_path / "p", **{name: "another"}).key != cache(tmp_path / "p").key
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "harm", ["cut plan", "changed plan", "no note", "cut note", "note of another", "note is a list"]
)
def test_an_incomplete_or_foreign_plan_is_ignored(harm, tmp_path):
    ours = cache(tmp_path / "p")
    ours.store(b"plan" * 100, b"")
    note = ours.plan.with_suffix(".json")
    if harm == "cut plan":
        ours.plan.write_bytes(b"plan" * 99)
    elif harm == "changed plan":
        ours.plan.write_bytes(b"nalp" * 100)
    elif harm == "no note":
        note.unlink()
    elif harm == "cut note":
        note.write_text(note.read_text()[:-20])
    elif harm == "note is a list":
        note.write_text("[]")
    else:
        other = cache(tmp_path / "p", gpu="Xavier")
        other.store(b"plan" * 100, b"")
        os.replace(other.plan.with_suffix(".json"), note)
    assert ours.load() is None


def test_only_the_newest_plans_are_kept(tmp_path):
    for i in range(15):
        ours = cache(tmp_path / "p", model_sha256=str(i))
        ours.store(b"plan", b"")
        os.utime(ours.plan, (i, i))
    ours.store(b"plan", b"")
    assert len(list((tmp_path / "p").glob("*.plan"))) == 12
    assert ours.load() == b"plan"


def test_the_folder_is_the_users_alone(tmp_path):
    assert cache_folder({"POSEC_CACHE": str(tmp_path / "a" / "b")}) == tmp_path / "a" / "b"
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path / "x")}) == tmp_path / "x" / "posec" / "plans"
    folder = cache_folder({"HOME": str(tmp_path / "h")})
    assert folder == tmp_path / "h" / ".cache" / "posec" / "plans"
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="set POSEC_CACHE to one that can be written"):
        cache_folder({"POSEC_CACHE": str(tmp_path / "file" / "plans")})


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(CacheError, match="belongs to another user"):
        cache_folder({"POSEC_CACHE": str(tmp_path)})


def test_a_killed_build_leaves_no_plan_and_the_next_one_takes_less_memory(tmp_path, plans, board, capsys):
    bundle = jetson_bundle(tmp_path / "b", workspace_mb=400)
    killed = start(bundle.folder, plans, tmp_path / "began")
    wait_for(tmp_path / "began")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not list(plans.glob("*.plan"))
    (plans / f"{next(plans.glob('*.lock')).stem}.plan.1.part").write_bytes(b"half")
    trt, _ = board()
    open_engine(bundle)
    assert trt.record.workspaces == [100 << 20]
    assert "an earlier build was killed; this one gets a workspace of 100 MB" in capsys.readouterr().err
    assert not list(plans.glob("*.part"))
    open_engine(jetson_bundle(tmp_path / "c", "float32", workspace_mb=400))
    assert trt.record.workspaces[1] == 400 << 20


def test_a_damaged_count_of_killed_builds_is_ignored(tmp_path):
    ours = cache(tmp_path / "p")
    assert [ours.begin(), ours.begin()] == [0, 1]
    ours.plan.with_suffix(".attempts").write_bytes(b"\xff\0")
    assert [ours.begin(), ours.begin()] == [0, 1]
    ours.end()
    assert ours.begin() == 0


def test_a_build_that_failed_is_not_taken_for_a_killed_one(tmp_path, board):
    bundle = jetson_bundle(tmp_path / "b", workspace_mb=400)
    trt, _ = board()
    trt.faults.parser = "no"
    with pytest.raises(EngineError):
        open_engine(bundle)
    trt.faults.parser = ""
    open_engine(bundle)
    assert trt.record.workspaces == [400 << 20]


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path, plans):
    bundle = jetson_bundle(tmp_path / "b")
    first = start(bundle.folder, plans, tmp_path / "began")
    wait_for(tmp_path / "began")
    second = start(bundle.folder, plans)
    line = second.stderr.readline()
    assert "another process builds this plan; waiting for it" in line
    time.sleep(1.5)  # a build takes a tenth of that here
    assert second.poll() is None
    first.send_signal(signal.SIGKILL)  # the right to build passes on with its holder's death
    first.communicate()
    printed, error = second.communicate(timeout=120)
    assert "built in" in printed, error
    assert printed.rstrip().endswith("[]")
    third = start(bundle.folder, plans)
    assert "loaded" in third.communicate(timeout=120)[0]
