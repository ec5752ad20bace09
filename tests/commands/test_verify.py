"""verify: drift within and over the limits."""

from __future__ import annotations

import pytest
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


def test_the_drift_stands_beside_the_networks_own_unsteadiness(bundle, tiny_checkpoint, pictures, capsys):
    line = ["verify", bundle, "--checkpoint", tiny_checkpoint, "--frames", pictures, "--max-ratio", "1e6"]
    drift = json_of(capsys, *line)
    own = drift["unsteadiness"]
    assert own["drift_mm"] > 0
    assert own["perturbation"] == "shifted by 1 px and re-encoded as JPEG of quality 90"
    assert drift["drift_ratio"] * own["drift_mm"] == pytest.approx(drift["drift_mm"])
    assert drift["data"] == {"source": pictures.name, "kind": "user"}
    assert drift["allowed"]["drift_ratio"] == 1e6
    assert drift["allowed"]["drift_mm"] is None


def test_a_ratio_takes_the_place_of_millimetres_in_the_verdict(
    bundle, tiny_checkpoint, pictures, tmp_path, capsys
):
    strict = changed(bundle, tmp_path / "strict", allowed={**allowed(1.0), "drift_mm": 0.0})
    line = ["verify", strict, "--checkpoint", tiny_checkpoint, "--frames", pictures]
    assert run(*line) == 1
    assert run(*line, "--max-ratio", "1e6") == 0
    assert "times the network's own unsteadiness, allowed 1e+06" in capsys.readouterr().out
    drift = json_of(capsys, *line, "--max-ratio", "1e-9", status=1)
    assert drift["missed"] == ["drift_ratio"]
    assert "--max-ratio must be a number above 0" in refusal(capsys, *line, "--max-ratio", "0")


def test_rendered_pictures_alone_are_warned_of_and_the_users_are_not(
    bundle, tiny_checkpoint, pictures, tmp_path, capsys
):
    own = tmp_path / "own"
    export = ["export", tiny_checkpoint, "--target", "generic-cpu", "--precision", "float32", "-o", own]
    assert run(*export, "--golden", pictures) == 0
    run("verify", own)
    assert "WARNING" not in capsys.readouterr().err
    assert json_of(capsys, "verify", own)["unsteadiness"]["drift_mm"] > 0
    run("verify", bundle, "--checkpoint", tiny_checkpoint, "--frames", pictures)
    assert "WARNING" not in capsys.readouterr().err
    run("verify", bundle, "--checkpoint", tiny_checkpoint, "--frames", "samples", "--count", "2")
    assert "WARNING: judged on posec's rendered scenes alone" in capsys.readouterr().err
