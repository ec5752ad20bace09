"""A camera in the network: a real stream over HTTP, of which the newest picture is seen, not one from a queue."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from tiny_bundles import write_tiny_bundle

from toolkit.runtime import load
from toolkit.runtime.video.sources import SourceError, open_source
from toolkit.runtime.video.stream import CLIP, LINES, watch

PART = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
EVERY_S = 0.01


class Camera(ThreadingHTTPServer):
    """Sends `pictures` pictures, the n-th as grey as n, and stops; `still` keeps the line open then. They come `every_s`."""

    daemon_threads = True

    def __init__(self, pictures, still=False, every_s=EVERY_S):
        super().__init__(("127.0.0.1", 0), Watched)
        self.pictures, self.still, self.every_s, self.sent = pictures, still, every_s, 0
        self.gone = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/video.mjpg"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.gone.set()
        self.shutdown()
        super().__exit__()


class Watched(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for number in range(self.server.pictures):
                jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), number, np.uint8))[1].tobytes()
                self.wfile.write(PART % (len(jpeg), jpeg))
                self.wfile.flush()
                self.server.sent = number + 1
                self.server.gone.wait(self.server.every_s)
            if self.server.still:
                self.server.gone.wait()
        except OSError:
            pass  # nobody looks any more

    def log_message(self, *_):
        pass


def number_of(shot):
    return round(float(shot.picture.mean()))


def test_a_slow_reader_sees_the_newest_picture():
    with Camera(250) as camera:
        shots = open_source(camera.url)
        seen = [next(shots)]
        for sent in (60, 120, 180):
            while camera.sent < sent:
                camera.gone.wait(EVERY_S)
            seen.append(next(shots))
        shots.close()
    assert [shot.name for shot in seen] == ["000000", "000001", "000002", "000003"]
    assert [number_of(shot) > sent - 40 for shot, sent in zip(seen[1:], (60, 120, 180), strict=True)] == [
        True
    ] * 3
    seconds = [shot.seconds for shot in seen]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)


def test_no_picture_comes_twice_and_the_last_is_not_lost():
    with Camera(40) as camera:
        seen = [number_of(shot) for shot in open_source(camera.url)]
    assert seen == sorted(set(seen))
    assert seen[-1] == 39


def test_looking_ends_though_the_camera_hangs():
    with Camera(5, still=True) as camera:
        shots = open_source(camera.url)
        while number_of(next(shots)) < 4:
            pass
        closing = threading.Thread(target=shots.close)
        closing.start()
        closing.join(15)  # FFmpeg itself waits for the camera for half a minute
        assert not closing.is_alive()


def test_a_camera_that_says_nothing_is_refused():
    with (
        Camera(0) as camera,
        pytest.raises(SourceError, match=r"cannot open 'http://127\.0\.0\.1|gave no picture"),
    ):
        list(open_source(camera.url))


def test_people_are_looked_for_and_the_clip_keeps_the_cameras_pace(tmp_path):
    estimator = load(write_tiny_bundle(tmp_path / "bundle").folder)
    with Camera(100, every_s=0.05) as camera:
        found = watch(estimator, camera.url, tmp_path / "out", most=20)
    assert found["pictures"] == len((tmp_path / "out" / LINES).read_text().splitlines()) == 20
    clip = cv2.VideoCapture(str(tmp_path / "out" / CLIP))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == 20
    assert 8 < clip.get(cv2.CAP_PROP_FPS) < 30
