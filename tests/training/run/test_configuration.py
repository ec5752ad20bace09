"""One file for all stages: what it says holds, what the command line says goes before it, and mistakes are named."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import PosecError
from toolkit.training.embedding.train_embedding import EmbeddingTraining
from toolkit.training.int8.finetune import Finishing
from toolkit.training.labels.train_lifter import LifterTraining
from toolkit.training.learning.network_settings import read_settings
from toolkit.training.learning.pretrain_lift import LiftTraining
from toolkit.training.run.configuration import REFERENCE, add_settings, chosen_settings
from toolkit.training.run.runs import Settings

pytestmark = pytest.mark.torch
STAGES: dict[str, type[Settings]] = {
    "embedding": EmbeddingTraining,
    "lifter": LifterTraining,
    "lift": LiftTraining,
    "quantized": Finishing,
}


def chosen(settings: type[Any], section: str, *words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_settings(parser, settings, section)
    return asdict(chosen_settings(parser.parse_args(words), settings))


@pytest.mark.parametrize("section", STAGES)
def test_the_reference_says_every_setting_of_a_stage(section: str) -> None:
    stored = tomllib.loads(REFERENCE.read_text())[section]
    assert list(stored) == [field.name for field in fields(STAGES[section])]
    assert chosen(STAGES[section], section) == stored == asdict(STAGES[section]())  # type: ignore[call-overload]  # a dataclass, for mypy any class


def test_a_command_line_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[lift]\nminutes = 2\nscenes = 3\n")
    config = ("--config", str(tmp_path / "mine.toml"))
    found = chosen(LiftTraining, "lift", *config, "--scenes", "5")
    assert (found["minutes"], found["scenes"], found["warm_up"]) == (2.0, 5, LiftTraining().warm_up)
    assert isinstance(found["minutes"], float)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[lift]\nminuets = 2\n", "no setting 'minuets' in .lift.; known: minutes, scenes"),
        ("[lift]\nscenes = 2.5\n", "lift.scenes = 2.5 should be of type int"),
        ("[lift]\nscenes = 'many'\n", "should be of type int"),
        ("[lift]\nscenes = true\n", "should be of type int"),
        ("[other]\n", "no usable .lift. section"),
        ("lift = 3\n", "should be a section"),
        ("[lift\n", "no usable .lift. section"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PosecError, match=says):
        chosen(LiftTraining, "lift", "--config", str(tmp_path / "mine.toml"))


def test_a_network_that_reads_key_points_learns_heads_alone() -> None:
    settings = read_settings(REFERENCE.with_name("keypoint_network.toml"))
    assert (settings.trunk_rate, settings.anchor, settings.integers) == (0.0, 0.0, 0.5)
    assert settings.pictures > 0


def test_its_finish_moves_the_pyramid_and_holds_it() -> None:
    learned, settings = (
        read_settings(REFERENCE.with_name(f"keypoint_{name}.toml")) for name in ("network", "finish")
    )
    assert settings.trunk_rate > 0
    assert settings.anchor > 0
    assert settings.integers > learned.integers
    assert settings.mixture == learned.mixture
