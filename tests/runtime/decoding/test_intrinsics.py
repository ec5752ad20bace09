"""Focal length, field of view and calibration files: from the command to the people before the camera."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import spot_picture
from recorded_heads import Recorded, recorded_heads, replay_bundle

from toolkit.cli import main
from toolkit.runtime import PoseError, load
from toolkit.runtime.__main__ import main as board_main
from toolkit.runtime.decoding.camera_file import read_intrinsics
from toolkit.runtime.decoding.intrinsics import Intrinsics, field_of_view

PERSON = [Recorded(3, 5, 0.9, offset=(0.3, -0.2), depth=1.0)]
SIZE = (480, 640)
CAMERA = Intrinsics((500.0, 510.0), (310.0, 250.0), (-0.3, 0.1, 0.001, 0.002, -0.01))
OPENCV = """%YAML:1.0
---
calibration_time: "Sat Nov  8 12:00:00 2025"   # by hand
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 500., 0., 310., 0., 510.,
       250., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -3.0e-01, 1.0e-01, 0.001, 2.0e-03, -0.01 ]
avg_reprojection_error: 2.1e-01
"""
ROS = """image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [500, 0, 310, 0, 510, 250, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.001, 0.002, -0.01]
"""
BLOCKS = """camera_matrix:
- - 500.0
  - 0.0
  - 310.0
- - 0.0
  - 510.0
  - 250.0
- - 0.0
  - 0.0
  - 1.0
dist_coeffs:
- - -0.3
  - 0.1
  - 0.001
  - 0.002
  - -0.01
