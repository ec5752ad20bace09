from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_people import people_in_a_portrait
from photo_material import Material

from toolkit.network.embedding import PoseEmbedding
from toolkit.network.heads import reference_spec
from toolkit.training.pictures.compose import Mixture, compose
from toolkit.training.pictures.dataset import IGNORED, NO_PERSON, PERSON, ComposedPictures, pack
from toolkit.training.pictures.photos import load_photos

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("kind", ["mosaic", "scene", "pasted", "empty"])
def test_all_kinds_of_pictures_are_composed(material: Material, kind: str) -> None:
    photos = load_photos(material.data, material.labels, "ship", bodies=material.bodies)
    mixture = replace(
        Mixture(), **{name: float(name == kind) for name in ("mosaic", "scene", "pasted", "empty")}
    )
    found = 0
    for seed in range(8):
        picture, people = compose(photos, mixture, (128, 224), pad_value=128, rng=np.random.default_rng(seed))
        assert picture.shape == (128, 224, 3)
        assert picture.dtype == np.uint8
        assert ((people.centres_px > -0.5) & (people.centres_px < (223.5, 127.5))).all()
        found += len(people)
    assert (found == 0) == (kind == "empty")


def test_pictures_depend_on_seed_and_number_alone(material: Material) -> None:
    photos = load_photos(material.data, material.labels, "ship", bodies=material.bodies)
    stream = iter(ComposedPictures(photos, Mixture(), reference_spec(), seed=3, start=5))
    first, second = next(stream), next(stream)
    again = ComposedPictures(photos, Mixture(), reference_spec(), seed=3).picture(6)
    assert all(np.array_equal(second[name], again[name]) for name in again)
    assert not np.array_equal(first["image"], second["image"])


def test_packing_keeps_the_largest_people_and_their_status(embedding: tuple[Path, PoseEmbedding]) -> None:
    people = people_in_a_portrait(embedding[1], 20)
    people = replace(people, px_per_m=np.arange(20, dtype=np.float32) + 5, usable=np.arange(20) % 2 == 0)
    packed = pack(people, 32)
    assert packed["px_per_m"].tolist() == list(range(24, 8, -1))
    assert packed["status"].tolist() == [IGNORED, PERSON] * 8
    assert pack(people.select(slice(0, 0)), 32)["status"].tolist() == [NO_PERSON] * 16


def test_equal_seeds_give_equal_pictures(material: Material) -> None:
    photos = load_photos(material.data, material.labels, "ship", bodies=material.bodies)

    def composed(seed: int) -> np.ndarray:
        return compose(photos, Mixture(), (64, 112), pad_value=128, rng=np.random.default_rng(seed))[0]

    for seed in range(12):
        np.testing.assert_array_equal(composed(seed), composed(seed))
    assert not np.array_equal(composed(0), composed(1))
