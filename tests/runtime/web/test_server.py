"""The server of the viewer page: who may look, what is served, and what a client cannot take from the run."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import tiny_spec
from standing_people import people_at

from toolkit.runtime.console import redact
from toolkit.runtime.errors import PoseError
from toolkit.runtime.video.frames import CapturedFrame
from toolkit.runtime.video.result import Estimate, Result, Tracked
from toolkit.runtime.video.sources import Source
from toolkit.runtime.web import request as request_module
from toolkit.runtime.web.access import VARIABLE, make_access
from toolkit.runtime.web.address import is_own_host, parse_address
from toolkit.runtime.web.feed import LONGEST_PX, MOST_PER_S, Feed
from toolkit.runtime.web.request import FILES, FOLDER, LONGEST_HEAD_BYTES
from toolkit.runtime.web.server import MOST_CONNECTIONS, ViewerServer

from .conftest import ask

SOURCE = Source(iter(()), live=True)


def result(number: int = 0, size: tuple[int, int] = (72, 128)) -> Result:
    """Return a result with two people, numbered 4 and 7."""
    picture = np.full((*size, 3), number % 250, np.uint8)
    people = people_at((30, 40), (80, 40))
    estimate = Estimate(
        CapturedFrame(f"{number:06d}", picture, 0.04 * number), people, None, {"inference": 1.5}, 0.0, 0
    )
    return Result(estimate, Tracked(people, [4, 7]), SOURCE)


@contextlib.contextmanager
def serving(web: str = "0") -> Iterator[ViewerServer]:
    with contextlib.closing(ViewerServer(parse_address(web), Feed(), {"title": "tiny"})) as server:
        yield server


@pytest.fixture
def local() -> Iterator[ViewerServer]:
    """A page on loopback that has one picture."""
    with serving() as server:
        server.feed.put(result())
        yield server


@pytest.fixture
def public() -> Iterator[ViewerServer]:
    """A page on all addresses that has one picture."""
    with serving("0.0.0.0:0") as server:
        server.feed.put(result())
        yield server


def parts(message: bytes) -> tuple[dict, np.ndarray]:
    """Return the head and the picture of a message."""
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), cv2.imdecode(
        np.frombuffer(message[4 + length :], np.uint8), 1
    )


def raw(port: int, sent: bytes) -> bytes:
    """Return all that the server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(sent)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                answer += part
        return answer


def test_a_message_holds_the_people_of_its_picture(local):
    status, headers, body = ask(local.port, "/next?after=0")
    head, picture = parts(body)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert picture.shape == (72, 128, 3)
    assert head["size"] == [128, 72]
    assert [person["number"] for person in head["people"]] == [4, 7]
    people = result().people
    np.testing.assert_allclose(head["people"][1]["joints_px"], people.joints_px[1], atol=0.051)
    np.testing.assert_allclose(
        head["people"][1]["joints_mm"], people.joints_mm[1] + people.roots_mm[1], atol=0.51
    )
    assert head["stages_ms"] == {"inference": 1.5}


def test_a_large_picture_is_sent_smaller_and_its_people_with_it():
    feed = Feed()
    feed.put(result(size=(1080, 1920)))
    head, picture = parts(feed.after(0, 1))
    assert picture.shape == (540, LONGEST_PX, 3)
    np.testing.assert_allclose(head["people"][0]["joints_px"], result().people.joints_px[0] / 2, atol=0.051)


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/space.js", "/about"])
def test_the_page_needs_nothing_from_elsewhere(local, path):
    status, headers, body = ask(local.port, path)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(rb"https?:|wss?:|url\(|@import|(src|href)=.?//", body)


def test_every_file_of_the_page_is_served():
    stored = {path.name for path in Path(FOLDER).iterdir() if path.suffix not in (".py", "")}
    assert {name for name, _ in FILES.values()} == stored


@pytest.mark.parametrize(
    "path",
    ["/page.html", "/server.py", "/../viewer.py", "/%2e%2e/pose.py", "//etc/passwd", "/web/", "/favicon.ico"],
)
def test_nothing_else_is_served(local, path):
    assert ask(local.port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_a_viewer_can_only_read(local, method):
    assert ask(local.port, "/", method)[0] in (400, 405, 501)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b", "[::1]x", "x" * 300],
)
def test_a_name_that_another_site_points_here_is_refused(local, host):
    assert ask(local.port, "/next?after=0", Host=host)[0] == 421


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:9999", "[::1]:80", "LOCALHOST:1", socket.gethostname()]
)
def test_the_names_of_this_machine_are_taken_through_a_tunnel_too(local, host):
    assert ask(local.port, "/about", Host=host)[0] == 200


