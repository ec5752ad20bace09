"""explain: scores on one picture."""

from __future__ import annotations

import os

from command_line import refusal, run


def test_the_scores_of_the_first_picture_are_printed(bundle, pictures, capsys):
    assert run("explain", bundle, "--source", pictures) == 0
    assert "centre" in capsys.readouterr().out


def test_an_empty_source_is_refused(bundle, capsys):
    assert "the source is empty" in refusal(capsys, "explain", bundle, "--source", "")


def test_a_pipe_without_a_writer_is_refused_after_a_while(bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("toolkit.commands.explain.WAIT_S", 0.5)
    os.mkfifo(tmp_path / "pipe")
    error = refusal(capsys, "explain", bundle, "--source", tmp_path / "pipe")
    assert "no picture came from pipe" in error
    assert "start the program that writes to it first" in error
    assert "no picture came from pipe" in refusal(
        capsys, "run", bundle, "--source", tmp_path / "pipe", "--retry", "0.5"
    )
