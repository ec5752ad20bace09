"""UDP and Unix sockets: whole lines, and a run that waits for no reader."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time

import numpy as np
import pytest
from http_camera import HttpCamera
from networks import spot_picture
from processes import posec, start
from tiny_bundles import write_tiny_bundle
from video_files import jpeg

from toolkit.runtime.errors import PoseError
from toolkit.runtime.outputs.udp import UdpSink
from toolkit.runtime.outputs.unix import MOST_READERS, UnixSink
from toolkit.runtime.pose import PoseFrame
from toolkit.runtime.video.frames import CapturedFrame
from toolkit.runtime.video.result import Estimate, Result, Tracked
from toolkit.runtime.video.settings import Summary
from toolkit.runtime.video.sources import Source


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


def result(number, people=3):
    """Return a result with so many people of 17 joints."""
    shapes = {"scores": (), "centres_px": (2,), "joints_mm": (17, 3), "roots_mm": (3,), "joints_px": (17, 2)}
    frame = PoseFrame(**{name: np.full((people, *shape), 0.5, np.float32) for name, shape in shapes.items()})
    captured = CapturedFrame(f"{number:06d}", np.zeros((4, 4, 3), np.uint8), number / 30)
    estimate = Estimate(captured, frame, None, {}, 0.0, 0)
    return Result(estimate, Tracked(frame, list(range(1, people + 1))), Source(iter([])))


def read_all(connection):
    content = b""
    connection.settimeout(1)
    try:
        while block := connection.recv(2**20):
            content += block
    except TimeoutError:
        pass
    return content


def test_every_program_gets_every_line_from_when_it_connects(tmp_path):
    said = []
    sink = UnixSink(str(tmp_path / "people"), said.append)
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(str(tmp_path / "people"))
        sink.write(result(0))
        late.connect(str(tmp_path / "people"))
        sink.write(result(1))
        sink.write(result(2))
        sink.close(Summary())
        numbers = [
            [json.loads(text)["picture"] for text in read_all(reader).splitlines()]
            for reader in (early, late)
        ]
    assert numbers == [["000000", "000001", "000002"], ["000001", "000002"]]
    assert not (tmp_path / "people").exists()
    assert said == []


def test_a_program_that_reads_too_slowly_misses_whole_lines_and_the_sink_does_not_wait(tmp_path):
    said = []
    sink = UnixSink(str(tmp_path / "people"), said.append)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(tmp_path / "people"))
        started = time.monotonic()
        for number in range(500):
            sink.write(result(number, people=10))
        assert time.monotonic() - started < 10
        first = read_all(slow)
        sink.write(result(900))
        sink.write(result(901))
        rest = read_all(slow)
        sink.close(Summary())
    lines = [json.loads(text) for text in (first + rest).decode().splitlines()]
    numbers = [int(each["picture"]) for each in lines]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    assert numbers[-1] == 901
    assert len(numbers) < 300
    assert said == [f"--unix {tmp_path / 'people'}: slow programs missed {502 - len(numbers)} lines"]


def test_programs_that_leave_and_more_than_may_connect_do_no_harm(tmp_path):
    sink = UnixSink(str(tmp_path / "people"), print)
    readers = [socket.socket(socket.AF_UNIX) for _ in range(MOST_READERS)]
    for reader in readers:
        reader.connect(str(tmp_path / "people"))
    sink.write(result(0))
    with socket.socket(socket.AF_UNIX) as one_more:
        one_more.connect(str(tmp_path / "people"))
        sink.write(result(1))
        assert read_all(one_more) == b""
    for reader in readers[1:]:
        reader.close()
    for number in range(2, 9):
        sink.write(result(number))
    sink.close(Summary())
    assert len(read_all(readers[0]).splitlines()) == 9
    readers[0].close()


def test_an_abandoned_socket_is_replaced_and_nothing_else_is(tmp_path):
    path = tmp_path / "people"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    sink = UnixSink(str(path), print)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    with pytest.raises(PoseError, match="another process listens on"):
        UnixSink(str(path), print)
    sink.close(Summary())
    path.write_text("mine")
    with pytest.raises(PoseError, match="is no socket"):
        UnixSink(str(path), print)
    assert path.read_text() == "mine"
    with pytest.raises(PoseError, match="cannot listen on"):
        UnixSink(str(tmp_path / "missing" / "people"), print)


def test_a_socket_that_is_removed_is_made_again_and_one_that_is_taken_is_reported_once(tmp_path):
    path, said = tmp_path / "people", []
    sink = UnixSink(str(path), said.append)
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(str(path))
        sink.write(result(0))
        path.unlink()
        sink.write(result(1))
        late.connect(str(path))
        sink.write(result(2))
        path.unlink()
        path.write_text("mine")
        sink.write(result(3))
        sink.write(result(4))
        sink.close(Summary())
        assert [len(read_all(each).splitlines()) for each in (early, late)] == [5, 3]
    assert [text.partition("was removed, and ")[2][:10] for text in said] == ["is there a", "no program"]
    assert path.read_text() == "mine"


def test_a_datagram_is_a_line(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = UdpSink(f"127.0.0.1:{receiver.getsockname()[1]}", print)
        sink.write(result(0))
        sink.write(result(1, people=0))
        assert [json.loads(receiver.recv(65536))["picture"] for _ in range(2)] == ["000000", "000001"]
        sink.close(Summary())


def test_a_line_larger_than_a_datagram_is_lost_and_reported_once():
    said = []
    sink = UdpSink("127.0.0.1:9", said.append)
    for number in range(3):
        sink.write(result(number, people=200))
    sink.close(Summary())
    assert len(said) == 2
    assert "larger than a datagram; use --unix" in said[0]
    assert said[1] == "--udp 127.0.0.1:9: 3 lines could not be sent"


def test_no_receiver_is_no_error():
    sink = UdpSink("127.0.0.1:9", print)
    for number in range(50):
        sink.write(result(number))
    sink.close(Summary())


@pytest.mark.parametrize("address", ["9000", "host:", ":9000", "127.0.0.1:99999", "127.0.0.1:0", "a b:9000"])
def test_an_address_that_is_none_is_refused(bundle, address):
    done = posec("run", bundle, "--source", "0", "--udp", address)
    assert done.returncode == 2
    assert "--udp" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_socket_leaves_no_folder(bundle, tmp_path):
    (tmp_path / "taken").write_text("mine")
    done = posec("run", bundle, "--source", "0", "-o", tmp_path / "out", "--unix", tmp_path / "taken")
    assert done.returncode == 2
    assert not (tmp_path / "out").exists()


def test_a_run_is_not_slowed_by_a_program_that_never_reads(bundle, tmp_path):
    with HttpCamera([[jpeg(spot_picture(3, seed=7))] * 3000], 0.005) as camera:
        words = ["run", bundle, "--source", camera.url, "--unix", tmp_path / "people", "--json"]
        with start(*words) as run, socket.socket(socket.AF_UNIX) as stuck:
            run.stdout.readline()
            stuck.connect(str(tmp_path / "people"))
            seconds = [json.loads(run.stdout.readline())["seconds"] for _ in range(400)]
            run.send_signal(signal.SIGTERM)
            _, errors = run.communicate()
    assert max(np.diff(seconds)) < 2
    assert "slow programs missed" in errors
