"""convert: BVH read by the package `bvh`, with its joints computed here, and CSV."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from command_line import refusal, run

from toolkit.runtime.pose import MUPOTS17, PoseFrame

bvh = pytest.importorskip("bvh")
Rotation = pytest.importorskip("scipy.spatial.transform").Rotation

HZ = 25.0
UPRIGHT = {  # direction of the bone that ends at a joint, camera frame: y is down
    "spine": (0, -1, 0), "neck": (0, -1, 0), "head": (0, -1, 0), "head_top": (0, -1, 0),
    "right_shoulder": (-1, 0, 0), "left_shoulder": (1, 0, 0),
    "right_hip": (-1, 0.2, 0), "left_hip": (1, 0.2, 0),
}  # fmt: skip


def moving_joints(frames, seed=0):
    """Return joints (T, 17, 3) in mm of a body with constant bone lengths, each bone turning on its own."""
    random = np.random.default_rng(seed)
    joints = np.zeros((frames, 17, 3))
    for joint, length in zip(MUPOTS17.bones, MUPOTS17.bone_lengths_mm, strict=True):
        start = np.array(UPRIGHT.get(MUPOTS17.names[joint], (0.05, 1, 0.1)), float)
        swing = random.normal(0, 0.8, 3) * np.sin(np.linspace(0, 4, frames) + random.uniform(0, 6))[:, None]
        direction = start + swing
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        joints[:, joint] = joints[:, MUPOTS17.parents[joint]] + length * direction
    return joints


def recorded(path, joints_mm, roots_mm, numbers, seconds):
    """Write a people.jsonl of T pictures with N people; joints (T, N, 17, 3)."""
    texts = []
    for frame, time in enumerate(seconds):
        count = len(numbers)
        people = PoseFrame(
            scores=np.full(count, 0.9, np.float32),
            centres_px=np.zeros((count, 2), np.float32),
            joints_mm=joints_mm[frame].astype(np.float32),
            roots_mm=roots_mm[frame].astype(np.float32),
            joints_px=np.zeros((count, 17, 2), np.float32),
        )
        line = {"schema": 1, "picture": f"{frame:06d}", "seconds": time, "size": [480, 640]}
        texts.append(json.dumps({**line, **people.to_dict(), "numbers": numbers}))
    path.write_text("\n".join(texts) + "\n")
    return path


@pytest.fixture
def take(tmp_path):
    """A recording of two people, and their joints (T, 2, 17, 3) in the camera frame."""
    joints = np.stack([moving_joints(40, seed) for seed in (0, 1)], axis=1)
    roots = np.array([[[-500.0, 100, 3000], [700.0, 0, 4000]]]) + 40 * np.arange(40)[:, None, None]
    path = recorded(tmp_path / "people.jsonl", joints, roots, [3, 8], np.arange(40) / HZ)
    return path, joints + roots[:, :, None]


def positions(file):
    """Return joint name → (T, 3) in the file's units, computed from offsets and rotations."""
    found = {}

    def place(joint, origin, turned):
        name = joint.name
        channels = file.joint_channels(name)
        values = np.array(file.frames_joint_channels(name, channels), float)
        offset = np.array(file.joint_offset(name), float)
        if "Xposition" in channels:
            origin, values, channels = values[:, :3], values[:, 3:], channels[3:]
        else:
            origin = origin + turned.apply(np.tile(offset, (len(origin), 1)))
        order = "".join(channel[0] for channel in channels)
        found[name] = origin
        here = turned * Rotation.from_euler(order, values, degrees=True)
        for child in joint.children:
            if child.value[0] == "JOINT":
                place(child, origin, here)

    root = next(file.root.filter("ROOT"))
    place(root, np.zeros((file.nframes, 3)), Rotation.identity(file.nframes))
    return found


