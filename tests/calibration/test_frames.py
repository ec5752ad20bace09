import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_spec

from calibration import Frames, folder, listing, video
from calibration.frames import picture_sha256
from toolkit.errors import PosecError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight pictures, one of them in a folder inside, and three files that are none."""
    root = tmp_path_factory.mktemp("photos")
    (root / "more").mkdir()
    for index in range(8):
        cv2.imwrite(str(root / ("more" if index == 7 else "") / f"{index}.png"), spot_picture(1, index))
    (root / "broken.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(root / "line.png"), np.zeros((1, 4000, 3), np.uint8))
    (root / "notes.txt").write_text("# chosen by hand\n\n3.png\nmore/7.png\n3.png\nabsent.png\n")
    return root


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 30 frames, each brighter than the one before."""
    path = tmp_path_factory.mktemp("clips") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for index in range(30):
        writer.write(np.full((48, 64, 3), 8 * index, np.uint8))
    writer.release()
    return path


def test_a_folder_gives_every_picture_and_reports_unreadable_ones(photos):
    frames = folder(photos, tiny_spec())
    assert frames.names == (*(f"{i}.png" for i in range(7)), "more/7.png")
    assert dict(frames.unreadable).keys() == {"broken.jpg", "line.png"}
    assert "less than one cell" in dict(frames.unreadable)["line.png"]
    pictures = list(frames)
    assert [picture_sha256(picture) for picture in pictures] == list(frames.hashes)
    np.testing.assert_array_equal(pictures[0], spot_picture(1, 0))


def test_the_seed_chooses(photos):
    chosen = [folder(photos, tiny_spec(), count=4, seed=seed).names for seed in (0, 0, 1)]
    assert len(chosen[0]) == 4
    assert chosen[0] == chosen[1] != chosen[2]


def test_an_unreadable_picture_is_replaced(photos):
    assert len(folder(photos, tiny_spec(), count=8, seed=3)) == 8
    assert len(folder(photos, tiny_spec(), count=99)) == 8


def test_a_listing_is_read_relative_to_itself(photos):
    frames = listing(photos / "notes.txt", tiny_spec())
    assert frames.names == ("3.png", "more/7.png")
    assert [name for name, _ in frames.unreadable] == ["absent.png"]
    assert "No such file" in frames.unreadable[0][1]


def test_a_listing_may_have_names_that_are_not_utf_8_and_the_marks_of_windows(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy(next_picture(tmp_path), tmp_path / name)
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf# two\r\ncaf\xe9.png\r\na.png\r\n")
    frames = listing(tmp_path / "list.txt", tiny_spec())
    assert frames.names == (name, "a.png")
    assert len(list(frames)) == 2


def next_picture(root: Path) -> Path:
    cv2.imwrite(str(root / "a.png"), spot_picture(1, 0))
    return root / "a.png"


def test_pictures_of_kinds_that_run_refuses_are_reported(tmp_path):
    next_picture(tmp_path)
    cv2.imwrite(str(tmp_path / "scan.tiff"), spot_picture(1, 1))
    (tmp_path / "phone.HEIC").write_bytes(b"....ftypheic")
    assert dict(folder(tmp_path, tiny_spec()).unreadable).keys() == {"scan.tiff", "phone.HEIC"}


def test_a_video_gives_one_frame_of_each_part(clip):
    frames = video(clip, tiny_spec(), count=5, seed=1)
    assert frames.names == video(clip, tiny_spec(), count=5, seed=1).names
    assert [int(name) // 6 for name in frames.names] == [0, 1, 2, 3, 4]
    light = [float(picture.mean()) for picture in frames]
    assert light == pytest.approx([8 * int(name) for name in frames.names], abs=3)
    assert len(video(clip, tiny_spec())) == 30


@pytest.mark.parametrize("source", ["photos", "clip"])
def test_a_part_of_the_frames_reads_the_same_pictures(source, request):
    path = request.getfixturevalue(source)
    frames: Frames = (folder if source == "photos" else video)(path, tiny_spec())
    part = frames.take([5, 2])
    assert part.names == (frames.names[2], frames.names[5])
    assert [picture_sha256(picture) for picture in part] == [frames.hashes[2], frames.hashes[5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda root: folder(root / "nowhere", tiny_spec()),
            "no folder '.*nowhere' with calibration frames; give a folder",
        ),
        (lambda root: folder(root / "empty", tiny_spec()), "no pictures in '.*empty'; supported: .bmp"),
        (
            lambda root: folder(root / "bad", tiny_spec()),
            "none of 1 frames of '.*bad' can be read; the first, 'x.jpg': .* is not a picture",
        ),
        (lambda root: folder(root / "bad", tiny_spec(), count=0), "at least 1, got 0"),
        (lambda root: folder(root / "bad", tiny_spec(), count=1, seed=-1), "seed must lie between 0 and"),
        (lambda root: listing(root, tiny_spec()), "is a folder, not a plain file; give a text file"),
        (
            lambda root: video(root / "blank.txt", tiny_spec()),
            "cannot open video .*blank.txt.*; give a folder",
        ),
        (lambda root: video(root, tiny_spec()), "no video"),
        (lambda root: listing(root / "none.txt", tiny_spec()), "cannot read .*none.txt.*; give a text file"),
        (lambda root: listing(root / "blank.txt", tiny_spec()), "names no picture"),
    ],
)
def test_frames_that_cannot_be_had_are_refused(call, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.jpg").write_bytes(b"no picture")
    (tmp_path / "blank.txt").write_text("# nothing\n")
    with pytest.raises(PosecError, match=message):
        call(tmp_path)


def test_a_picture_that_vanishes_is_named(photos, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), spot_picture(0, 0))
    frames = folder(tmp_path, tiny_spec())
    (tmp_path / "a.png").unlink()
    with pytest.raises(PosecError, match=r"frame 'a\.png' of .* can no longer be read"):
        list(frames)
