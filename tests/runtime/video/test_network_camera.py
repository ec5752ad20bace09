"""A network camera: a real stream over HTTP, of which the latest frame is read, not a queued one."""

import functools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from processes import posec
from tiny_bundles import write_tiny_bundle
from video_files import jpeg, write_matroska

from toolkit.runtime import load
from toolkit.runtime.outputs.recorder import Recorder
from toolkit.runtime.video.latest_frame import latest_frames
from toolkit.runtime.video.recording.clip import CLIP
from toolkit.runtime.video.recording.line_file import LINES
from toolkit.runtime.video.recording.recording_folder import MANIFEST
from toolkit.runtime.video.settings import StreamSettings
from toolkit.runtime.video.sources import CameraGone, SourceError, open_source
from toolkit.runtime.video.stream import stream

PART = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
EVERY_S = 0.01


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


class Camera(ThreadingHTTPServer):
    """Sends `pictures` pictures, the n-th of gray level n, one `every_s`, and stops.

    `still` keeps the connection open then. It serves so many `connections`; later ones get an error.
    """

    daemon_threads = True

    def __init__(self, pictures, still=False, every_s=EVERY_S, connections=1):
        super().__init__(("127.0.0.1", 0), Watched)
        self.pictures, self.still, self.every_s, self.sent, self.connections = (
            pictures,
            still,
            every_s,
            0,
            connections,
        )
        self.gone = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/video.mjpg"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.gone.set()
        self.shutdown()
        super().__exit__()


class Watched(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.connections -= 1
        if self.server.connections < 0:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for number in range(self.server.pictures):
                self.wfile.write(PART % (len(jpeg(gray(number))), jpeg(gray(number))))
                self.wfile.flush()
                self.server.sent = number + 1
                self.server.gone.wait(self.server.every_s)
            if self.server.still:
                self.server.gone.wait()
        except OSError:
            pass  # the reader has gone

    def log_message(self, *_):
        pass


def gray(level):
    return np.full((48, 64, 3), level, np.uint8)


def number_of(frame):
    return round(float(frame.picture.mean()))


def test_a_slow_reader_gets_the_latest_frame():
    with Camera(250) as camera:
        frames = open_source(camera.url)
        seen = [next(frames)]
        for sent in (60, 120, 180):
            while camera.sent < sent:
                camera.gone.wait(EVERY_S)
            seen.append(next(frames))
        frames.close()
    assert [frame.name for frame in seen] == ["000000", "000001", "000002", "000003"]
    assert [number_of(frame) > sent - 40 for frame, sent in zip(seen[1:], (60, 120, 180), strict=True)] == [
        True
    ] * 3
    seconds = [frame.seconds for frame in seen]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)


def test_no_picture_comes_twice_and_the_last_is_not_lost():
    with Camera(40) as camera:
        seen = []
        frames = (seen.append(number_of(frame)) for frame in open_source(camera.url, retry_s=0))
        with pytest.raises(CameraGone):
            list(frames)
    assert seen == sorted(set(seen))
    assert seen[-1] == 39


def test_a_camera_that_hangs_has_gone():
    with Camera(5, still=True) as camera:
        taken = list(latest_frames(cv2.VideoCapture(camera.url, cv2.CAP_FFMPEG), hanging_after_s=0.5))
        assert round(float(taken[-1][0].mean())) == 4


@pytest.mark.slow
def test_a_run_ends_though_the_camera_hangs(bundle):
    with Camera(5, still=True) as camera:
        started = time.monotonic()
        done = posec("run", bundle, "--source", camera.url, "--retry", 0)
        assert done.returncode == 3, done.stderr
        assert time.monotonic() - started < 25
    assert "went away after" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["toolkit", "toolkit.runtime"])
