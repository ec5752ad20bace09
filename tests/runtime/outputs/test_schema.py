"""The JSON Schema of a line, against lines of pictures, videos and cameras."""

from __future__ import annotations

import copy
import json

import cv2
import pytest
from http_camera import HttpCamera
from networks import spot_picture
from processes import posec
from tiny_bundles import write_tiny_bundle
from video_files import jpeg

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


@pytest.fixture(scope="module")
def schema():
    done = posec("schema")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


@pytest.fixture(scope="module")
def lines(bundle, tmp_path_factory):
    """Lines of pictures with 0 to 3 people, and of a camera."""
    folder = tmp_path_factory.mktemp("pictures")
    for people in range(4):
        cv2.imwrite(str(folder / f"{people}.png"), spot_picture(people, seed=people))
    printed = posec("run", bundle, "--source", folder, "--json").stdout
    with HttpCamera([[jpeg(spot_picture(2, seed=7))] * 100], 0.02) as camera:
        printed += posec("run", bundle, "--source", camera.url, "--json", "--most", 5).stdout
    return [json.loads(text) for text in printed.splitlines()]


def test_every_line_is_valid_and_every_field_is_described(lines, schema):
    assert len(lines) == 9
    strict = {**schema, "additionalProperties": False}
    for each in lines:
        jsonschema.validate(each, strict)
    assert {"schema", "unix_s", "numbers"} <= set(lines[-1])
    # `cameras` is of several cameras, see tests/runtime/views/test_run_fused.py.
    assert {"cameras", *set().union(*lines)} == set(schema["properties"])


def changes(line):
    """Yield changed copies of a line that no version of a run writes."""
    for name, value in (
        ("schema", 2),
        ("scores", [1.5]),
        ("size", [0, 160]),
        ("joints_mm", [[[1, 2]]]),
        ("centres_px", [[1, 2, 3]]),
        ("numbers", [0]),
        ("seconds", -1),
        ("roots_mm", [["near", 0, 0]]),
    ):
        yield {**copy.deepcopy(line), name: value}
    for name in ("schema", "scores", "joints_mm", "picture"):
        yield {key: value for key, value in line.items() if key != name}


def test_lines_that_are_wrong_are_not_valid(lines, schema):
    validator = jsonschema.Draft202012Validator(schema)
    assert [validator.is_valid(each) for each in changes(lines[-1])] == [False] * 12


def test_fields_of_a_later_version_are_allowed(lines, schema):
    jsonschema.validate({**lines[-1], "later": [1]}, schema)
