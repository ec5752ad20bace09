from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captured import captured_poses, write_mocap
from safetensors.torch import load_file

import toolkit
from toolkit.errors import PosecError
from toolkit.network.embedding import decoder_arrays, load_embedding
from toolkit.training.embedding.adversary import (
    PoseDiscriminator,
    adversarial_loss,
    discriminator_loss,
    sliced_uniform_loss,
)
from toolkit.training.embedding.embedding_figures import spread_mm, stature_m
from toolkit.training.embedding.train_embedding import EmbeddingLearner, EmbeddingTraining, train_embedding

pytestmark = pytest.mark.torch
SHIPPED = Path(toolkit.__file__).parent / "reference"
SHORT = EmbeddingTraining(steps=60, batch=48, random_poses=64, report_every=20, sliced_directions=8)


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mocap(tmp_path_factory.mktemp("mocap"))


def test_reconstruction_improves_and_is_reported(mocap: Path, tmp_path: Path) -> None:
    figures = train_embedding(SHORT, mocap, tmp_path / "embedding.safetensors")
    lines = [json.loads(line) for line in (tmp_path / "embedding.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert figures["val_mm"] < lines[0]["val_mm"] / 1.3
    assert figures["test_mm"] < 100
    assert figures["test_within_limits"] == 1.0
    poses = torch.from_numpy(captured_poses(20))
    model = load_embedding(tmp_path / "embedding.safetensors")
    assert torch.linalg.vector_norm(model.decode(model.encode(poses)) - poses, dim=-1).mean() < 0.5


def test_a_killed_run_ends_with_the_same_weights(
    mocap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SHORT, steps=9, report_every=3)
    train_embedding(settings, mocap, tmp_path / "whole.safetensors")

    learn = EmbeddingLearner.learn

    def killed_at_8(*arguments: Any) -> dict[str, torch.Tensor]:
        if arguments[2] == 8:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(EmbeddingLearner, "learn", killed_at_8)
    with pytest.raises(KeyboardInterrupt):
        train_embedding(settings, mocap, tmp_path / "killed.safetensors")
    monkeypatch.undo()
    train_embedding(settings, mocap, tmp_path / "killed.safetensors")
    whole, resumed = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed.jsonl").read_text().splitlines()]
    assert steps == [3, 6, 9]


def test_seeds_differ(mocap: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        train_embedding(replace(SHORT, steps=2, seed=seed), mocap, tmp_path / f"{seed}.safetensors")
    first, second = (load_file(tmp_path / f"{seed}.safetensors") for seed in (0, 1))
    assert not torch.equal(first["decoder.0.weight"], second["decoder.0.weight"])


def test_an_encoder_is_trained_for_a_frozen_decoder(mocap: Path, tmp_path: Path) -> None:
    decoder = SHIPPED / "pose.safetensors"
    figures = train_embedding(SHORT, mocap, tmp_path / "embedding.safetensors", decoder=decoder)
    lines = [json.loads(line) for line in (tmp_path / "embedding.jsonl").read_text().splitlines()]
    assert figures["val_mm"] < lines[0]["val_mm"] / 1.2
    learned, given = decoder_arrays(load_embedding(tmp_path / "embedding.safetensors")), load_file(decoder)
    assert all(np.array_equal(learned[name], given[name].float()) for name in given)


@pytest.mark.parametrize("wrong", ["network.safetensors", "spec.toml", "nothing"])
def test_other_files_than_decoders_are_refused(wrong: str, mocap: Path, tmp_path: Path) -> None:
    with pytest.raises(PosecError, match="is not the decoder"):
        train_embedding(SHORT, mocap, tmp_path / "embedding.safetensors", decoder=SHIPPED / wrong)


def test_the_adversary_learns_to_distinguish_poses_from_noise() -> None:
    torch.manual_seed(0)
    judge = PoseDiscriminator()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    real = torch.from_numpy(captured_poses(64))
    noise = torch.nn.functional.normalize(torch.randn(64, 16, 3), dim=-1)
    for _ in range(60):
        loss = discriminator_loss(judge(real), judge(noise))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert judge(real).shape == (64, 6)
    assert loss < 0.2
    assert adversarial_loss(judge(noise)) > 3 > adversarial_loss(judge(real))


def test_a_uniform_sample_has_a_lower_prior_loss_than_a_narrow_one() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = [torch.rand(512, 32, generator=generator) * 2 - 1 for _ in range(2)]
    near, far = (
        sliced_uniform_loss(codes, samples[1], 16, generator=generator)
        for codes in (samples[0], 0.3 * samples[0])
    )
    assert near < 0.02 < 0.1 < far


def test_the_skeleton_has_the_stature_of_an_adult_and_one_pose_has_no_spread() -> None:
    assert 1.4 < stature_m() < 1.9
    poses = torch.from_numpy(captured_poses(50))
    assert spread_mm(poses[:1].expand(50, 16, 3)) < 1e-2 < 20 < spread_mm(poses)
