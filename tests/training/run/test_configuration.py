"""One configuration for all stages: the command line takes precedence, old names are read, errors named."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import PosecError
from toolkit.training.embedding.train_embedding import EmbeddingTraining
from toolkit.training.int8.finetune import QATSettings
from toolkit.training.labels.train_lifter import LifterTraining
from toolkit.training.learning.network_settings import read_settings
from toolkit.training.learning.pretrain_lift import LiftTraining
from toolkit.training.run.configuration import REFERENCE, add_settings, chosen_settings
from toolkit.training.run.runs import Settings

pytestmark = pytest.mark.torch
STAGES: dict[str, type[Settings]] = {
    "embedding": EmbeddingTraining,
    "lifter": LifterTraining,
    "pretrain": LiftTraining,
    "finetune": QATSettings,
}


def chosen(settings: type[Any], section: str, *words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_settings(parser, settings, section)
    return asdict(chosen_settings(parser.parse_args(words), settings))


@pytest.mark.parametrize("section", STAGES)
def test_the_reference_has_every_setting_of_a_stage(section: str) -> None:
    stored = tomllib.loads(REFERENCE.read_text())[section]
    assert list(stored) == [field.name for field in fields(STAGES[section])]
    assert chosen(STAGES[section], section) == stored == asdict(STAGES[section]())  # type: ignore[call-overload]  # a dataclass, for mypy any class


def test_the_command_line_takes_precedence_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[pretrain]\nminutes = 2\nscenes = 3\n")
    config = ("--config", str(tmp_path / "mine.toml"))
    found = chosen(LiftTraining, "pretrain", *config, "--scenes", "5")
    assert (found["minutes"], found["scenes"], found["warm_up"]) == (2.0, 5, LiftTraining().warm_up)
    assert isinstance(found["minutes"], float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pretrain]\nminuets = 2\n", "no setting 'minuets' in .pretrain.; known: minutes, scenes"),
        ("[pretrain]\nscenes = 2.5\n", "pretrain.scenes = 2.5 should be of type int"),
        ("[pretrain]\nscenes = 'many'\n", "should be of type int"),
        ("[pretrain]\nscenes = true\n", "should be of type int"),
        ("[other]\n", "no usable .pretrain. section"),
        ("pretrain = 3\n", "should be a section"),
        ("[pretrain\n", "no usable .pretrain. section"),
    ],
)
def test_mistakes_in_a_configuration_file_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PosecError, match=message):
        chosen(LiftTraining, "pretrain", "--config", str(tmp_path / "mine.toml"))


def test_the_network_is_trained_on_a_frozen_backbone_and_then_for_int8() -> None:
    network, finish = read_settings(REFERENCE), read_settings(REFERENCE, "int8_finish")
    assert (network.backbone_rate, network.distillation_weight, network.int8_share) == (0.0, 0.0, 0.5)
    assert network.pictures > 0
    assert finish.backbone_rate > 0
    assert finish.distillation_weight > 0
    assert finish.int8_share > network.int8_share
    assert finish.mixture == network.mixture
    assert finish.loss_weights == network.loss_weights


@pytest.mark.parametrize(
    ("name", "section"), [("keypoint_network.toml", "network"), ("keypoint_finish.toml", "int8_finish")]
)
def test_former_configuration_files_are_sections_of_the_reference(name: str, section: str) -> None:
    assert read_settings(REFERENCE.with_name(name)) == read_settings(REFERENCE, section)


def test_former_names_of_sections_and_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[lift]\ncycle = 0.5\n\n[network]\ntrunk_rate = 0.1\nanchor = 0.2\nlosses = { depth = 3.0 }\n"
    )
    assert chosen(LiftTraining, "pretrain", "--config", str(path))["cycle_weight"] == 0.5
    assert chosen(LiftTraining, "pretrain", "--cycle", "0.25")["cycle_weight"] == 0.25
    settings = read_settings(path)
    assert (settings.backbone_rate, settings.distillation_weight) == (0.1, 0.2)
    assert settings.loss_weights["depth"] == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[network]\nlearning_speed = 1.0\n", "no setting 'learning_speed' in .network."),
        ("[network.mixture]\nmosaics = 1.0\n", "no setting 'mosaics' in .network.mixture."),
        ("[network.loss_weights]\nfocus = 1.0\n", "no loss focus; known: centre"),
    ],
)
def test_unknown_settings_of_the_network_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PosecError, match=message):
        read_settings(tmp_path / "mine.toml")
