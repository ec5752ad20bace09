"""Standard streams that are closed, full or left by their reader, and control characters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from processes import environment, line, posec


def filled(words: list[str], bundle: Path, pictures: Path) -> list[str]:
    """Return words with the bundle and the pictures in place of their names."""
    return [word.replace("BUNDLE", str(bundle)).replace("PICTURES", str(pictures)) for word in words]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(
    "words",
    [
        ["targets"],
        ["targets", "--json"],
        ["run", "BUNDLE", "--source", "PICTURES", "--json"],
        ["--help"],
        ["--version"],
        ["run", "--help"],
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_reported_in_one_sentence(bundle, pictures, words, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "w") as full:
        done = posec(
            *filled(words, bundle, pictures),
            stdout=full,
        )
    assert done.returncode == (4 if words[0] == "run" and "--json" in words else 2)
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def closed(streams: str, *words) -> subprocess.CompletedProcess:
    """Run the command from a shell that closes some of its streams."""
    script = f'exec "$@" {streams}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *line(*words)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )


def test_commands_run_with_streams_closed_that_they_do_not_need(bundle, pictures, tmp_path):
    words = ["run", bundle, "--source", pictures, "--json"]
    done = closed("2>&-", *words)
    assert done.returncode == 0
    assert [json.loads(text)["picture"] for text in done.stdout.splitlines()] == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
    ]
    assert closed("<&- 2>&- >&-", *words[:-1], "-o", tmp_path / "found").returncode == 0
    assert len((tmp_path / "found" / "people.jsonl").read_text().splitlines()) == 4
    for others in (words, ["targets"], ["run", "--help"], ["explain", bundle, "--source", pictures]):
        done = closed(">&-", *others)
        assert done.returncode == 2
        assert "standard output is closed" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("words", [["targets"], ["--help"], ["explain", "BUNDLE", "--source", "PICTURES"]])
def test_a_closed_pipe_is_not_an_error(bundle, pictures, words):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as gone:
        done = posec(
            *filled(words, bundle, pictures),
            stdout=gone,
        )
    assert done.returncode == 0
    assert done.stderr == ""


def test_control_characters_are_escaped(bundle, pictures, tmp_path):
    name = "a\x1b]0;title\x07\x1b[31mb.png"
    (tmp_path / name).write_bytes(b"broken")
    shutil.copy(pictures / "0.png", tmp_path / f"{name}.png")
    for words in (
        ["run", bundle, "--source", tmp_path],
        ["run", bundle, "--source", tmp_path / name],
        ["run", tmp_path / name, "--source", "0"],
        ["verify", tmp_path / name],
        ["run", bundle, "--source", pictures, "--\x1b[31m"],
        ["run", bundle, "--source", pictures, "--most", "\x1b[31m"],
    ):
        done = posec(*words)
        assert "\\x1b[31m" in done.stderr, done.stderr
        assert "\x1b" not in done.stderr + done.stdout
        assert "\x07" not in done.stderr + done.stdout
