"""Outputs that every command refuses before the work, and standard streams that are closed or full."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tiny_bundles import write_tiny_bundle

from toolkit.cli import main
from toolkit.commands.interface.outputs import Out
from toolkit.commands.interface.parser import VERBS

QUANTIZED = ["train", "quantized", "nothing", "--calibration", "nothing"]
# Every command that writes, without the output's name. Inputs are missing: the output must be checked first.
WRITERS = {
    "calibrate": ["calibrate", "nothing", "--frames", "nothing", "-o"],
    "export": ["export", "nothing", "--target", "generic-cpu", "-o"],
    "export --candidates": ["export", "nothing", "--target", "generic-cpu", "-o", "fine", "--candidates"],
    "blame": ["blame", "nothing", "--target", "generic-cpu", "--calibration", "nothing", "-o"],
    "run": ["run", "nothing", "--source", "nothing", "-o"],
    "bench": ["bench", "nothing", "-o"],
    "deploy": ["deploy", "nothing", "pi@board", "-o"],
    "report": ["report", "nothing", "-o"],
    "demo": ["demo", "--out"],
    "train embedding": ["train", "embedding", "--mocap", "nothing", "--out"],
    "train quantized": [*QUANTIZED, "--frames", "nothing", "--out"],
}
UNWRITABLE = {
    "no name": ("", "the name of the output is empty; give one"),
    "beneath a file": ("file/inside/out", "'file' is not a folder"),
    "where nothing can be made": ("/proc/out", "cannot write '/proc/out'"),
    "a device": ("/dev/null", "device or a pipe|is a file; name a folder"),
    "a pipe": ("fifo", "device or a pipe|is a file; name a folder"),
    "a name that is too long": ("x" * 300, "File name too long"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


@pytest.mark.parametrize(("name", "words"), UNWRITABLE.values(), ids=UNWRITABLE)
@pytest.mark.parametrize("line", WRITERS.values(), ids=WRITERS)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(line, name, words, here, capsys):
    assert main([*line, name]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"posec {line[0]}: ")
    assert len(message.splitlines()) == 1
    assert any(part in message for part in words.split("|")), message
    assert sorted(path.name for path in here.iterdir()) == ["fifo", "file"]
    assert (here / "file").read_text() == "kept"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    "line", [WRITERS[name] for name in ("calibrate", "blame", "report", "export --candidates")]
)
def test_a_folder_in_place_of_a_file_is_refused(line, capsys):
    assert main([*line, "."]) == 2
    assert "'.' is a folder; name a file to write" in capsys.readouterr().err


@pytest.mark.parametrize("line", [WRITERS[name] for name in ("export", "run", "bench", "deploy", "demo")])
def test_a_file_in_place_of_a_folder_is_refused(line, here, capsys):
    assert main([*line, "file"]) == 2
    assert "'file' is a file; name a folder to write" in capsys.readouterr().err
    assert (here / "file").read_text() == "kept"


@pytest.mark.parametrize("name", [".", "..", "inside/..", "/"])
@pytest.mark.parametrize("line", [WRITERS[name] for name in ("export", "run")])
def test_the_current_folder_is_never_replaced(line, name, capsys):
    assert main([*line, name]) == 2
    assert "is the current folder or holds it; name a folder of its own" in capsys.readouterr().err


def test_a_full_disk_is_refused_before_the_work(here, capsys):
    (here / "full").mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", "full"], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small file system needs a privilege")
    try:
        fill = "cat /dev/zero > full/ballast"
        assert b"No space left" in subprocess.run(["sh", "-c", fill], capture_output=True, check=False).stderr
        assert main(["report", "nothing", "-o", "full/report.html"]) == 2
        assert "No space left on device" in capsys.readouterr().err
        assert [path.name for path in (here / "full").iterdir()] == ["ballast"]
    finally:
        subprocess.run(["umount", "-l", "full"], check=True)


def test_every_option_that_names_an_output_is_checked():
    for verb in VERBS:
        module = import_module(f"toolkit.commands.{verb.replace('-', '_')}")
        for flags, options in module.VERB.arguments:
            if "--out" in flags:
                assert issubclass(options["type"], Out), verb


def posec(line: str, **options) -> subprocess.CompletedProcess[bytes]:
    """Run a shell line in which `posec` is the command."""
    shell = f'set -o pipefail; posec() {{ {sys.executable} -m toolkit "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", shell], capture_output=True, check=False, **options)


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_closed_streams_change_neither_the_status_nor_a_file(closed, here):
    bundle = write_tiny_bundle(here / "bundle")
    lines = ("bench bundle --seconds 0 --no-accuracy -o results", "report results -o r.html", "verify bundle")
    done = posec(" && ".join(f"posec {line} {closed}" for line in lines))
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert (here / "r.html").read_text().rstrip().endswith("</html>")
    assert write_tiny_bundle(here / "again").files == bundle.files
    missing = posec(f"posec verify nothing {closed}")
    assert missing.returncode == 2
    assert missing.stdout == b""


def test_a_closed_standard_output_is_a_failure_that_loses_no_file(here):
    write_tiny_bundle(here / "bundle")
    done = posec("posec bench bundle --seconds 0 --no-accuracy -o results >&-")
    assert done.returncode == 2
    assert b"standard output is closed" in done.stderr
    assert list((here / "results").iterdir())


READERS = [
    "posec targets --json | true",
    "posec targets | head -c 1 > /dev/null",
    "posec --help | true",
    "posec verify bundle --json 2>&1 | true",
]


@pytest.mark.parametrize("line", READERS)
def test_a_closed_pipe_ends_the_command_silently(line, here):
    write_tiny_bundle(here / "bundle")
    done = posec(line)
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_full_standard_output_is_a_failure(here):
    done = posec("posec targets > /dev/full")
    assert done.returncode == 2
    assert done.stderr == b"posec targets: No space left on device\n"


def test_a_full_standard_error_stops_no_work(here):
    write_tiny_bundle(here / "bundle")
    done = posec("posec bench bundle --seconds 0 --no-accuracy -o results 2> /dev/full")
    assert done.returncode == 0
    assert list((here / "results").iterdir())


def test_characters_that_the_terminal_lacks_are_escaped(here):
    done = posec(
        "PYTHONIOENCODING=ascii posec verify 'née'; PYTHONIOENCODING=ascii posec verify $'\\xff\\x1b[2J'"
    )
    assert b"Traceback" not in done.stderr
    first, second = done.stderr.splitlines()
    assert b"n\\xe9e" in first
    assert b"\\xff\\x1b[2J" in second
    assert b"\x1b" not in second


CREDENTIALS = ("hunter2", "admin")


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:hunter2@127.0.0.1:1/live",
        "http://admin:hunter2@127.0.0.1:1/video.mjpg?user=admin&password=hunter2",
        "rtsp://admin:hun@ter2/hunter2@127.0.0.1:1/x",
        "rtspsrc location=rtsp://admin:hunter2@127.0.0.1:1/ user-id=admin user-pw=hunter2 ! decodebin "
        "! videoconvert ! appsink",
    ],
)
@pytest.mark.parametrize(
    "way",
    [
        "-m toolkit run bundle --source",
        "-m toolkit explain bundle --source",
        "-m toolkit.runtime bundle --source",
    ],
)
def test_credentials_of_a_camera_are_never_in_a_message(source, way, here):
    write_tiny_bundle(here / "bundle")
    done = subprocess.run(
        [sys.executable, *way.split(), source], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr
    assert not [word for word in CREDENTIALS if word in done.stdout + done.stderr], done.stderr
