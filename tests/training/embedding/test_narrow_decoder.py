"""A narrow decoder: it imitates the wide one, fits labelled people, and is written as a checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run

import toolkit
from toolkit.network.checkpoint import TRAINING_ONLY, load_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.runtime.decoding.kinematics import decode_embeddings, layers
from toolkit.training.embedding.fit_decoder import DecoderFit, LabelledPoses, fit_decoder
from toolkit.training.embedding.narrow_decoder import NarrowDecoder, distil

pytestmark = pytest.mark.torch
PACKAGE = Path(toolkit.__file__).parent
SAMPLES = PACKAGE / "samples"


def random_embeddings(seed: int, count: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def wide() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return decoder_arrays(PoseEmbedding(hidden=64))


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray], embeddings: np.ndarray) -> float:
    found, wanted = (decode_embeddings(embeddings, layers(arrays)) for arrays in (one, other))
    return float(np.linalg.norm(found - wanted, axis=-1).mean())


def test_a_narrow_decoder_imitates_the_wide_one_on_embeddings_that_it_has_not_seen(wide):
    settings = NarrowDecoder(steps=250, batch=32, hidden=16, report_every=250)
    narrow = distil(wide, random_embeddings(0), settings)
    assert narrow["weight_1"].shape == (16, 16)
    untrained = distil(wide, random_embeddings(0), NarrowDecoder(steps=1, hidden=16))
    seen, start = (difference(arrays, wide, random_embeddings(1)) for arrays in (narrow, untrained))
    assert seen < 0.45 * start


def test_a_fit_brings_it_nearer_to_labelled_people_and_keeps_it_near_the_wide_one(wide):
    true = decoder_arrays(PoseEmbedding(hidden=24))
    embeddings = random_embeddings(2)
    directions = torch.from_numpy(decode_embeddings(embeddings, layers(true)))
    labelled = LabelledPoses(torch.from_numpy(embeddings), directions, torch.full((400, 16), 0.3))
    fitted = {}
    for weight in (0.0, 30.0):
        settings = DecoderFit(steps=80, batch=64, learning_rate=1e-3, distillation_weight=weight)
        fitted[weight] = fit_decoder(wide, wide, labelled=labelled, embeddings=embeddings, settings=settings)
    assert difference(fitted[0.0], true, embeddings) < 0.8 * difference(wide, true, embeddings)
    assert difference(fitted[30.0], wide, embeddings) < 0.5 * difference(fitted[0.0], wide, embeddings)


def test_the_command_writes_a_checkpoint_whose_network_is_unchanged(tmp_path, capsys):
    scenes = json.loads((SAMPLES / "scenes.json").read_text())[-2:]
    (tmp_path / "scenes").mkdir()
    for scene in scenes:
        shutil.copy(SAMPLES / "scenes" / scene["file"], tmp_path / "scenes")
    (tmp_path / "scenes.json").write_text(json.dumps(scenes))
    words = ["--pictures", tmp_path / "scenes", "--scenes", tmp_path / "scenes.json"]
    words += ["--steps", "2", "--fit-steps", "2", "--hidden", "24", "--out", tmp_path / "narrow"]
    assert run("train", "decoder", "--checkpoint", PACKAGE / "reference", *words) == 0
    printed = capsys.readouterr().out
    assert "decoder of width 24" in printed
    assert "fitted to" in printed
    before, after = (load_checkpoint(path) for path in (PACKAGE / "reference", tmp_path / "narrow"))
    assert after.decoder["weight_1"].shape == (24, 24)
    assert after.spec == before.spec
    for (name, one), other in zip(
        before.network.state_dict().items(), after.network.state_dict().values(), strict=True
    ):
        assert name.startswith(TRAINING_ONLY) or torch.equal(one, other), name
