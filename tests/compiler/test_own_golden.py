"""Golden pictures of the user's own: `export --golden`, for networks of other cameras."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from networks import spot_picture

from toolkit.cli import main
from toolkit.runtime.bundle import read_bundle


@pytest.fixture
def pictures(tmp_path):
    """Folders of pictures with people for the tiny network, and of none."""
    folders = {}
    for name, made in (
        ("people", [spot_picture(count, seed=count) for count in range(1, 5)]),
        ("dark", [np.zeros((120, 160, 3), np.uint8)]),
    ):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        for number, picture in enumerate(made):
            cv2.imwrite(str(folders[name] / f"{number}.png"), picture)
    return folders


def test_a_bundle_holds_the_given_pictures_and_is_verified_on_them(tiny_checkpoint, pictures, tmp_path):
    out = str(tmp_path / "out")
    assert (
        main(
            [
                "export",
                str(tiny_checkpoint),
                "--target",
                "generic-cpu",
                "--golden",
                str(pictures["people"]),
                "-o",
                out,
            ]
        )
        == 0
    )
    golden = read_bundle(out).golden()
    given = [cv2.imread(str(path)) for path in sorted(pictures["people"].iterdir())]
    assert len(golden) == len(given)
    assert all(any(np.array_equal(picture, each) for each in given) for picture, _ in golden)
    assert main(["verify", out]) == 0


def test_pictures_without_people_are_a_verdict_of_their_own_with_a_way_out(
    tiny_checkpoint, pictures, tmp_path, capsys
):
    out = str(tmp_path / "out")
    assert (
        main(
            [
                "export",
                str(tiny_checkpoint),
                "--target",
                "generic-cpu",
                "--golden",
                str(pictures["dark"]),
                "-o",
                out,
            ]
        )
        == 0
    )
    assert "export again with --golden" in capsys.readouterr().err
    assert main(["verify", out]) == 2
    printed = capsys.readouterr().err
    assert "no people to judge by" in printed
    assert "--golden" in printed


def test_golden_pictures_that_are_not_there_are_refused_before_the_work(tiny_checkpoint, tmp_path, capsys):
    command = [
        "export",
        str(tiny_checkpoint),
        "--target",
        "generic-cpu",
        "--golden",
        str(tmp_path / "nowhere"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(command) == 2
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
