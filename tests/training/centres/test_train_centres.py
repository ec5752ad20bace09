"""Centres learn from pictures without people, and people stay as they were."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit.evaluation.pictures import read_picture
from toolkit.network.checkpoint import Checkpoint, load_checkpoint
from toolkit.runtime.files.pictures import write_picture
from toolkit.training.centres.cached_views import View, poses_in, random_crop, read_views
from toolkit.training.centres.train_centres import CentreTraining, learn_centres

SAMPLES = Path("toolkit/samples/scenes")
NAMES = ("010.jpg", "020.jpg", "030.jpg")


@pytest.fixture(scope="module")
def reference() -> Checkpoint:
    return load_checkpoint("toolkit/reference")


def _views(reference: Checkpoint, folder: Path, *, upside_down: bool) -> list[View]:
    folder.mkdir()
    for name in NAMES:
        picture = read_picture(SAMPLES, name)
        write_picture(folder / name, np.ascontiguousarray(picture[::-1]) if upside_down else picture, 90)
    spec = replace(reference.spec, input_size=(128, 224))
    return list(read_views(reference.network, spec, [str(folder)], crops=0, seed=0))


def _score(network: torch.nn.Module, view: View) -> torch.Tensor:
    features = network.context(network.blocks(view.features[None].float()))
    return torch.sigmoid(network.heads["centre"](features))[0, 0]


def test_scores_without_people_fall_and_people_stay(reference: Checkpoint, tmp_path: Path) -> None:
    people = _views(reference, tmp_path / "people", upside_down=False)
    empty = _views(reference, tmp_path / "empty", upside_down=True)
    settings = CentreTraining(steps=15, batch=3, learning_rate=0.01, warm_up=2, report_every=15)
    learned = learn_centres(reference.network, people, empty, settings)
    with torch.inference_mode():
        before, after = (
            torch.stack([_score(network, view).max() for view in empty])
            for network in (reference.network, learned)
        )
        assert after.mean() < 0.7 * before.mean()
        for view in people:
            features = learned.context(learned.blocks(view.features[None].float()))[0]
            poses = torch.tanh(poses_in(learned, features, view.cells, view.offsets))
            assert (poses - torch.tanh(view.poses)).abs().mean() < 0.02
            assert (_score(learned, view) - view.score).abs().max() < 0.15


def test_crops_are_parts_of_the_picture() -> None:
    picture = read_picture(SAMPLES, NAMES[0])
    rng = np.random.default_rng(0)
    for _ in range(20):
        part = random_crop(picture, rng)
        assert part.dtype == np.uint8
        assert all(
            0.39 * whole <= side <= whole
            for whole, side in zip(picture.shape[:2], part.shape[:2], strict=True)
        )
