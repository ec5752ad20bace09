"""Sources: files, folders, videos; what is broken is reported, skipped or refused."""

import struct
import sys
import types
import zlib

import cv2
import numpy as np
import pytest

from toolkit.runtime.video.image_header import picture_size
from toolkit.runtime.video.sources import SourceError, open_source, read_picture


def picture(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(ending, image=None, *options):
    return cv2.imencode(ending, picture() if image is None else image, list(options))[1].tobytes()


def turned_jpeg(orientation):
    """Return a JPEG of a wide picture, left half black, with an EXIF orientation."""
    image = np.zeros((16, 48, 3), np.uint8)
    image[:, 24:] = 255
    jpeg = encoded(".jpg", image)
    exif = b"Exif\0\0" + b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def png_that_claims(height, width):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def write_video(path, frames=12, rate=10.0, size=(48, 64)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, size[::-1])
    for number in range(frames):
        writer.write(np.full((*size, 3), 20 * number % 256, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("size", [(20, 30), (1, 1), (301, 17)])
def test_sizes_come_from_headers(ending, size):
    assert picture_size(encoded(ending, picture(*size))) == size


def test_sizes_of_the_other_webp_and_jpeg_forms():
    assert picture_size(encoded(".webp", picture(33, 21), cv2.IMWRITE_WEBP_QUALITY, 101)) == (
        33,
        21,
    )  # lossless
    assert picture_size(encoded(".webp", np.dstack([picture(33, 21), np.full((33, 21), 9, np.uint8)]))) == (
        33,
        21,
    )  # transparent
    assert picture_size(encoded(".jpg", picture(33, 21), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)) == (33, 21)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp"])
def test_a_header_cut_short_has_no_size(ending):
    content = encoded(ending)
    assert all(picture_size(content[:length]) in (None, (20, 30)) for length in range(80))
    assert picture_size(content[:9]) is None


def test_a_picture_is_read_as_it_is(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    assert (read_picture(tmp_path / "a.png") == picture()).all()


@pytest.mark.parametrize(
    "image",
    [picture()[..., 0], np.dstack([picture(), picture()[..., :1]]), picture().astype(np.uint16) * 257],
)
def test_grey_transparent_and_16_bit_files_become_bgr(tmp_path, image):
    (tmp_path / "a.png").write_bytes(encoded(".png", image))
    read = read_picture(tmp_path / "a.png")
    assert read.shape == (20, 30, 3)
    assert read.dtype == np.uint8


def test_exif_orientation_is_applied(tmp_path):
    for orientation, size, dark in (
        (1, (16, 48), "left"),
        (3, (16, 48), "right"),
        (6, (48, 16), "top"),
        (8, (48, 16), "bottom"),
    ):
        (tmp_path / "a.jpg").write_bytes(turned_jpeg(orientation))
        read = read_picture(tmp_path / "a.jpg")
        assert read.shape[:2] == size
        halves = {
            "left": read[:, : size[1] // 2],
            "right": read[:, size[1] // 2 :],
            "top": read[: size[0] // 2],
            "bottom": read[size[0] // 2 :],
        }
        assert min(halves, key=lambda name: halves[name].mean()) == dark


@pytest.mark.parametrize(("content", "sentence"), [
    (b"", "is no picture; known: bmp, jpeg, jpg, png, webp"),
    (b"GIF89a....", "is no picture"),
    (encoded(".png")[:200], "damaged"),
    (png_that_claims(60000, 60000), "60000 x 60000 pixels, pictures may have 100 million"),
])  # fmt: skip
def test_a_file_that_is_no_sound_picture_is_refused(tmp_path, content, sentence):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        read_picture(tmp_path / "a.png")


def test_a_folder_comes_in_order_and_broken_files_are_reported(tmp_path):
    for name in ("c.png", "a.jpg", "b.webp"):
        (tmp_path / name).write_bytes(encoded("." + name.split(".")[1]))
    (tmp_path / "b.png").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "d.png").mkdir()
    said = []
    shots = list(open_source(str(tmp_path), said.append))
    assert [shot.name for shot in shots] == ["a.jpg", "b.webp", "c.png"]
    assert len(said) == 1
    assert "b.png' is no picture" in said[0]


def test_a_folder_with_no_readable_picture_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no pictures in folder"):
        open_source(str(tmp_path))
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match="none of the 1 pictures"):
        list(open_source(str(tmp_path), lambda sentence: None))


def test_one_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    (shot,) = open_source(str(tmp_path / "a.png"))
    assert (shot.name, shot.seconds) == ("a.png", 0.0)


def test_a_video_states_its_times(tmp_path):
    shots = list(open_source(str(write_video(tmp_path / "v.avi"))))
    assert [round(shot.picture.mean() / 20) for shot in shots] == list(range(12))
    assert [shot.seconds for shot in shots] == pytest.approx([number / 10 for number in range(12)], abs=1e-3)


def test_a_video_that_is_cut_off_is_reported(tmp_path):
    content = write_video(tmp_path / "v.avi", frames=60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    said = []
    shots = list(open_source(str(tmp_path / "cut.avi"), said.append))
    assert 0 < len(shots) < 60
    assert len(said) == 1
    assert "60 frames" in said[0]


@pytest.mark.parametrize(("source", "sentence"), [
    ("nowhere", "no source 'nowhere'; give a picture, a folder, a video"),
    ("nowhere.jpg", "no source 'nowhere.jpg'"),
    ("97", "cannot open camera 97"),
    ("videotestsrc ! nothing", "cannot open the GStreamer pipeline"),
])  # fmt: skip
def test_what_cannot_be_opened_is_refused_at_once(source, sentence):
    with pytest.raises(SourceError, match=sentence):
        open_source(source)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"not a video at all" * 100)
    with pytest.raises(SourceError, match="cannot open video"):
        list(open_source(str(tmp_path / "v.mp4")))


def test_picamera2_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match="sudo apt install python3-picamera2"):
        open_source("picamera2")


def test_picamera2_is_stopped_when_the_reader_has_enough(monkeypatch):
    calls = []

    class Camera:
        def create_video_configuration(self, main):
            return main

        def configure(self, main):
            calls.append(main["format"])

        def start(self):
            calls.append("start")

        def capture_array(self, stream):
            return picture(*Camera.size)

        def stop(self):
            calls.append("stop")

        def close(self):
            calls.append("close")

    Camera.size = (72, 128)
    module = types.ModuleType("picamera2")
    module.Picamera2 = Camera
    monkeypatch.setitem(sys.modules, "picamera2", module)
    shots = open_source("picamera2")
    first, second = next(shots), next(shots)
    shots.close()
    assert (first.name, second.name) == ("000000", "000001")
    assert second.seconds >= first.seconds
    assert calls == ["RGB888", "start", "stop", "close"]
