"""`posec calibrate` and `posec verify` on the pictures and videos that people have, through the command."""

import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import spot_picture

from calibration import sweep
from toolkit.cli import main
from toolkit.passes import prepare
from toolkit.runtime.video.sources import PICTURES


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def huge_png() -> bytes:
    """A few bytes that claim 60000 x 60000 pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def mjpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of six pictures, one JPEG after the other: it states no number of frames."""
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    path.write_bytes(
        b"".join(cv2.imencode(".jpg", spot_picture(1 + index % 3, index))[1].tobytes() for index in range(6))
    )
    return path


def findings_of(capsys: pytest.CaptureFixture, *line: object) -> dict[str, str]:
    assert main(["calibrate", *map(str, line), "--force", "--json"]) == 0
    return {finding["check"]: finding["text"] for finding in json.loads(capsys.readouterr().out)["findings"]}


def half_jpeg() -> bytes:
    content = cv2.imencode(".jpg", spot_picture(2, 9))[1].tobytes()
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("huge.png", huge_png(), "60000 x 60000 pixels"),
        ("cut.jpg", half_jpeg(), "damaged"),
        ("none.jpg", b"", "is empty"),
    ],
)
def test_pictures_that_run_skips_are_left_out_of_the_ranges_and_reported(
    tiny_checkpoint, tmp_path, capsys, name, content, reason
):
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "a.png"), spot_picture(1, 0))
    (tmp_path / "frames" / name).write_bytes(content)
    found = findings_of(capsys, tiny_checkpoint, "--frames", tmp_path / "frames", "-o", tmp_path / "c.json")
    assert "1 files of" in found["unreadable"]
    assert name in found["unreadable"]
    assert reason in found["unreadable"]
    assert len(json.loads((tmp_path / "c.json").read_text())["frames_sha256"]) == 1


@pytest.mark.parametrize("suffix", PICTURES)
def test_a_name_that_is_not_utf_8_is_read(tiny_checkpoint, tmp_path, capsys, suffix):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / os.fsdecode(b"caf\xe9" + suffix.encode())).write_bytes(
        cv2.imencode(suffix, spot_picture(1, 0))[1].tobytes()
    )
    assert "unreadable" not in findings_of(
        capsys, tiny_checkpoint, "--frames", tmp_path / "frames", "-o", tmp_path / "c.json"
    )


def test_a_video_that_states_no_number_of_frames_is_calibrated_and_verified_on(
    tiny_checkpoint, mjpeg, tmp_path, capsys
):
    for count, frames in (([], 6), (["--count", "4"], 4), (["--count", "9"], 6)):
        assert (
            main(
                [
                    "calibrate",
                    str(tiny_checkpoint),
                    "--frames",
                    str(mjpeg),
                    *count,
                    "-o",
                    str(tmp_path / "c.json"),
                    "--force",
                ]
            )
            == 0
        )
        assert len(json.loads((tmp_path / "c.json").read_text())["frames_sha256"]) == frames
    assert (
        main(["export", str(tiny_checkpoint), "--target", "generic-cpu", "-o", str(tmp_path / "bundle")]) == 0
    )
    capsys.readouterr()
    line = [
        "verify",
        str(tmp_path / "bundle"),
        "--checkpoint",
        str(tiny_checkpoint),
        "--frames",
        str(mjpeg),
        "--json",
    ]
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 6


def test_a_truncated_video_is_reported(tiny_checkpoint, tmp_path, capsys):
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for index in range(40):
        writer.write(spot_picture(1, index))
    writer.release()
    content = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    found = findings_of(
        capsys, tiny_checkpoint, "--frames", tmp_path / "cut.avi", "--count", 8, "-o", tmp_path / "c.json"
    )
    assert "states 40 frames" in found["unreadable"]
    assert len(json.loads((tmp_path / "c.json").read_text())["frames_sha256"]) == 8


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "folder"], "is a folder; name a file"),
        (["-o", "file/c.json"], "cannot write"),
        (["-o", "."], "is a folder; name a file"),
        (["-o", ""], "give one"),
        (["-o", "new/"], "names a folder"),
        (["-o", "/proc/c.json"], "cannot write"),
        (["-o", "/dev/null"], "is a device or a pipe"),
        (["-o", "c.json", "--frames", ""], "frames is empty"),
        (["-o", "c.json", "--count", "0"], "at least 1, got 0"),
        (["-o", "c.json", "--count", "2", "--seed", "-1"], "seed must lie between"),
        (["-o", "c.json", "--count", "2", "--seed", "-1", "--choose", "coverage"], "seed must lie between"),
    ],
)
def test_invalid_options_are_refused_before_any_frame_is_read(
    tmp_path, monkeypatch, capsys, tiny_checkpoint, options, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "a.png"), spot_picture(1, 0))
    assert (
        main(
            [
                "calibrate",
                str(tiny_checkpoint),
                *([] if "--frames" in options else ["--frames", "frames"]),
                *options,
            ]
        )
        == 2
    )
    printed = capsys.readouterr().err
    assert sentence in printed
    assert "calibrating" not in printed
    assert "looking over" not in printed
    assert "choosing" not in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "frames"]


def test_a_folder_in_the_place_of_the_unfinished_file_is_refused(tmp_path, capsys, tiny_checkpoint):
    (tmp_path / "c.json.unfinished").mkdir()
    assert (
        main(["calibrate", str(tiny_checkpoint), "--frames", str(tmp_path), "-o", str(tmp_path / "c.json")])
        == 2
    )
    assert "c.json.unfinished' is a folder" in capsys.readouterr().err


def test_the_folder_of_the_ranges_is_made(tmp_path, tiny_checkpoint):
    (tmp_path / "frames").mkdir()
    for index in range(40):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), spot_picture(1, index))
    line = [
        "calibrate",
        str(tiny_checkpoint),
        "--frames",
        str(tmp_path / "frames"),
        "-o",
        str(tmp_path / "new" / "deep" / "c.json"),
    ]
    assert main([*line, "--force"]) == 0
    assert [path.name for path in (tmp_path / "new" / "deep").iterdir()] == ["c.json"]


def test_a_damaged_unfinished_calibration_is_refused_with_the_reason(
    tiny_graph, tiny_checkpoint, people_pictures, tmp_path, capsys
):
    """Bytes flipped, cut and repeated all over a file that an interrupted run left."""
    (tmp_path / "frames").mkdir()
    for index, picture in enumerate(people_pictures):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), picture)
    begun, random = tmp_path / "c.json.unfinished", np.random.default_rng(0)
    sweep(prepare(tiny_graph), people_pictures[:2]).save(begun)
    content = begun.read_bytes()
    line = [
        "calibrate",
        str(tiny_checkpoint),
        "--frames",
        str(tmp_path / "frames"),
        "--no-lint",
        "-o",
        str(tmp_path / "c.json"),
    ]
    statuses = []
    for _ in range(60):
        damaged, at = bytearray(content), int(random.integers(0, len(content)))
        # The directory at the end and the headers decide more than the numbers do.
        at = at if random.random() < 0.5 else len(content) - 1 - int(random.integers(0, 4000))
        damaged[at : at + 4] = random.bytes(4)
        begun.write_bytes(bytes(damaged[: at if random.random() < 0.2 else None]))
        statuses.append(main(line))
        assert "delete it and" in capsys.readouterr().err or statuses[-1] == 0
    assert statuses.count(2) > 30
