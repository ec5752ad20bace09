from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_people import HEIGHT, WIDTH, people_in_a_portrait
from photo_material import marked, spot_px

from toolkit.network.embedding import PoseEmbedding
from toolkit.training.pictures.layers import Canvas
from toolkit.training.pictures.pictures import similarity

pytestmark = pytest.mark.torch


def test_labels_follow_a_pasted_person(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    layer = np.dstack([marked(person), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    canvas = Canvas(np.zeros((256, 448, 3), np.uint8))
    canvas.paste_person(layer, person, similarity((60, 80), (300.3, 120.7), 0.8, angle=0.5), light=np.ones(3))
    pasted = canvas.visible_people()
    np.testing.assert_allclose(spot_px(canvas.picture), pasted.keypoints_px[0, 4], atol=0.12)
    assert pasted.usable.all()


def test_covered_people_are_unusable(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    layer = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    canvas = Canvas(np.zeros((256, 448, 3), np.uint8))
    behind, in_front, aside = (
        similarity((60, 80), goal, 1, angle=0) for goal in ((100, 120), (110, 120), (330, 120))
    )
    for matrix in (behind, in_front, aside):
        canvas.paste_person(layer, person, matrix, light=np.ones(3))
    assert canvas.visible_people().usable.tolist() == [False, True, True]
