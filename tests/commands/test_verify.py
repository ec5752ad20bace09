"""verify: drift within and over the limits."""

from __future__ import annotations

from command_line import allowed, changed, json_of, refusal, run


def test_the_exit_status_is_1_over_the_limits(bundle, tiny_checkpoint, pictures, tmp_path, capsys):
    strict = changed(bundle, tmp_path / "strict", allowed=allowed(0.0))
    line = ["--checkpoint", tiny_checkpoint, "--frames", pictures]
    assert run("verify", strict, *line) == 1
    assert "FAIL" in capsys.readouterr().out
    loose = changed(bundle, tmp_path / "loose", allowed=allowed(1e6))
    assert json_of(capsys, "verify", loose, *line)["people"] > 0
    assert run("verify", loose, *line) == 0
    assert "PASS" in capsys.readouterr().out


def test_a_bundle_that_is_not_there_is_refused(tmp_path, capsys):
    assert "nothing" in refusal(capsys, "verify", tmp_path / "nothing")