def test_another_reader_finds_the_joints_of_both_people_where_they_were(take, tmp_path):
    path, joints_mm = take
    assert run("convert", path, "-o", tmp_path / "take.bvh") == 0
    for person, number in enumerate((3, 8)):
        file = bvh.Bvh((tmp_path / f"take-{number}.bvh").read_text())
        assert file.nframes == 40
        assert file.frame_time == pytest.approx(1 / HZ, rel=1e-4)
        found = positions(file)
        for joint, name in enumerate(MUPOTS17.names):
            in_mm = found[name] * [10, -10, -10]
            assert np.abs(in_mm - joints_mm[:, person, joint]).max() < 0.5, name


def test_one_person_is_one_file_of_the_given_name(take, tmp_path):
    path, _ = take
    assert run("convert", path, "-o", tmp_path / "take.bvh", "--person", 8) == 0
    assert [file.name for file in tmp_path.glob("*.bvh")] == ["take.bvh"]


def test_a_gap_is_interpolated_and_the_rate_is_as_asked(tmp_path):
    joints = moving_joints(30)[:, None]
    seconds = np.arange(30) / 10
    kept = [frame for frame in range(30) if frame not in (10, 11, 12)]
    roots = np.full((27, 1, 3), 3000.0)
    path = recorded(tmp_path / "people.jsonl", joints[kept], roots, [1], seconds[kept])
    assert run("convert", path, "-o", tmp_path / "take.bvh", "--rate", 20) == 0
    file = bvh.Bvh((tmp_path / "take.bvh").read_text())
    assert (file.nframes, file.frame_time) == (59, 0.05)


def test_a_person_in_the_rest_pose_has_no_rotations(tmp_path):
    joints = np.zeros((2, 1, 17, 3))
    rest = {"left": (1, 0, 0), "right": (-1, 0, 0)}
    for joint, length in zip(MUPOTS17.bones, MUPOTS17.bone_lengths_mm, strict=True):
        side, _, part = MUPOTS17.names[joint].partition("_")
        direction = (0, 1, 0) if part in ("knee", "ankle") else rest.get(side, (0, -1, 0))
        joints[:, 0, joint] = joints[:, 0, MUPOTS17.parents[joint]] + length * np.array(direction)
    path = recorded(tmp_path / "people.jsonl", joints, np.zeros((2, 1, 3)), [1], [0.0, 0.1])
    assert run("convert", path, "-o", tmp_path / "take.bvh") == 0
    motion = (tmp_path / "take.bvh").read_text().splitlines()[-1]
    assert np.abs(np.array(motion.split(), float)).max() < 0.01


def test_csv_has_a_row_per_joint(take, tmp_path):
    path, joints_mm = take
    assert run("convert", path, "-o", tmp_path / "take.csv", "--person", 3) == 0
    with (tmp_path / "take.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40 * 17
    last = rows[-1]
    assert (last["picture"], last["person"], last["joint"]) == ("000039", "3", "head")
    assert [float(last[axis]) for axis in ("x_mm", "y_mm", "z_mm")] == pytest.approx(
        joints_mm[-1, 0, 16], abs=0.1
    )


def test_a_line_that_is_still_being_written_is_left_out(take, tmp_path):
    path, _ = take
    with path.open("a") as file:
        file.write('{"picture": "0000')
    assert run("convert", path, "-o", tmp_path / "take.csv") == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "has no lines"),
        ("[]\n", "line 1 is no line of people.jsonl: an object is needed"),
        ('{"schema": 1}\n', "no field"),
        ('{"schema": 2}\n', "schema 2"),
        ("nonsense\n", "line 1 is no line"),
        ('{"scores": [NaN]}\n', "line 1 is no line"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, capsys, line, sentence):
    (tmp_path / "people.jsonl").write_text(line)
    assert sentence in refusal(capsys, "convert", tmp_path / "people.jsonl", "-o", tmp_path / "take.csv")
    assert not (tmp_path / "take.csv").exists()


