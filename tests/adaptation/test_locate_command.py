"""`posec locate`: recordings that do not suffice end with status 2 and no file."""

from __future__ import annotations

import pytest
from networks import spot_picture
from tiny_bundles import write_tiny_bundle
from video_files import write_matroska

from toolkit.cli import main


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locate")
    write_tiny_bundle(folder / "bundle")
    moving = [spot_picture(2, seed=frame) for frame in range(50)]
    for name, pictures in (("moving", moving), ("still", [moving[0]] * 50), ("short", moving[:2])):
        write_matroska(folder / f"{name}.mkv", pictures, [0.1 * frame for frame in range(len(pictures))])
    return folder


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (("moving", "moving"), (), "are one camera: joints lie 0.0 px apart"),
        (("still", "still"), (), "stands out: the best leaves 100 %"),
        (("moving", "short"), (), "has 2 pictures"),
        (("moving",), (), "2 to 16 recordings are needed, got 1"),
        (("moving", "moving"), ("--focal-px", "0"), "a positive number for each of 2 cameras"),
    ],
)
def test_recordings_that_do_not_suffice_leave_no_file(material, tmp_path, capsys, names, options, words):
    out = tmp_path / "poses.json"
    videos = [str(material / f"{name}.mkv") for name in names]
    assert main(["locate", str(material / "bundle"), *videos, "-o", str(out), *options]) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()
