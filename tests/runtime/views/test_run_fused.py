"""`posec run --fuse`: two videos of one person become one person per line, through the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of
from tiny_bundles import write_tiny_bundle
from video_files import write_matroska

from toolkit.adaptation.pairs import best_rotations
from toolkit.cli import main
from toolkit.commands.schema import SCHEMA_FILE
from toolkit.ir.float_engine import float_estimator
from toolkit.runtime.video.frames import CapturedFrame
from toolkit.runtime.views.camera_poses import FIRST, CameraPose, write_poses
from toolkit.runtime.views.run_fused import instants

FRAMES, FPS = 8, 10


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A bundle, two videos of one person each, and poses of cameras for which it is the same person."""
    folder = tmp_path_factory.mktemp("fused")
    write_tiny_bundle(folder / "bundle")
    estimator, found = float_estimator(tiny_graph_of(), threads=1), []
    for name, seed in (("a", 3), ("b", 6)):
        picture = spot_picture(1, seed=seed)
        write_matroska(folder / f"{name}.mkv", [picture] * FRAMES, [frame / FPS for frame in range(FRAMES)])
        found.append(estimator(picture, focal_px=200.0))
    a, b = found
    assert (len(a), len(b)) == (1, 1)
    (rotation,) = best_rotations(b.joints_mm.astype(float), a.joints_mm.astype(float))
    position = a.roots_mm[0] - rotation @ b.roots_mm[0]
    write_poses(
        folder / "poses.json",
        [FIRST._replace(focal_px=200.0), CameraPose(rotation, position, 0.0, 200.0)],
    )
    return folder


def fused_lines(folder, capsys, *options):
    sources = [str(folder / "a.mkv"), str(folder / "b.mkv")]
    arguments = ["run", str(folder / "bundle"), "--source", *sources, "--fuse", str(folder / "poses.json")]
    assert main([*arguments, "--json", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_line_has_one_person_whom_both_cameras_see(material, capsys, tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    lines = fused_lines(material, capsys, "-o", str(tmp_path / "found"))
    assert len(lines) == FRAMES
    schema = json.loads(SCHEMA_FILE.read_text())
    for line in lines:
        jsonschema.validate(line, {**schema, "additionalProperties": False})
    assert {(str(line["cameras"]), str(line["numbers"])) for line in lines[2:]} == {("[[0, 1]]", "[1]")}
    recorded = [json.loads(text) for text in (tmp_path / "found/people.jsonl").read_text().splitlines()]
    assert recorded == lines


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--source", "{a}"], "has 2 cameras, --source 1"),
        (["--web", "8123"], "--fuse draws no pictures"),
        (["--fuse", "{a}"], "is not JSON"),
    ],
)
def test_contradicting_options_are_refused(material, capsys, change, words):
    sources = [str(material / "a.mkv"), str(material / "b.mkv")]
    arguments = [
        "run",
        str(material / "bundle"),
        "--source",
        *sources,
        "--fuse",
        str(material / "poses.json"),
    ]
    assert main([*arguments, *(part.format(a=material / "a.mkv") for part in change)]) == 2
    assert words in capsys.readouterr().err


def test_several_sources_without_poses_and_pictures_are_refused(material, capsys, tmp_path):
    sources = [str(material / "a.mkv"), str(material / "b.mkv")]
    assert main(["run", str(material / "bundle"), "--source", *sources]) == 2
    assert "2 sources need --fuse" in capsys.readouterr().err
    folder = str(material / "bundle" / "golden")
    arguments = ["run", str(material / "bundle"), "--source", folder, folder]
    assert main([*arguments, "--fuse", str(material / "poses.json")]) == 2
    assert "--fuse needs videos or cameras" in capsys.readouterr().err


def frames_at(*seconds):
    picture = np.zeros((2, 2, 3), np.uint8)
    return iter([CapturedFrame(str(index), picture, at) for index, at in enumerate(seconds)])


def test_pictures_are_paired_by_their_times_and_offsets():
    pairs = instants([frames_at(0, 0.5, 1.0, 1.5), frames_at(0.0, 0.24, 0.5, 0.74, 1.0)], [0.0, 0.5])
    assert [(a.name, b.name) for a, b in pairs] == [("1", "0"), ("2", "2"), ("3", "4")]


def test_instants_end_with_the_first_video_that_ends():
    pairs = instants([frames_at(0, 0.5, 1.0, 1.5), frames_at(0.0, 0.5)], [0.0, 0.0])
    assert [(a.name, b.name) for a, b in pairs] == [("0", "0"), ("1", "1")]
