"""Messages: no control characters, no credentials, and no error without a reader."""

import pytest

from toolkit.runtime.console import printable, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("street.jpg", "street.jpg"),
        ("café über 日本 🙂", "café über 日本 🙂"),
        ("a\x1b[31mb\x07", "a\\x1b[31mb\\x07"),
        ("a\x9bb\u202ec", "a\\x9bb\\u202ec"),
        ("caf\udce9", "caf\\xe9"),
        ("a\nb\tc\rd", "a\nb\tc\\rd"),
    ],
)
def test_control_characters_and_stray_bytes_become_escapes(text, shown):
    assert printable(text) == shown


def test_a_name_has_no_lines():
    assert printable("a\nposec: done", keep="") == "a\\nposec: done"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open 'rtsp://admin:hush@cam:554/s'", "cannot open 'rtsp://***@cam:554/s'"),
        ("rtsp://admin:p@ss@cam/s", "rtsp://***@cam/s"),
        ("rtsp://hush@cam/s and http://cam/", "rtsp://***@cam/s and http://cam/"),
        ("http://cam/v?user=me&password=hush&x=1", "http://cam/v?user=***&password=***&x=1"),
        ('rtspsrc location=x user-pw="hu sh" ! appsink', "rtspsrc location=x user-pw=*** ! appsink"),
        ("http://cam/video?resolution=640", "http://cam/video?resolution=640"),
        ("scores above 0.3 pass; keyframe=3", "scores above 0.3 pass; keyframe=3"),
        ("pi@raspberrypi.local", "pi@raspberrypi.local"),
    ],
)
def test_logins_are_hidden_and_nothing_else(text, shown):
    assert redact(text) == shown