def test_requests_that_do_not_fit_are_refused(take, tmp_path, capsys):
    path, _ = take
    assert ".bvh or .csv" in refusal(capsys, "convert", path, "-o", tmp_path / "take.fbx")
    message = refusal(capsys, "convert", path, "-o", tmp_path / "take.bvh", "--person", 5)
    assert "no person 5 in the recording; it has 3, 8" in message
    assert "--rate" in refusal(capsys, "convert", path, "-o", tmp_path / "take.bvh", "--rate", 0)
    unrelated = [json.loads(text) for text in path.read_text().splitlines()]
    for each in unrelated:
        del each["numbers"]
    path.write_text("".join(json.dumps(each) + "\n" for each in unrelated))
    assert "convert them to CSV" in refusal(capsys, "convert", path, "-o", tmp_path / "take.bvh")
    assert run("convert", path, "-o", tmp_path / "take.csv") == 0


def test_all_people_have_the_same_frames_from_the_first_picture_to_the_last(take, tmp_path):
    path, joints_mm = take
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for frame, line in enumerate(lines):  # person 8 comes late and goes early; the recording starts at 100 s
        line["seconds"] += 100
        if not 10 <= frame < 30:
            for name in [*PoseFrame.__dataclass_fields__, "numbers"]:
                del line[name][1]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("convert", path, "-o", tmp_path / "take.bvh") == 0
    files = [bvh.Bvh((tmp_path / f"take-{number}.bvh").read_text()) for number in (3, 8)]
    assert [file.nframes for file in files] == [40, 40]
    found = positions(files[1])[MUPOTS17.names[MUPOTS17.root]] * [10, -10, -10]
    where = joints_mm[:, 1, MUPOTS17.root]
    expected = where[np.clip(np.arange(40), 10, 29)]
    assert np.abs(found - expected).max() < 0.5


def rewritten(path, change):
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    changed = [change(number, line) for number, line in enumerate(lines)]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    return path


@pytest.mark.parametrize("ending", ["bvh", "csv"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda at, line: {**line, "seconds": 2 - at},
            "line 2 is of 1 s, the one before of 2 s; convert",
        ),
        (lambda at, line: {**line, "seconds": at % 20}, "line 21 is of 0 s, the one before of 19 s"),
        (lambda at, line: {**line, "seconds": "1"}, "seconds must be a number from 0"),
        (lambda at, line: {**line, "seconds": True}, "seconds must be a number from 0"),
        (lambda at, line: {**line, "seconds": -1}, "seconds must be a number from 0"),
        (lambda at, line: {**line, "seconds": 1e300}, "seconds must be a number from 0"),
        (lambda at, line: {**line, "picture": [1]}, "picture must be text"),
        (lambda at, line: {**line, "schema": True}, "schema True"),
        (lambda at, line: {**line, "numbers": [True, 2]}, "whole numbers above 0"),
        (lambda at, line: {**line, "joints_mm": line["joints_px"]}, "--bundle names another skeleton"),
    ],
)
def test_lines_that_no_run_writes_are_refused_and_nothing_is_written(take, capsys, ending, change, sentence):
    path = rewritten(take[0], change)
    out = path.with_name(f"take.{ending}")
    assert sentence in refusal(capsys, "convert", path, "-o", out)
    assert not list(path.parent.glob(f"*.{ending}"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("-1.png", "'-1.png"),
        ("\ud83d", "\\ud83d"),
        ("a\nb", "a\\nb"),
    ],
)
def test_names_in_csv_are_neither_formulas_nor_unprintable(take, tmp_path, name, shown):
    path = rewritten(take[0], lambda at, line: {**line, "picture": name})
    assert run("convert", path, "-o", tmp_path / "take.csv") == 0
    with (tmp_path / "take.csv").open(newline="", encoding="utf-8") as file:
        assert {row["picture"] for row in csv.DictReader(file)} == {shown}


def test_a_person_who_is_not_there_and_the_recording_as_output_are_refused(take, tmp_path, capsys):
    path, _ = take
    message = refusal(capsys, "convert", path, "-o", tmp_path / "take.csv", "--person", 5)
    assert "no person 5 in the recording; it has 3, 8" in message
    assert not (tmp_path / "take.csv").exists()
    recording = path.rename(tmp_path / "people.csv")
    assert "is the recording itself" in refusal(capsys, "convert", recording, "-o", recording)
    assert recording.read_text().startswith("{")
