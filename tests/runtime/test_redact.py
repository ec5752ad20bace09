"""Text made safe to print."""

from __future__ import annotations

import time

import pytest

from toolkit.errors import PosecError
from toolkit.runtime.console import printable, redact
from toolkit.runtime.errors import PoseError
from toolkit.runtime.video.sources import SourceError

SECRETS = {
    "a URL": ("cannot open 'rtsp://admin:hunter2@10.0.0.7/live'", "cannot open 'rtsp://***@10.0.0.7/live'"),
    "a URL with @ and / in the password": ("rtsp://admin:a@b/c@cam/1", "rtsp://***@cam/1"),
    "a URL with a space in the password": (
        "'rtsp://admin:my pass@cam' of 'pi@board'",
        "'rtsp://***@cam' of 'pi@board'",
    ),
    "a URL without a password": ("http://token@cam/", "http://***@cam/"),
    "a URL that lost a slash": ("rtsp:/admin:pw@cam", "rtsp:/***@cam"),
    "upper case": ("RTSP://Admin:PW@cam", "RTSP://***@cam"),
    "a query": ("http://cam/x.cgi?user=u&pwd=p&channel=1", "http://cam/x.cgi?user=***&pwd=***&channel=1"),
    "a pipeline": ('rtspsrc user-id=u user-pw="a b" ! appsink', "rtspsrc user-id=*** user-pw=*** ! appsink"),
}
PLAIN = [
    "pi@board refused",
    "/home/pi@x/file",
    "http://cam/live",
    "C:/a@b",
    "ratio=0.5, passes=3, keyword=1",
    "'a' and \"b\"",
]


@pytest.mark.parametrize(("text", "shown"), SECRETS.values(), ids=SECRETS)
def test_credentials_are_hidden(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize("kind", [PoseError, PosecError, SourceError])
def test_no_error_holds_credentials(kind):
    assert "hunter2" not in str(kind("cannot open 'rtsp://admin:hunter2@cam'"))
    assert "hunter2" not in repr(kind("cannot open 'rtsp://admin:hunter2@cam'"))


def test_characters_that_steer_a_terminal_are_escaped():
    assert (
        printable("\x1b]0;x\x07 \x9b2J \r \u202egpj.exe \udcff \u2028")
        == "\\x1b]0;x\\x07 \\x9b2J \\r \\u202egpj.exe \\xff \\u2028"
    )
    assert printable("line\n\ttab née 山田") == "line\n\ttab née 山田"


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "a://" * 50_000, "@" * 200_000, "a://b@" * 30_000, "password=" * 30_000],
    ids=["a", "//", "@", "//@", "="],
)
def test_long_text_takes_no_time(text):
    start = time.perf_counter()
    redact(printable(text))
    assert time.perf_counter() - start < 2
