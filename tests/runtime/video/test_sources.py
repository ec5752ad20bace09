"""Sources: files, folders, videos; what is broken is reported, skipped or refused."""

import json
import os
import stat
import struct
import subprocess
import sys
import threading
import types
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from processes import posec
from tiny_bundles import write_tiny_bundle
from video_files import write_matroska

from toolkit.commands.interface.inputs import SAMPLES
from toolkit.runtime.files.image_header import picture_size
from toolkit.runtime.video.recording.clip import Clip
from toolkit.runtime.video.sources import SourceError, open_source, read_picture


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


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


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"GIF89a....", "is not a picture"),
        (encoded(".png")[:200], "damaged"),
        (b"", "is empty: its file has no bytes"),
        (png_that_claims(60000, 60000), "60000 x 60000 pixels, pictures may have 100 million"),
        (encoded(".jpg")[:400], "damaged: it is cut off"),
        (encoded(".bmp")[:400], "damaged: it is cut off"),
        (encoded(".webp")[:400], "damaged: it is cut off"),
        (
            encoded(".png")[:33] + struct.pack(">I", 0xFFFFFF00) + b"IDAT" + bytes(20),
            "'IDAT' claims 4294967040 bytes, the file holds 16",
        ),
        (encoded(".png")[:33] + encoded(".png")[8:33] + encoded(".png")[33:], "two headers"),
        (b"BM" + bytes(12) + struct.pack("<IHH", 12, 60000, 60000) + bytes(40), "60000 x 60000 pixels"),
        (
            encoded(".jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)[:-2]
            + b"\xff\xda\0\x08\1\1\0\0\0\0" * 300
            + b"\xff\xd9",
            "scans",
        ),
    ],
)
def test_a_file_that_is_no_sound_picture_is_refused(tmp_path, content, sentence):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        read_picture(tmp_path / "a.png")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs Linux's devices")
def test_a_device_or_pipe_in_place_of_a_picture_is_refused_at_once(tmp_path):
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("zero.png", "pipe.png"):
        with pytest.raises(SourceError, match="is not a plain file"):
            read_picture(tmp_path / name)
    for name in ("/dev/zero", "/dev/null", tmp_path / "zero.png"):
        with pytest.raises(SourceError, match="device or a socket, not a camera"):
            open_source(str(name))
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "good.png").write_bytes(encoded(".png"))
    skipped = []
    assert [frame.name for frame in open_source(str(tmp_path), skipped.append)] == ["good.png"]
    assert len(skipped) == 3


def test_names_that_are_not_utf_8_are_read_written_and_printable(bundle, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    for name, content in (
        (b"a\xff.jpg", encoded(".jpg")),
        (b"b\xff.png", b"broken"),
        (b"c.png", encoded(".png")),
    ):
        with open(folder + b"/" + name, "wb") as file:
            file.write(content)
    out = os.fsencode(tmp_path) + b"/out\xe8"
    done = posec("run", bundle, "--source", folder, "-o", out)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out)) == [b"a\xff.jpg", b"c.jpg", b"people.jsonl", b"recording.json"]
    with open(out + b"/people.jsonl", encoding="utf-8") as file:
        assert [json.loads(line)["picture"] for line in file] == ["a\\xff.jpg", "c.png"]
    assert "b\\xff.png' is not a picture" in done.stderr
    with open(out + b"/a\xff.jpg", "rb") as file:
        assert picture_size(file.read()) == (20, 40)  # with the views beside it


def test_videos_with_names_that_are_not_utf_8(bundle, tmp_path):
    film = os.fsencode(write_video(tmp_path / "v.avi"))
    os.rename(film, film.replace(b"v.avi", b"v\xff"))
    out = os.fsencode(tmp_path) + b"/out\xe8"
    done = posec("run", bundle, "--source", film.replace(b"v.avi", b"v\xff"), "-o", out)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out)) == [b"overlay.mkv", b"people.jsonl", b"recording.json"]
    assert os.path.getsize(out + b"/overlay.mkv") > 500


