"""Runs over a camera that sends spots, the people of the tiny network; and the lines of a recording."""

from __future__ import annotations

import json

from http_camera import HttpCamera
from networks import spot_picture
from processes import posec
from video_files import jpeg


def spots(count, size=(120, 160), people=1):
    return [jpeg(spot_picture(people, seed=7, size=size))] * count


def lines_of(path):
    content = path.read_text()
    assert content.endswith("\n")
    return [json.loads(text) for text in content.splitlines()]


def check_numbering(lines):
    assert [each["picture"] for each in lines] == [f"{number:06d}" for number in range(len(lines))]


def run_camera(bundle, connections, *options, every_s=0.02, **started):
    with HttpCamera(connections, every_s) as camera:
        return posec("run", bundle, "--source", camera.url, "--retry", 0, *options, **started)
