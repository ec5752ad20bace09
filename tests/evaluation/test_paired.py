"""Accuracy by picture in the rows of result files, and paired differences of two rows."""

from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.device.result import Result, read_result, save_result
from toolkit.evaluation.intervals import Bootstrap, compare
from toolkit.evaluation.paired import BY_PICTURE, difference_of, identity_of, rows_by_picture
from toolkit.evaluation.scenes import judge_scenes, read_scenes

SAMPLES = Path(__file__).parents[2] / "toolkit" / "samples" / "scenes.json"
BUNDLE = {"name": "net", "target": "t", "precision": "int8", "sha256": "0" * 64, "model_bytes": 1}


@pytest.fixture(scope="module")
def scenes():
    return read_scenes(SAMPLES)


@pytest.fixture(scope="module")
def judged(scenes):
    """Rows of two networks: one finds all people, one misses those of every fourth picture."""
    found = {name: scene.people for name, scene in scenes.scenes.items()}
    some = {name: people for number, (name, people) in enumerate(found.items()) if number % 4}
    return [judge_scenes(people, scenes, scenes.skeleton) for people in (found, some)]


def test_rows_of_result_files_give_the_differences_of_the_networks_themselves(scenes, judged, tmp_path):
    rows = [rows_by_picture(part, scenes, Bootstrap()) for part in judged]
    for number, part in enumerate(rows):
        save_result(Result(BUNDLE, accuracy=part), tmp_path / f"{number}.result.json")
    mine, other = (
        read_result(tmp_path / f"{number}.result.json").row("rendered-scenes") for number in (0, 1)
    )
    expected = {each["measure"]: each for each in compare(*(part[:1] for part in judged))}
    for measure in ("pck_rel150", "centre_recall", "mpjpe_mm"):
        found = difference_of(mine, other, measure)
        assert found.value == pytest.approx(expected[measure]["difference"], abs=1e-4)
        assert found.low == pytest.approx(expected[measure]["low"], abs=1e-3)
        assert found.high == pytest.approx(expected[measure]["high"], abs=1e-3)
    assert not difference_of(mine, other, "pck_rel150").is_open


def test_other_labels_are_other_pictures(scenes):
    name, scene = next(pair for pair in scenes.scenes.items() if len(pair[1].visible))
    moved = replace(scenes, scenes={**scenes.scenes, name: replace(scene, visible=scene.visible / 2)})
    assert identity_of(scenes) == identity_of(read_scenes(SAMPLES))
    assert identity_of(moved) != identity_of(scenes)


def test_parts_of_different_lengths_are_not_paired(scenes, judged):
    mine, other = (rows_by_picture(part, scenes)[0] for part in judged)
    other[BY_PICTURE]["measures"]["pck_rel150"]["above"].pop()
    found = difference_of(mine, other, "pck_rel150")
    assert (found.low, found.high) == (None, None)
    assert found.value > 0
