"""Concurrent deployments, full boards and killed hosts: a bundle runs afterwards, no files are left over."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time

import pytest
from command_line import changed
from deployments import command, make_board, send, what_is_deployed, what_runs_on
from tiny_bundles import write_tiny_bundle

from toolkit.cli import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("made") / "pi5")


@pytest.fixture(scope="module")
def deployed(bundle, tmp_path_factory):
    home = make_board(tmp_path_factory.mktemp("first"))
    send(bundle, home)
    return home


@pytest.fixture
def board(tmp_path):
    return make_board(tmp_path)


@pytest.fixture
def running(deployed, board):
    """Home folder of a board on which a bundle runs."""
    shutil.copytree(deployed / "posec", board / "posec", symlinks=True)
    return board


def wait_for(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "is_running", [True, False], ids=["to a board that runs a bundle", "to an empty board"]
)
def test_concurrent_deployments_are_all_accepted_and_the_last_one_runs(is_running, request, tmp_path):
    home = request.getfixturevalue("running" if is_running else "board")
    bundles = [write_tiny_bundle(tmp_path / maker / "pi5", name=maker).folder for maker in ("a", "b", "c")]
    processes = [
        subprocess.Popen(
            command(bundle, home, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for bundle in bundles
    ]
    for process in processes:
        printed, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert json.loads(printed)["folder"] == "posec/pi5"
    runs = what_runs_on(home)
    assert what_is_deployed(home) == [runs]
    assert json.loads((runs / "bundle/bundle.json").read_text())["name"] in "abc"
    assert len(list((tmp_path / "results").glob("*.result.json"))) == 3


def test_a_deployment_that_does_not_end_is_reported_and_left_alone(bundle, running, capsys):
    before = what_runs_on(running)
    with open(running / "posec/.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write("since 2001-02-03 04:05:06 (process 42 on the board)")
        lock.flush()
        line = command(bundle.folder, running, "--wait", "0.3")
        assert main(line[3:]) == 2
    message = capsys.readouterr().err
    assert "wait for another deployment since 2001-02-03 04:05:06 (process 42 on the board)" in message
    assert (
        "another deployment is under way since 2001-02-03 04:05:06 (process 42 on the board); "
        "try again when it has ended" in message
    )
    assert what_runs_on(running) == before
    assert what_is_deployed(running) == [before]
    assert send(bundle, running)


@pytest.mark.parametrize("step", ["copy", "check", "bench"])
def test_a_killed_host_leaves_only_the_old_bundle(bundle, running, step):
    before = what_runs_on(running)
    process = subprocess.Popen(
        command(bundle.folder, running, "--seconds", "30"), stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if line.strip() == step:
            break
    process.kill()
    process.communicate()
    wait_for(lambda: what_is_deployed(running) == [before])
    assert what_runs_on(running) == before
    assert send(bundle, running)


def test_a_board_that_fills_up_reports_it_and_keeps_no_files(bundle, board, capsys):
    (board.parent / "login").write_text("trap '' XFSZ\nulimit -f 8\n")
    assert main(command(bundle.folder, board)[3:]) == 2
    message = capsys.readouterr().err
    assert "File too large" in message or "(is the disk full?)" in message
    assert "'posec/pi5' on the board is unchanged" in message
    assert list(board.iterdir()) == []


@pytest.mark.parametrize("is_running", [True, False], ids=["that runs a bundle", "that is empty"])
def test_a_board_without_space_is_refused_before_the_copy(bundle, deployed, board, capsys, is_running):
    # Room for one deployment and a part of the next, or for a part of the first.
    size = "size=2m" if is_running else "size=512k"
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(board)], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small file system needs a privilege")
    try:
        if is_running:
            shutil.copytree(
                deployed / "posec",
                board / "posec",
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        before = sorted(path for path in board.rglob("*") if path.name != ".lock")
        assert main(command(bundle.folder, board)[3:]) == 2
        message = capsys.readouterr().err
        assert "'pi@board' has " in message
        assert " MB free, this deployment takes " in message
        assert [path for path in sorted(board.rglob("*")) if path.name != ".lock"] == before
    finally:
        subprocess.run(["umount", "-l", str(board)], check=True)


def test_a_greeting_of_the_login_shell_is_skipped(bundle, board):
    (board.parent / "login").write_text(
        "echo 'Welcome to board!'\nprintf 'no line feed: {\"free_bytes\": 1}'\n"
    )
    assert send(bundle, board)
    assert send(bundle, board)
    assert what_is_deployed(board) == [what_runs_on(board)]


def test_links_and_folders_of_the_user_stay(bundle, running):
    (running / "posec/current").symlink_to(os.readlink(running / "posec/pi5"))
    (running / "posec/.mine").symlink_to("/etc/hostname")
    (running / "posec/packages").mkdir()
    before = what_runs_on(running)
    assert send(bundle, running)
    assert (running / "posec/current").resolve() == before
    assert (running / "posec/.mine").is_symlink()
    assert (running / "posec/packages").is_dir()
    assert what_runs_on(running) != before


def test_results_of_two_boards_for_one_bundle_are_both_kept(bundle, tmp_path):
    for name in ("x", "y"):
        home = make_board(tmp_path / name)
        (tmp_path / name / "ssh").write_text(
            (tmp_path / name / "ssh").read_text().replace("pi@board", f"pi@{name}")
        )
        line = command(bundle.folder, home, "-o", str(tmp_path / "results"))
        line[line.index("pi@board")] = f"pi@{name}"
        assert main(line[3:]) == 0
    assert len(list((tmp_path / "results").iterdir())) == 2


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a b; touch pwned"])
def test_a_hostile_target_name_is_refused_before_the_copy(name, bundle, board, tmp_path, capsys):
    hostile = changed(bundle.folder, tmp_path / "made/pi5", target=name, precision=name)
    assert main(command(hostile, board)[3:]) == 2
    assert "must be a plain name" in capsys.readouterr().err
    assert list(board.iterdir()) == []
    assert not list(tmp_path.rglob("*.result.json"))
    assert not list(tmp_path.rglob("pwned*"))
