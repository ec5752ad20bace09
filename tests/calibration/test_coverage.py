from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import spot_picture

from calibration import folder
from calibration.coverage import choose, cover, kinds
from calibration.survey import FrameStats, perceptual_hash
from toolkit.errors import PosecError


def made(people: int, seed: int, light: float = 100.0, height: float = 0.4) -> FrameStats:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 255, (40, 60, 3)).astype(np.uint8)
    heights = np.full(people, height)
    return FrameStats(
        perceptual_hash(picture),
        light,
        (light,) * 3,
        (50.0,) * 3,
        np.full(people, 0.9),
        heights,
        random.uniform(0, 1, (people, 2)),
        np.zeros(people),
    )


@pytest.fixture
def lopsided() -> list[FrameStats]:
    """Two hundred scenes of one large person; a few without people, of crowds, small people and the dark."""
    return [
        *(made(1, seed) for seed in range(200)),
        *(made(0, seed) for seed in range(300, 303)),
        *(made(7, seed) for seed in range(400, 403)),
        *(made(2, seed, height=0.1) for seed in range(500, 503)),
        *(made(1, seed, light=20.0) for seed in range(600, 603)),
    ]


def test_every_kind_of_scene_is_among_the_chosen(lopsided):
    chosen = choose(lopsided, 12)
    assert len(chosen) == len(set(chosen)) == 12
    every = {kind for scene in lopsided for kind in kinds(scene) if kind[0] != "look"}
    assert {kind for index in chosen for kind in kinds(lopsided[index]) if kind[0] != "look"} == every
    at_random = np.random.default_rng(0).permutation(len(lopsided))[:12]
    assert {kind for index in at_random for kind in kinds(lopsided[index]) if kind[0] != "look"} < every


def test_the_greedy_choice_takes_the_rarest_next(lopsided):
    chosen = choose(lopsided, 30, seed=1)
    seen: dict[tuple[str, int], int] = {}
    for place, index in enumerate(chosen):
        worth = {
            other: sum(1 / (1 + seen.get(kind, 0)) for kind in kinds(lopsided[other]))
            for other in range(len(lopsided))
            if other not in chosen[:place]
        }
        assert worth[index] == pytest.approx(max(worth.values()))
        for kind in kinds(lopsided[index]):
            seen[kind] = seen.get(kind, 0) + 1


def test_the_seed_repeats_and_copies_are_taken_once(lopsided):
    assert choose(lopsided, 20, seed=3) == choose(lopsided, 20, seed=3) != choose(lopsided, 20, seed=4)
    copies = [made(1, 7)] * 5 + [made(2, 8)]
    assert len(choose(copies, 6)) == 2
    assert choose([], 5) == []


def test_cover_chooses_frames_by_the_detections_of_the_network(tiny_graph, tmp_path: Path):
    for index in range(24):
        cv2.imwrite(
            str(tmp_path / f"{index:02d}.png"),
            spot_picture(4 if index == 5 else 0 if index == 17 else 1, index),
        )
    frames = folder(tmp_path, tiny_graph.spec)
    chosen = cover(tiny_graph, frames, 8)
    assert len(chosen) == 8
    assert {"05.png", "17.png"} <= set(chosen.names)
    assert chosen.names == cover(tiny_graph, frames, 8).names
    with pytest.raises(PosecError, match="at least 1, got 0"):
        cover(tiny_graph, frames, 0)