def test_a_camera_that_comes_back_is_seen_again_and_one_that_stays_away_ends_the_run(
    bundle, tmp_path, module
):
    words = ["run"] * (module == "toolkit")
    with Camera(5, every_s=0.05, connections=2) as camera:
        address = camera.url.replace("://", "://admin:hush@")
        done = posec(
            *words, bundle, "--source", address, "-o", tmp_path / "out", "--retry", 2.5, module=module
        )
    assert done.returncode == 3, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / LINES).read_text().splitlines()]
    assert 5 < len(lines) <= 10
    assert [line["picture"] for line in lines] == [f"{number:06d}" for number in range(len(lines))]
    assert lines[-1]["seconds"] > 1  # the pause before it was opened again
    for sentence in ("sends no more pictures", "is back after", f"went away after {len(lines)} pictures"):
        assert sentence in done.stderr
    assert "hush" not in done.stderr
    assert "hush" not in (tmp_path / "out" / MANIFEST).read_text()


def test_a_run_and_explain_open_a_network_camera(bundle):
    with Camera(100, connections=2) as camera:
        done = posec("run", bundle, "--source", camera.url, "--most", 3, "--json")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 3
        done = posec("explain", bundle, "--source", camera.url)
        assert done.returncode == 0, done.stderr
        assert "picture: 64 x 48" in done.stdout


def test_a_video_on_a_server_is_read_to_its_end_and_in_order(bundle, tmp_path):
    write_matroska(
        tmp_path / "film.mkv",
        [gray(5 * number) for number in range(20)],
        [number / 10 for number in range(20)],
        2.0,
    )
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = posec("run", bundle, "--source", f"http://127.0.0.1:{server.server_port}/film.mkv", "--json")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["seconds"] for line in done.stdout.splitlines()] == pytest.approx(
        [n / 10 for n in range(20)], abs=2e-3
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("rtsp://admin:hush@127.0.0.1:9/stream", "hush"),
        ("RTSP://admin:hu!sh@127.0.0.1:9/stream", "hu!sh"),
        ("rtsp://admin:hu/sh@127.0.0.1:9/stream", "sh@"),
        ("rtsp://admin:hu@sh@127.0.0.1:9/stream", "sh@"),
        ("http://127.0.0.1:9/cgi?user=admin&pwd=hush", "hush"),
        ("rtsp://127.0.0.1:9/user=admin_password=hush_channel=1", "hush"),
        ("rtspsrc location=rtsp://admin:hush@127.0.0.1:9/ ! appsink", "hush"),
        ("rtspsrc location=rtsp://127.0.0.1:9/ user-pw='hush hush' ! appsink", "hush"),
    ],
)
@pytest.mark.parametrize("command", ["run", "explain"])
def test_a_password_is_in_no_message(bundle, command, address, secret):
    done = posec(command, bundle, "--source", address)
    assert done.returncode == 2
    assert "cannot open" in done.stderr
    assert secret not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_looking_ends_though_the_camera_hangs():
    with Camera(5, still=True) as camera:
        frames = open_source(camera.url)
        while number_of(next(frames)) < 4:
            pass
        closing = threading.Thread(target=frames.close)
        closing.start()
        closing.join(15)  # FFmpeg itself waits for the camera for half a minute
        assert not closing.is_alive()


def test_a_silent_camera_is_refused():
    with (
        Camera(0) as camera,
        pytest.raises(SourceError, match=r"cannot open 'http://127\.0\.0\.1|gave no picture"),
    ):
        list(open_source(camera.url))


def test_the_clip_keeps_the_cameras_pace(bundle, tmp_path):
    with Camera(100, every_s=0.05) as camera:
        estimator = load(bundle)
        recorder = Recorder(str(tmp_path / "out"), camera.url, estimator.spec.skeleton)
        summary = stream(estimator, camera.url, [recorder], settings=StreamSettings(most=20))
    lines = [json.loads(line) for line in (tmp_path / "out" / LINES).read_text().splitlines()]
    assert summary.pictures == len(lines) == 20
    clip = cv2.VideoCapture(str(tmp_path / "out" / CLIP))
    assert 8 < clip.get(cv2.CAP_PROP_FPS) < 30
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) / clip.get(cv2.CAP_PROP_FPS) == pytest.approx(
        lines[-1]["seconds"], abs=0.2
    )
