"""Golden pictures: by default shipped scenes, and only scenes without scores at the threshold."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of

from toolkit.compiler import golden
from toolkit.compiler.golden import golden_files, is_sure
from toolkit.errors import PosecError
from toolkit.ir.float_engine import FloatEngine, float_estimator
from toolkit.runtime.decoding.centres import find_centres


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    """Twenty scenes: the first five have no people."""
    for number in range(20):
        cv2.imwrite(
            str(tmp_path / f"{number:03d}.png"), spot_picture(max(0, min(number - 4, 4)), seed=number)
        )
    monkeypatch.setattr(golden, "SCENES", tmp_path)
    return tmp_path


def people_of(files):
    return [len(entry["scores"]) for entry in json.loads(files["golden/people.json"])]


def test_the_shipped_scenes_are_spread_over_empty_and_crowded_ones(scenes):
    files = golden_files(tiny_graph_of())
    assert len(files) == 8 + 2  # the people, and those on changed pictures
    assert {0, 4} <= set(people_of(files))
    assert files == golden_files(tiny_graph_of())


def test_the_float_network_runs_once_per_scene(scenes, monkeypatch):
    batches, run = [], FloatEngine.__call__
    monkeypatch.setattr(
        FloatEngine, "__call__", lambda engine, batch: batches.append(batch.tobytes()) or run(engine, batch)
    )
    assert golden_files(tiny_graph_of())
    assert len(batches) == len(set(batches)) >= 8


def test_pictures_with_a_score_at_the_threshold_come_last(scenes):
    graph = tiny_graph_of()
    estimator = float_estimator(graph)
    pictures = [cv2.imread(str(path)) for path in sorted(scenes.glob("*.png"))]
    peaks = np.concatenate(
        [find_centres(estimator.heads(picture)["centre"][0], 0.3)[1] for picture in pictures]
    )
    # A threshold amid the scores of some pictures and not of others.
    graph.spec = dataclasses.replace(
        graph.spec, centre_threshold=float(np.clip(np.median(peaks) - 0.12, 0.2, 0.95))
    )
    estimator = float_estimator(graph)

    def sure_of(picture):
        return is_sure(estimator.heads(picture), graph.spec.centre_threshold)

    sure = [sure_of(picture) for picture in pictures]
    assert any(sure)
    files = golden_files(graph)
    taken = [
        cv2.imdecode(np.frombuffer(files[f"golden/{number:03d}.png"], np.uint8), cv2.IMREAD_COLOR)
        for number in range(8)
    ]
    assert [sure_of(picture) for picture in taken] == sorted(
        (sure_of(picture) for picture in taken), reverse=True
    )
    assert sum(sure_of(picture) for picture in taken) == min(8, sum(sure))


def test_without_scenes_there_are_no_golden_files(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "SCENES", tmp_path / "nowhere")
    assert golden_files(tiny_graph_of()) == {}


def test_golden_pictures_of_the_user_are_used_unchanged():
    picture = spot_picture(2, seed=5)
    files = golden_files(tiny_graph_of(), [picture])
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(files["golden/000.png"], np.uint8), cv2.IMREAD_COLOR), picture
    )
    assert people_of(files) == [2]


def test_more_golden_pictures_or_pixels_than_a_bundle_carries_are_refused():
    with pytest.raises(PosecError, match="up to 64 golden pictures, got 65"):
        golden_files(tiny_graph_of(), [spot_picture(0, 0)] * 65)
    with pytest.raises(PosecError, match="256 million pixels together"):
        golden_files(tiny_graph_of(), [np.broadcast_to(np.uint8(0), (8000, 8000, 3))] * 5)
