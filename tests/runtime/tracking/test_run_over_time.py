"""`posec run` and `python -m toolkit.runtime` on a video: smoothing, gaps and lookahead, as processes."""

import io
import json

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of
from processes import posec
from tiny_bundles import write_tiny_bundle
from video_files import matroska

from toolkit.runtime.bundle import TEMPORAL, write_bundle
from toolkit.runtime.temporal.weights import array_shapes

FRAMES, RATE = 16, 20.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


@pytest.fixture(scope="module")
def staged(bundle, tmp_path_factory):
    """The bundle with a temporal stage whose weights are 0."""
    arrays = io.BytesIO()
    shapes = array_shapes(tiny_graph_of().spec, 8)
    np.savez(arrays, **{name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    plain = json.loads((bundle / "bundle.json").read_text())
    files = {
        path.relative_to(bundle).as_posix(): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != "bundle.json"
    }
    plain.pop("files", None)
    folder = tmp_path_factory.mktemp("bundles") / "staged"
    return write_bundle(folder, plain, {**files, TEMPORAL: arrays.getvalue()}).folder


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two people who stand still, and are hidden for three pictures."""
    path = tmp_path_factory.mktemp("videos") / "people.mkv"
    picture, empty = spot_picture(2, seed=3), spot_picture(0, seed=3)
    pictures = [empty if 8 <= index < 11 else picture for index in range(FRAMES)]
    path.write_bytes(matroska(pictures, [index / RATE for index in range(FRAMES)]))
    return path


def lines(*words, module="toolkit"):
    done = posec(*words, "--json", module=module)
    assert done.returncode == 0, done.stderr
    return [json.loads(text) for text in done.stdout.splitlines()]


def test_gaps_are_bridged_with_smoothing_and_left_without(bundle, video):
    plain = lines("run", bundle, "--source", video)
    assert [len(line["numbers"]) for line in plain] == [2] * 8 + [0] * 3 + [2] * 5
    calm = lines("run", bundle, "--source", video, "--smooth", "one-euro")
    assert [line["numbers"] for line in calm] == [[1, 2]] * FRAMES
    assert [line["bridged"] for line in calm] == [[False] * 2] * 8 + [[True] * 2] * 3 + [[False] * 2] * 5
    for line in calm:
        assert np.array(line["velocities_mm_s"]).shape == (2, 17, 3)
        assert np.abs(line["root_velocities_mm_s"]).max() < 100  # they stand still


def test_both_entries_write_the_same_lines(bundle, video):
    host = lines("run", bundle, "--source", video, "--smooth", "exponential")
    board = lines(bundle, "--source", video, "--smooth", "exponential", module="toolkit.runtime")
    assert host == board


@pytest.mark.parametrize("options", [[], ["--lookahead", 4], ["--no-temporal"]])
def test_a_stage_writes_every_picture_once_in_order(staged, video, options):
    found = lines("run", staged, "--source", video, *options)
    plain = lines("run", staged, "--source", video, "--smooth", "none")
    assert [line["picture"] for line in found] == [line["picture"] for line in plain]
    if options == ["--no-temporal"]:
        assert found == plain
        return
    assert [line["bridged"] for line in found] == [[False] * 2] * 8 + [[True] * 2] * 3 + [[False] * 2] * 5
    assert [line["seconds"] for line in found] == [line["seconds"] for line in plain]


def test_options_of_a_stage_are_refused_without_one(bundle, staged, video, tmp_path):
    for folder, options, words in (
        (bundle, ["--lookahead", 2], "a bundle with a temporal stage"),
        (staged, ["--lookahead", 3], "must be one of 0, 1, 2, 4, 8"),
        (staged, ["--lookahead", 2, "--smooth", "one-euro"], "leave out --smooth"),
    ):
        done = posec("run", folder, "--source", video, "-o", tmp_path / "out", *options)
        assert done.returncode == 2
        assert words in done.stderr
        assert not (tmp_path / "out").exists()


def test_people_alone_are_drawn_beside_people_over_time(bundle, video, tmp_path):
    for name, options in (("one", []), ("two", ["--beside"])):
        done = posec("run", bundle, "--source", video, "-o", tmp_path / name, "--no-inset", *options)
        assert done.returncode == 0, done.stderr
    widths = [
        cv2.VideoCapture(str(tmp_path / name / "overlay.mkv")).get(cv2.CAP_PROP_FRAME_WIDTH)
        for name in ("one", "two")
    ]
    assert widths == [160, 320]
