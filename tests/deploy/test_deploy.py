"""Deployments to a folder of this machine; a substitute for ssh runs the scripts or loses the connection."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest
from deployments import make_board, send, what_is_deployed, what_runs_on
from networks import tiny_graph_of
from tiny_bundles import spoiled, write_tiny_bundle

from toolkit.deploy.deploy import PACKAGE, board_files, deploy
from toolkit.deploy.slot import BoardSettings
from toolkit.deploy.ssh import connect
from toolkit.device.result import read_result
from toolkit.errors import PosecError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("made") / "pi5")


@pytest.fixture(scope="module")
def first(bundle, tmp_path_factory):
    """A first deployment: home folder of the board, outcome, and steps."""
    home, steps = make_board(tmp_path_factory.mktemp("first")), []
    return home, send(bundle, home, progress=steps.append), steps


@pytest.fixture
def board(tmp_path):
    """Home folder of a new board."""
    return make_board(tmp_path)


@pytest.fixture
def running(first, board):
    """Home folder of a board on which a bundle runs."""
    shutil.copytree(first[0] / "posec", board / "posec", symlinks=True)
    return board


def test_a_bundle_runs_on_the_board_and_its_result_is_fetched(first):
    home, done, steps = first
    assert done
    assert steps == ["connect", "copy", "check", "bench", "switch"]
    assert done.folder == "posec/pi5"
    result = read_result(done.path)
    assert (result.has_run, result.verdict) == (True, "accepted")
    assert result.bench["machine"]["architecture"] == done.machine["architecture"] == platform.machine()
    command = [
        str(home / "posec/pi5/python"),
        "-m",
        "toolkit.runtime",
        "posec/pi5/bundle",
        "--source",
        "posec/pi5/bundle/golden",
    ]
    lines = subprocess.run(command, cwd=home, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [len(json.loads(line)["scores"]) for line in lines] == [0, 1, 2, 3, 4]


def test_a_relative_python_is_found_from_the_home_folder(bundle, board):
    python = board / "posec-env/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert send(bundle, board, python="posec-env/bin/python")
    assert f"exec {python} " in (board / "posec/pi5/python").read_text()
    with pytest.raises(PosecError, match="no other-env/bin/python on this board"):
        send(bundle, board, python="other-env/bin/python")


def test_a_deployment_copies_only_the_runtime_and_the_bundle(first, bundle):
    home, done, _ = first
    package = home / "posec/pi5/toolkit"
    there = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    assert {path for path in there if path.parent.name != "__pycache__"} == set(board_files())
    # Source and bundle, with the headers of the files; a library or a checkpoint would add megabytes.
    source = sum((PACKAGE / path).stat().st_size for path in board_files())
    payload = source + sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    assert payload <= done.sent_bytes < 1.1 * payload


def test_the_copied_files_run_without_the_libraries_of_the_host(first):
    home = first[0]
    blocked = (
        'import sys\nfor name in ("onnx", "torch", "safetensors", "openvino"): sys.modules[name] = None\n'
    )
    code = (
        blocked
        + "import runpy\nsys.argv = ['board', 'check', 'bundle']\n"
        + "runpy.run_module('toolkit.device', run_name='__main__')"
    )
    answer = subprocess.run(
        [str(home / "posec/pi5/python"), "-c", code],
        cwd=home / "posec/pi5",
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(answer.stdout.splitlines()[-1])["drift"]["within"], answer.stderr


def test_a_second_bundle_replaces_the_first_and_leaves_nothing_of_it(bundle, running):
    before = what_runs_on(running)
    assert send(bundle, running)
    assert what_runs_on(running) != before
    assert what_is_deployed(running) == [what_runs_on(running)]


def test_a_bundle_over_its_drift_limits_leaves_the_old_one_running(running, tmp_path):
    before = what_runs_on(running)
    done = send(
        write_tiny_bundle(tmp_path / "worse" / "pi5", spoiled(tiny_graph_of(), "embedding", 3.0)), running
    )
    assert not done
    assert (done.folder, done.result.verdict, done.result.status) == ("", "rejected", "not measured")
    assert read_result(done.path).verdict == "rejected"
    assert what_runs_on(running) == before
    assert what_is_deployed(running) == [before]


LOST = {
    1: "finding Python",
    2: "taking the lock",
    3: "copying",
    4: "checking",
    5: "measuring",
    6: "fetching the result",
}


@pytest.mark.parametrize("call", LOST, ids=LOST.get)
def test_a_broken_connection_leaves_only_the_old_bundle(bundle, running, call):
    before = what_runs_on(running)
    (running.parent / "lose").write_text(str(call))
    with pytest.raises(
        PosecError,
        match=r"no connection to 'pi@board': .*closed by remote host.*; "
        r"'posec/pi5' on the board is unchanged",
    ):
        send(bundle, running)
    assert what_runs_on(running) == before
    assert what_is_deployed(running) == [before]


def test_a_board_that_dies_while_switching_runs_one_of_the_two(bundle, running):
    def kill(step):
        if step == "switch":
            holder = int(re.search(r"process (\d+)", (running / "posec/.lock").read_text()).group(1))
            os.kill(holder, signal.SIGKILL)

    with pytest.raises(PosecError, match="on the board is this bundle or the earlier one"):
        send(bundle, running, progress=kill)
    what_runs_on(running)
    assert send(bundle, running)
    assert what_is_deployed(running) == [what_runs_on(running)]


def test_everything_is_removed_on_request(bundle, board):
    done = send(bundle, board, keep=False)
    assert done
    assert done.folder == ""
    assert done.path.exists()
    assert not (board / "posec").exists()


def test_a_bundle_that_is_only_measured_leaves_the_running_one(bundle, running):
    before = what_runs_on(running)
    assert send(bundle, running, keep=False)
    assert what_runs_on(running) == before
    assert what_is_deployed(running) == [before]


def test_wheels_are_copied_once(bundle, board, tmp_path):
    with zipfile.ZipFile(tmp_path / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried.py", "ANSWER = 42\n")
    send(bundle, board, wheels=tmp_path)
    again: list[str] = []
    send(bundle, board, wheels=tmp_path, progress=again.append)
    assert "wheels" not in again
    asked = subprocess.run(
        [str(board / "posec/pi5/python"), "-c", "import carried; print(carried.ANSWER)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "42\n"
    assert len(list((board / "posec").glob("packages-*"))) == 1


def test_the_python_of_an_environment_is_found_from_every_folder(bundle, board):
    own = board / "posec-env/bin/python"
    own.parent.mkdir(parents=True)
    own.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    own.chmod(0o755)
    assert send(bundle, board, python="posec-env/bin/python")
    assert str(own) in (board / "posec/pi5/python").read_text()
    what_runs_on(board)


WRONG = {
    "a host that is an option": ("-oProxyCommand=evil", {}, "a board is user@host"),
    "an unknown host": (
        "pi@elsewhere",
        {},
        "no connection to 'pi@elsewhere': ssh: Could not resolve hostname pi@elsewhere",
    ),
    "a folder outside": ("pi@board", {"folder": "../posec"}, "letters, digits"),
    "a python that is an option": ("pi@board", {"python": "-c"}, "python must be a command or path"),
    "a python that is a script": (
        "pi@board",
        {"python": "python3; rm -rf /"},
        "python must be a command or path",
    ),
    "a python that is not there": (
        "pi@board",
        {"python": "python9"},
        "'pi@board' refused: no python9 on this board",
    ),
    "an ssh that is not there": (
        "pi@board",
        {"ssh": "no-such-ssh"},
        "cannot run 'no-such-ssh' here: .*; install the OpenSSH client",
    ),
    "an empty ssh": ("pi@board", {"ssh": " "}, "the SSH command is empty"),
    "an ssh with an unclosed quote": ("pi@board", {"ssh": "ssh -i 'key"}, "cannot be split into words"),
    "a port out of range": ("pi@board", {"port": 70000}, "from 1 to 65535"),
    "a bench without an end": ("pi@board", {"seconds": float("inf")}, "0 to 86400 seconds"),
}


@pytest.mark.parametrize(("host", "options", "words"), WRONG.values(), ids=WRONG)
def test_requests_that_cannot_be_met_are_refused(bundle, board, host, options, words):
    where = {"ssh": str(board.parents[1] / "ssh"), "python": sys.executable, **options}
    seconds = where.pop("seconds", 1.0)
    with pytest.raises(PosecError, match=words):
        deploy(bundle, host, settings=BoardSettings(**where), out=board.parent, seconds=seconds)
    assert list(board.iterdir()) == []


def test_a_folder_without_wheels_is_refused_before_the_copy(bundle, board, tmp_path):
    with pytest.raises(PosecError, match=r"no wheels in .*pip download"):
        send(bundle, board, wheels=tmp_path)


def test_a_folder_that_posec_did_not_deploy_is_left_alone(bundle, board):
    (board / "posec/pi5").mkdir(parents=True)
    with pytest.raises(PosecError, match="'pi5' in that folder was not deployed by posec; move it away"):
        send(bundle, board)
    assert list((board / "posec/pi5").iterdir()) == []


def test_host_keys_are_left_to_ssh(board):
    with connect("pi@board", 2222, str(board.parents[1] / "ssh")) as connection:
        connection.run("true")
    (call,) = (board.parent / "calls").read_text().splitlines()
    assert "-p 2222 -- pi@board" in call
    assert "StrictHostKeyChecking" not in call
    assert "UserKnownHostsFile" not in call