def test_two_host_headers_are_refused(local):
    assert b" 421 " in raw(
        local.port, b"GET /about HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    )


def test_the_stated_name_is_taken():
    assert is_own_host("robot.lan:8000", "robot.lan")
    assert not is_own_host("robot.lan.evil.example", "robot.lan")


@pytest.mark.parametrize("path", ["/about", "/next?after=0", "/page.js"])
def test_another_site_cannot_read_the_page_through_the_users_browser(local, path):
    assert ask(local.port, path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask(local.port, path, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")[0] == 200
    assert ask(local.port, path)[1]["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/", "/about", "/next?after=0", "/page.js", "/nothing", "/?key=", "/?key=" + "a" * 32]
)
def test_without_the_key_nothing_is_shown_on_an_address(public, path):
    status, headers, body = ask(public.port, path)
    assert status == 403
    assert "Set-Cookie" not in headers
    assert b"tiny" not in body


def test_the_key_becomes_a_cookie_and_leaves_the_address(public):
    assert len(public.access.token) >= 32
    status, headers, _ = ask(public.port, f"/?key={public.access.token}")
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert headers["Referrer-Policy"] == "no-referrer"
    pair = cookie.partition(";")[0]
    assert ask(public.port, "/about", Cookie=f"other=1; {pair}")[0] == 200
    assert ask(public.port, "/about", Cookie=pair[:-1])[0] == 403
    assert ask(public.port, "/about", Cookie="posec_1=" + public.access.token)[0] == 403
    assert ask(public.port, "/about", Cookie="\x7f=;=;posec")[0] == 403


def test_the_key_opens_only_the_page_itself(public):
    assert ask(public.port, f"/about?key={public.access.token}")[0] == 403


def test_two_pages_have_different_keys(public):
    with serving("0.0.0.0:0") as other:
        assert other.access.token != public.access.token


def test_loopback_needs_no_key_and_an_address_does(local, public):
    assert "key" not in local.link
    assert public.link.endswith(f"/?key={public.access.token}")
    printed: list[str] = []
    public.announce(printed.append)
    assert public.access.token in redact(printed[0]), "the user must be able to read the link"


def test_a_key_of_ones_own_stays_and_is_not_printed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "a-key-that-stays-the-same")
    with serving() as server:
        server.feed.put(result())
        printed: list[str] = []
        server.announce(printed.append)
        assert "a-key-that" not in printed[0]
        assert VARIABLE in printed[0]
        assert ask(server.port, "/about")[0] == 403
        assert ask(server.port, "/?key=a-key-that-stays-the-same")[0] == 303


@pytest.mark.parametrize("token", ["short", "spaces are not taken here", "ä" * 20, "x" * 200])
def test_a_key_of_ones_own_must_be_long_and_fit_a_link(monkeypatch, token):
    monkeypatch.setenv(VARIABLE, token)
    with pytest.raises(PoseError, match="16 to 128"):
        make_access(False)


@pytest.mark.parametrize(
    "text", ["", "a", "99999", "host:", ":8000", "1:2:3", "host:80:", "[::1", "8000 ", "a b:1", "-1"]
)
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(PoseError, match="--web takes PORT or HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8000", "127.0.0.1", 8000),
        ("localhost:1", "127.0.0.1", 1),
        ("[::]:80", "::", 80),
        ("pi.local:0", "pi.local", 0),
    ],
)
def test_addresses_are_read(text, host, port):
    assert parse_address(text) == (host, port)


def test_a_taken_port_and_a_foreign_address_are_refused(local):
    for web in (str(local.port), "192.0.2.1:0"):
        with pytest.raises(PoseError, match="choose another port, or an address of this machine"):
            ViewerServer(parse_address(web), Feed(), {})


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * LONGEST_HEAD_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * LONGEST_HEAD_BYTES,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * (4 * LONGEST_HEAD_BYTES),
    ],
    ids=["address", "headers", "one header"],
)
def test_a_request_without_end_is_cut_off(local, sent):
    assert b" 200 " not in raw(local.port, sent)
    assert ask(local.port, "/about")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/about HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /next?after=-1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /next?after=\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /next?" + b"a=1&" * 500 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /about HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /about HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_of_the_page_gets_nothing(local, sent):
    assert b" 200 " not in raw(local.port, sent)
    assert ask(local.port, "/about")[0] == 200


