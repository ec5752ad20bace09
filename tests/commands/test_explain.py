"""explain: scores on one picture."""

from __future__ import annotations

from command_line import refusal, run


def test_the_scores_of_the_first_picture_are_printed(bundle, pictures, capsys):
    assert run("explain", bundle, "--source", pictures) == 0
    assert "centre" in capsys.readouterr().out


def test_an_empty_source_is_refused(bundle, capsys):
    assert "the source is empty" in refusal(capsys, "explain", bundle, "--source", "")
