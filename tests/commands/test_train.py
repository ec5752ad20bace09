"""train: stages and their options."""

from __future__ import annotations

import pytest
from command_line import run

from toolkit.commands.train import STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_help_with_an_example(stage, capsys):
    pytest.importorskip("torch")
    if stage in ("bodies", "samples", "scenes"):
        pytest.importorskip("anny")
    with pytest.raises(SystemExit, match="0"):
        run("train", stage, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(f"usage: posec train {stage} ")
    assert "--out" in text
    assert f"example: posec train {stage} " in text


def test_an_unknown_stage_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit, match="2"):
        run("train", "everything")
    assert "embedding" in capsys.readouterr().err