def test_several_requests_share_a_connection(local):
    request = b"GET /about HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = raw(local.port, request + request[:-2] + b"Connection: close\r\n\r\n")
    assert answer.count(b" 200 OK") == 2


def test_a_request_that_drips_is_given_up(local, monkeypatch):
    monkeypatch.setattr(request_module, "HEAD_WITHIN_S", 0.5)
    with socket.create_connection(("127.0.0.1", local.port), 20) as connection:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 10:
                connection.sendall(b"G")
                time.sleep(0.1)
    assert time.monotonic() - begun < 5


def test_clients_beyond_the_limit_are_turned_away_until_one_leaves(local):
    held = [socket.create_connection(("127.0.0.1", local.port), 20) for _ in range(MOST_CONNECTIONS)]
    end = time.monotonic() + 20
    while len(local._open) < MOST_CONNECTIONS and time.monotonic() < end:
        time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", local.port), 20) as late:
        assert late.recv(100).startswith(b"HTTP/1.1 503 ")
    assert len(local._open) == MOST_CONNECTIONS
    for connection in held:
        connection.close()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ConnectionError):
            if ask(local.port, "/about")[0] == 200:
                return
        time.sleep(0.05)
    pytest.fail("no viewer is served after the others have left")


def test_nothing_is_encoded_without_viewers_and_once_for_all_of_them(local):
    feed = local.feed
    for number in range(50):
        feed.put(result(number))
    assert feed.encoded == 0
    threads = [threading.Thread(target=ask, args=(local.port, "/next?after=0")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert feed.encoded == 1


def test_a_fast_loop_is_encoded_no_faster_than_people_see(local):
    stop, taken = threading.Event(), 0

    def loop() -> None:
        while not stop.wait(0.001):
            local.feed.put(result())

    thread = threading.Thread(target=loop)
    thread.start()
    begun, number = time.monotonic(), 0
    while time.monotonic() - begun < 1.5:
        head, _ = parts(ask(local.port, f"/next?after={number}")[2])
        assert head["number"] > number
        number, taken = head["number"], taken + 1
    stop.set()
    thread.join()
    assert local.feed.encoded <= 1.5 * MOST_PER_S + 2
    assert taken > 3


def test_a_viewer_that_never_reads_does_not_hold_up_the_loop_and_loses_its_connection(local, monkeypatch):
    monkeypatch.setattr(request_module, "SEND_WITHIN_S", 1.0)
    stuck = socket.socket()
    stuck.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
    )  # full after few pictures, on a busy machine too
    stuck.connect(("127.0.0.1", local.port))
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3)).astype(np.uint8)
    ahead = b"".join(b"GET /next?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n" for _ in range(400))
    stuck.sendall(ahead)
    longest, begun = 0.0, time.monotonic()
    while time.monotonic() - begun < 3:
        plain = result()
        plain.frame = plain.frame._replace(picture=noise)
        put_at = time.monotonic()
        local.feed.put(plain)
        longest = max(longest, time.monotonic() - put_at)
        time.sleep(0.02)
    assert longest < 0.5
    assert ask(local.port, "/about")[0] == 200
    end = time.monotonic() + 20
    while local._open and time.monotonic() < end:
        local.feed.put(plain)
        time.sleep(0.05)
    assert not local._open
    stuck.close()


def test_a_number_of_an_earlier_run_gets_the_latest_picture(local):
    assert parts(ask(local.port, "/next?after=999999")[2])[0]["number"] == 1


def test_a_viewer_that_waits_hears_that_the_run_has_ended(local, monkeypatch):
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(ask(local.port, "/next?after=1")[0]))
    thread.start()
    time.sleep(0.3)
    local.close()
    thread.join(5)
    assert answers == [410]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", local.port), 2)


def test_a_viewer_that_waits_in_vain_is_answered(local, monkeypatch):
    monkeypatch.setattr(request_module, "PICTURE_WITHIN_S", 0.2)
    assert ask(local.port, "/next?after=1")[0] == 204


def test_the_spec_of_the_page_is_that_of_the_run():
    from types import SimpleNamespace

    from toolkit.runtime.web.viewer import describe

    estimator = SimpleNamespace(
        spec=tiny_spec(),
        describe=lambda: {
            "network": "n",
            "target": "t",
            "precision": "p",
            "engine": "e",
            "version": "1",
            "threads": "2",
        },
    )
    about = describe(estimator)
    assert about["title"] == "n · t · p"
    assert about["engine"] == "e 1, threads: 2"
    assert about["parents"][about["root"]] == -1