"""
FLAT = {
    "fx": 500,
    "fy": 510,
    "cx": 310,
    "cy": 250,
    "k1": -0.3,
    "k2": 0.1,
    "p1": 0.001,
    "p2": 0.002,
    "k3": -0.01,
}
NESTED = {
    "K": [[500, 0, 310], [0, 510, 250], [0, 0, 1]],
    "D": [[-0.3, 0.1, 0.001, 0.002, -0.01]],
    "width": 640,
    "height": 480,
}
FILES = {
    "opencv.yaml": OPENCV,
    "ros.yaml": ROS,
    "blocks.yaml": BLOCKS,
    "flat.json": json.dumps(FLAT),
    "nested.json": json.dumps(NESTED),
    "flat.yaml": "\n".join(f"{name}: {value}" for name, value in FLAT.items()),
    "windows.yml": "\ufeff" + OPENCV.replace("\n", "\r\n"),
}


def picture(path: Path, size: tuple[int, int] = SIZE) -> str:
    cv2.imwrite(str(path), spot_picture(1, 0, size))
    return str(path)


def people_of(capsys: pytest.CaptureFixture, bundle: Path, source: str, *options: str) -> dict:
    capsys.readouterr()
    assert main(["run", str(bundle), "--source", source, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    replay_bundle(tmp_path / "bundle", recorded_heads(PERSON))
    return tmp_path / "bundle"


@pytest.mark.parametrize("name", FILES)
def test_calibrations_of_every_kind_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name].encode())
    camera = read_intrinsics(tmp_path / name)(SIZE)
    assert (camera.focal_px, camera.principal_px) == (CAMERA.focal_px, CAMERA.principal_px)
    assert camera.distortion[:5] == CAMERA.distortion
    assert not any(camera.distortion[5:])


def test_the_file_that_opencv_writes_itself_is_read(tmp_path):
    for name in ("own.yml", "own.json"):
        file = cv2.FileStorage(str(tmp_path / name), cv2.FILE_STORAGE_WRITE)
        file.write("camera_matrix", np.array([[500, 0, 310], [0, 510, 250], [0, 0, 1]], np.float64))
        file.write("distortion_coefficients", np.array([CAMERA.distortion], np.float64))
        file.release()
        assert read_intrinsics(tmp_path / name)(SIZE) == CAMERA


def test_rays_undo_the_projection_of_opencv():
    points = np.random.default_rng(0).uniform((-0.4, -0.3, 1), (0.4, 0.3, 1), (50, 3))
    matrix = np.array([[500, 0, 310], [0, 510, 250], [0, 0, 1.0]])
    seen = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array(CAMERA.distortion))[0][:, 0]
    assert CAMERA.rays(seen) == pytest.approx(points, abs=1e-3)
    assert CAMERA.rays(np.zeros((0, 2))).shape == (0, 3)
    assert Intrinsics((500.0, 510.0), (310.0, 250.0)).rays(
        np.float32([[310, 250], [810, 250]])
    ) == pytest.approx(np.array([[0, 0, 1], [1, 0, 1]]))


@pytest.mark.parametrize("size", [(120, 160), (160, 120), (240, 240)])
def test_without_a_camera_the_longer_side_counts(bundle, tmp_path, capsys, size):
    """A camera on its side keeps its focal length: the same field of view whichever way it is held."""
    source, longer = picture(tmp_path / "a.png", size), max(size)
    assumed = people_of(capsys, bundle, source)
    assert assumed == people_of(capsys, bundle, source, "--focal-px", str(0.8 * longer))
    degrees = 2 * np.degrees(np.arctan(0.5 / 0.8))
    assert people_of(capsys, bundle, source, "--fov", f"{degrees:.9f}")["roots_mm"] == [
        pytest.approx(assumed["roots_mm"][0], rel=1e-4)
    ]


def test_a_person_turned_with_the_camera_is_as_far_away(tmp_path, capsys):
    far = []
    for name, size in (("landscape", (120, 160)), ("portrait", (160, 120))):
        replay_bundle(tmp_path / name, recorded_heads([Recorded(4, 6, 0.9)]))
        root = people_of(capsys, tmp_path / name, picture(tmp_path / f"{name}.png", size))["roots_mm"][0]
        far.append(root[2] / load(tmp_path / name).infer(spot_picture(1, 0, size)).letterbox.scale)
    assert far[0] == pytest.approx(far[1], rel=1e-4)


def test_the_calibration_moves_people_where_the_camera_saw_them(bundle, tmp_path, capsys):
    (tmp_path / "camera.yaml").write_text(OPENCV)
    source = picture(tmp_path / "a.png")
    found = people_of(capsys, bundle, source, "--intrinsics", str(tmp_path / "camera.yaml"))
    plain = people_of(capsys, bundle, source, "--focal-px", str(np.sqrt(500 * 510)))
    assert found["roots_mm"][0][2] == pytest.approx(plain["roots_mm"][0][2], rel=1e-4)
    assert found["joints_px"] == plain["joints_px"]
    pelvis = np.array([found["joints_px"][0][14]])
    assert np.array(found["roots_mm"][0][:2]) / found["roots_mm"][0][2] == pytest.approx(
        CAMERA.rays(pelvis)[0, :2], abs=1e-5
    )
    half = people_of(
        capsys,
        bundle,
        picture(tmp_path / "half.png", (240, 320)),
        "--intrinsics",
        str(tmp_path / "camera.yaml"),
    )
    assert half["roots_mm"][0] == pytest.approx(found["roots_mm"][0], rel=1e-3)


def test_the_board_takes_the_same_options(bundle, tmp_path, capsys):
    source = picture(tmp_path / "a.png")
    assert board_main([str(bundle), "--source", source, "--fov", "90"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == people_of(capsys, bundle, source, "--fov", "90")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--fov", "0"], "between 1 and 179"),
        (["--fov", "nan"], "between 1 and 179"),
        (["--fov", "360"], "between 1 and 179"),
        (["--focal-px", "-3"], "positive number"),
        (["--focal-px", "inf"], "positive number"),
        (["--fov", "60", "--focal-px", "500"], "give one"),
        (["--intrinsics", "none.yaml"], "no such file"),
        (["--intrinsics", "."], "not a plain file"),
        (["--intrinsics", "bad.yaml"], "is not a camera calibration"),
        (["--intrinsics", "narrow.yaml"], "is for pictures of 640 x 480, this one has 160 x 120; calibrate"),
        (["--intrinsics", "outside.json"], "lies outside a picture of 160 x 120"),
    ],
)
def test_cameras_that_cannot_be_are_refused_in_a_sentence(
    bundle, tmp_path, monkeypatch, capsys, options, sentence
):
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("camera_matrix: [1, 2, 3]")
    Path("narrow.yaml").write_text(OPENCV)
    Path("outside.json").write_text(json.dumps(FLAT))
    source = picture(tmp_path / "a.png", (120, 160))
    if "narrow.yaml" in options:
        Path("narrow.yaml").write_text(OPENCV.replace("640", "641"))
        sentence = "is for pictures of 641 x 480"
        source = picture(tmp_path / "a.png", (480, 480))
    assert main(["run", str(bundle), "--source", source, *options, "--json"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "fx: 500",
        '{"fx": 1}',
        "[1]",
        "{" * 9999,
        "[" * 99999,
        "a: " + "[ " * 50000,
        '{"fx": NaN, "fy": 1, "cx": 1, "cy": 1}',
        '{"fx": 1' + "0" * 400 + ', "fy": 1, "cx": 1, "cy": 1}',
        '{"fx": -1, "fy": 1, "cx": 1, "cy": 1}',
        '{"fx": [], "fy": 1, "cx": 1, "cy": 1}',
        '{"fx": 1e300, "fy": 1, "cx": 1, "cy": 1}',
        '{"fx": 500, "fy": 500, "cx": 1, "cy": 1, "k1": 1e9}',
        '{"fx": 1e-9, "fy": 1, "cx": 1, "cy": 1}',
        ROS.replace("plumb_bob", "equidistant"),
        ROS.replace(", -0.01]", "]").replace(", 0.002", ""),
        ROS.replace("image_width: 640", "image_width: 0"),
        ROS.replace("[500", "[.nan"),
        "\0",
        "\udcff",
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "camera").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PoseError, match=r"is not a camera calibration: .*; it needs fx, fy"):
        read_intrinsics(tmp_path / "camera")


def test_explain_states_the_field_of_view(bundle, tmp_path, capsys):
    source = picture(tmp_path / "a.png", (120, 160))
    assert main(["explain", str(bundle), "--source", source]) == 0
    assert (
        "focal length 128 px, field of view 64 degrees across the longer side (assumed"
        in capsys.readouterr().out
    )
    assert main(["explain", str(bundle), "--source", source, "--fov", "90"]) == 0
    assert (
        "focal length 80 px, field of view 90 degrees across the longer side (given)"
        in capsys.readouterr().out
    )
    assert field_of_view(90)((120, 160)).focal_px == (pytest.approx(80), pytest.approx(80))