@pytest.mark.parametrize(
    "name",
    [
        "v.3gp",
        "v.wmv",
        "v.mts",
        "v.h264",
        "v",
        "v.jpg",
        "50%d.x",
        "http:v",
        "a!b",
        "12",
        "samples",
        "picamera2",
    ],
)
def test_a_video_is_known_by_its_content_and_what_is_on_disk_comes_first(bundle, tmp_path, name):
    write_video(tmp_path / "v.avi").rename(tmp_path / name)
    done = posec("run", bundle, "--source", name, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "overlay.mkv").exists()
    lines = [json.loads(line) for line in (tmp_path / "out" / "people.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    assert all("numbers" in line for line in lines)


@pytest.mark.parametrize("name", ["7", "holiday!", "rtsp:", "samples", "picamera2"])
def test_a_folder_comes_first_whatever_its_name(bundle, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.png").write_bytes(encoded(".png"))
    for command in (["run", "--json"], ["explain"]):
        done = posec(command[0], bundle, "--source", name, *command[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "30" in done.stdout


def test_pictures_without_a_suffix_and_streams_of_jpegs_are_distinguished(tmp_path):
    (tmp_path / "photo").write_bytes(encoded(".jpg"))
    (tmp_path / "stream").write_bytes(encoded(".jpg") * 5)
    (tmp_path / "camera.mjpeg").write_bytes(encoded(".jpg") * 5)
    assert [frame.name for frame in open_source(str(tmp_path / "photo"))] == ["photo"]
    assert open_source(str(tmp_path / "photo")).still
    for name in ("stream", "camera.mjpeg"):
        assert len(list(open_source(str(tmp_path / name)))) == 5


def gray_film(count):
    return [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(count)]


PHONE = [0.05 * number for number in range(8)] + [0.4 + 0.5 * number for number in range(16)]
RECORDER = [100 + number / 12 for number in range(24)]


@pytest.mark.parametrize("length", [None, "right"])
@pytest.mark.parametrize("times", [PHONE, RECORDER, [100 + at for at in PHONE]])
def test_times_are_those_of_the_stream_and_the_overlay_lasts_as_long(bundle, tmp_path, times, length):
    write_matroska(tmp_path / "v.mkv", gray_film(24), times, times[-1] + 0.1 if length else None)
    done = posec("run", bundle, "--source", tmp_path / "v.mkv", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "people.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines] == pytest.approx([at - times[0] for at in times], abs=2e-3)
    clip = cv2.VideoCapture(str(tmp_path / "out" / "overlay.mkv"))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) / clip.get(cv2.CAP_PROP_FPS) == pytest.approx(
        times[-1] - times[0], abs=0.15
    )


def test_a_damaged_time_does_not_make_a_clip_of_hours(bundle, tmp_path):
    times = [number / 10 for number in range(12)] + [90_000 + number / 10 for number in range(12)]
    write_matroska(tmp_path / "v.mkv", gray_film(24), times)
    assert posec("run", bundle, "--source", tmp_path / "v.mkv", "-o", tmp_path / "out").returncode == 0
    for name in ("overlay.mkv", "overlay-2.mkv"):
        assert cv2.VideoCapture(str(tmp_path / "out" / name)).get(cv2.CAP_PROP_FRAME_COUNT) == 12


def test_frames_of_another_size_start_the_next_clip(tmp_path):
    clip = Clip(tmp_path, None, live=True)
    for number in range(40):
        clip.write(np.full((48, 64 if number < 20 else 96, 3), 9, np.uint8), number / 10)
    clip.close()
    widths = [
        cv2.VideoCapture(str(tmp_path / name)).get(cv2.CAP_PROP_FRAME_WIDTH)
        for name in ("overlay.mkv", "overlay-2.mkv")
    ]
    assert widths == [64, 96]


def test_a_stream_on_standard_input_and_in_a_pipe(bundle, tmp_path):
    write_matroska(tmp_path / "v.mkv", gray_film(6), [number / 5 for number in range(6)])
    with open(tmp_path / "v.mkv") as film:
        assert len(posec("run", bundle, "--source", "-", "--json", stdin=film).stdout.splitlines()) == 6
    with subprocess.Popen(["cat", str(tmp_path / "v.mkv")], stdout=subprocess.PIPE) as cat:
        assert len(posec("run", bundle, "--source", "-", "--json", stdin=cat.stdout).stdout.splitlines()) == 6
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(
        ["sh", "-c", 'cat "$1" > "$2"', "sh", str(tmp_path / "v.mkv"), str(tmp_path / "pipe")]
    ):
        assert len(posec("run", bundle, "--source", tmp_path / "pipe", "--json").stdout.splitlines()) == 6
    assert "cannot open standard input" in posec("run", bundle, "--source", "-").stderr


def test_a_camera_is_opened_by_its_device_file(bundle, tmp_path):
    missing = posec("run", bundle, "--source", "/dev/v4l/by-id/usb-none")
    assert "no device '/dev/v4l/by-id/usb-none'; cameras of this machine: " in missing.stderr
    try:
        os.mknod(tmp_path / "video", stat.S_IFCHR | 0o600, os.makedev(81, 251))
    except OSError:
        pytest.skip("may not make device files")
    (tmp_path / "by-id").symlink_to("video")
    assert "cannot open camera" in posec("run", bundle, "--source", tmp_path / "by-id").stderr


def test_a_folder_comes_in_order_and_broken_files_are_reported(tmp_path):
    for name in ("c.png", "a.jpg", "b.webp"):
        (tmp_path / name).write_bytes(encoded("." + name.split(".")[1]))
    (tmp_path / "b.png").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "d.png").mkdir()
    messages = []
    frames = list(open_source(str(tmp_path), messages.append))
    assert [frame.name for frame in frames] == ["a.jpg", "b.webp", "c.png"]
    assert len(messages) == 1
    assert "b.png' is not a picture" in messages[0]


def test_a_folder_with_no_readable_picture_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no pictures in folder"):
        open_source(str(tmp_path))
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match="none of the 1 pictures"):
        list(open_source(str(tmp_path), lambda sentence: None))


def test_one_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    (frame,) = open_source(str(tmp_path / "a.png"))
    assert (frame.name, frame.seconds) == ("a.png", 0.0)


def test_a_video_states_its_times(tmp_path):
    frames = list(open_source(str(write_video(tmp_path / "v.avi"))))
    assert [round(frame.picture.mean() / 20) for frame in frames] == list(range(12))
    assert [frame.seconds for frame in frames] == pytest.approx(
        [number / 10 for number in range(12)], abs=1e-3
    )


def test_a_video_that_is_cut_off_is_reported(tmp_path):
    content = write_video(tmp_path / "v.avi", frames=60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    messages = []
    frames = list(open_source(str(tmp_path / "cut.avi"), messages.append))
    assert 0 < len(frames) < 60
    assert len(messages) == 1
    assert "60 frames" in messages[0]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nowhere", "no source 'nowhere'; give a picture, a folder, a video"),
        ("nowhere.jpg", "no source 'nowhere.jpg'"),
        ("97", "cannot open camera 97"),
        ("videotestsrc ! nothing", "cannot open the GStreamer pipeline"),
    ],
)
def test_what_cannot_be_opened_is_refused_at_once(source, sentence):
    with pytest.raises(SourceError, match=sentence):
        open_source(source)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"not a video at all" * 100)
    with pytest.raises(SourceError, match="cannot open video"):
        list(open_source(str(tmp_path / "v.mp4")))


def test_a_missing_picamera2_names_its_package(monkeypatch):
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
    frames = open_source("picamera2")
    first, second = next(frames), next(frames)
    frames.close()
    assert (first.name, second.name) == ("000000", "000001")
    assert second.seconds >= first.seconds
    assert calls == ["RGB888", "start", "stop", "close"]


def test_a_pipe_without_a_writer_blocks_no_other_video(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="no picture came from pipe"):
        next(open_source(str(tmp_path / "pipe"), retry_s=0.3))
    opened = threading.Thread(target=cv2.VideoCapture, args=(str(SAMPLES / "clip.mp4"),), daemon=True)
    opened.start()
    opened.join(20)
    assert not opened.is_alive()
