"""Deployments that meet each other, full boards and killed hosts: something runs afterwards, and nothing is left over."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time

import pytest
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
def test_of_deployments_at_once_each_is_accepted_and_the_last_one_runs(is_running, request, tmp_path):
    home = request.getfixturevalue("running" if is_running else "board")
    bundles = [write_tiny_bundle(tmp_path / maker / "pi5", name=maker).folder for maker in ("a", "b", "c")]
    processes = [
        subprocess.Popen(
            command(bundle, home, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for bundle in bundles
    ]
    for process in processes:
        said, noted = process.communicate(timeout=300)
        assert process.returncode == 0, noted
        assert json.loads(said)["folder"] == "posec/pi5"
    runs = what_runs_on(home)
    assert what_is_deployed(home) == [runs]
    assert json.loads((runs / "bundle/bundle.json").read_text())["name"] in "abc"
    assert len(list((tmp_path / "results").glob("*.result.json"))) == 3


def test_a_deployment_that_does_not_end_is_named_and_left_alone(bundle, running, capsys):
    before = what_runs_on(running)
    with open(running / "posec/.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write("since 2001-02-03 04:05:06 (process 42 on the board)")
        lock.flush()
        line = command(bundle.folder, running, "--wait", "0.3")
        assert main(line[3:]) == 2
    said = capsys.readouterr().err
    assert "wait for another deployment since 2001-02-03 04:05:06 (process 42 on the board)" in said
    assert (
        "another deployment is under way since 2001-02-03 04:05:06 (process 42 on the board); try again when it has ended"
        in said
    )
    assert what_runs_on(running) == before
    assert what_is_deployed(running) == [before]
    assert send(bundle, running)


@pytest.mark.parametrize("step", ["copy", "check", "bench"])
def test_a_host_that_is_killed_leaves_the_old_bundle_and_nothing_else(bundle, running, step):
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


def test_a_board_that_fills_up_while_copying_says_so_and_keeps_nothing_of_it(bundle, board, capsys):
    (board.parent / "login").write_text("trap '' XFSZ\nulimit -f 8\n")
    assert main(command(bundle.folder, board)[3:]) == 2
    said = capsys.readouterr().err
    assert "File too large" in said or "(is the disk full?)" in said
    assert "'posec/pi5' on the board is unchanged" in said
    assert list(board.iterdir()) == []


@pytest.mark.parametrize("is_running", [True, False], ids=["that runs a bundle", "that is empty"])
def test_a_board_without_room_is_refused_before_anything_is_copied(
    bundle, deployed, board, capsys, is_running
):
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(board)], capture_output=True, check=False
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
        said = capsys.readouterr().err
        assert "'pi@board' has " in said
        assert " MB free, this deployment takes " in said
        assert [path for path in sorted(board.rglob("*")) if path.name != ".lock"] == before
    finally:
        subprocess.run(["umount", "-l", str(board)], check=True)


def test_a_board_that_greets_is_understood(bundle, board):
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
def test_a_hostile_target_writes_its_result_into_the_folder_that_was_named(name, board, tmp_path):
    hostile = write_tiny_bundle(tmp_path / "made/pi5", target=name, precision=name)
    assert main(command(hostile.folder, board, "-o", str(tmp_path / "deep/deeper/results"))[3:]) == 0
    written = list(tmp_path.rglob("*.result.json"))
    assert [path.parent for path in written] == [tmp_path / "deep/deeper/results"]
    assert not list(tmp_path.rglob("pwned*"))
