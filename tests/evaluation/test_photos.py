"""Protocol tiny-coco on annotations written here, with people whose score is known."""

import json
import tarfile

import cv2
import numpy as np
import pytest
from standing_people import people_at

from toolkit.errors import PosecError
from toolkit.evaluation.coco import COCO_JOINTS
from toolkit.evaluation.photos import BODY, BODY_NAMES, body_joints_px, evaluate_photos, read_photos
from toolkit.evaluation.run import evaluate
from toolkit.runtime.pose import MUPOTS17


def annotate(people, image_id=1, seen=2, crowd=0, number=None, box=None):
    """COCO entries of people (a PoseFrame), body joints labelled."""
    entries = []
    for joints in people.joints_px.astype(float):
        keypoints = np.zeros((17, 3))
        for index in BODY:
            keypoints[index] = [*joints[MUPOTS17.index(COCO_JOINTS[index])], seen]
        low, high = joints.min(axis=0), joints.max(axis=0)
        entries.append(
            {
                "image_id": image_id,
                "keypoints": keypoints.ravel().tolist(),
                "iscrowd": crowd,
                "num_keypoints": 12 if number is None else number,
                "area": float(np.prod(high - low)),
                "bbox": box or [*low, *(high - low)],
            }
        )
    return entries


@pytest.fixture
def write(tmp_path):
    def write(entries, names=("a.png",)):
        for name in names:
            cv2.imwrite(str(tmp_path / name), np.full((300, 400, 3), 90, np.uint8))
        images = [{"id": number + 1, "file_name": name} for number, name in enumerate(names)]
        (tmp_path / "people.json").write_text(json.dumps({"images": images, "annotations": entries}))
        return read_photos(tmp_path / "people.json", tmp_path)

    return write


TWO = people_at((100, 120), (250, 120), px_per_mm=0.12)


def test_the_twelve_joints_are_cocos_in_cocos_order():
    assert tuple(COCO_JOINTS[index] for index in BODY) == BODY_NAMES
    assert np.array_equal(
        body_joints_px(TWO, MUPOTS17)[0, 0], TWO.joints_px[0, MUPOTS17.index("left_shoulder")]
    )


def test_perfect_people_score_one(write):
    row, tall, small = evaluate_photos({"a.png": TWO}, write(annotate(TWO)), MUPOTS17)
    assert row == {
        "protocol": "tiny-coco",
        "subset": "all",
        "people": 2,
        "oks_people": 2,
        "centre_recall": 1.0,
        "oks50": 1.0,
        "oks75": 1.0,
        "mean_oks": 1.0,
        "pck20": 1.0,
        "predictions": 2,
        "off_person": 0,
        "false_positives": 0.0,
    }
    assert (tall["people"], small["people"]) == (2, 0)
    assert small["centre_recall"] is None
    assert small["oks50"] is None


def test_small_people_have_their_own_row(write):
    small = people_at((330, 200), px_per_mm=0.03)
    rows = evaluate_photos({"a.png": TWO}, write(annotate(TWO) + annotate(small)), MUPOTS17)
    assert [row["people"] for row in rows] == [3, 2, 1]
    assert [row["centre_recall"] for row in rows] == [pytest.approx(2 / 3), 1.0, 0.0]


def test_a_missing_picture_counts_as_no_people_found(write):
    photos = write(annotate(TWO) + annotate(TWO, image_id=2), names=("a.png", "b.png"))
    row = evaluate_photos({"a.png": TWO}, photos, MUPOTS17)[0]
    assert (row["people"], row["centre_recall"], row["oks50"], row["predictions"]) == (4, 0.5, 0.5, 2)


def test_one_prediction_serves_one_person(write):
    twice = annotate(people_at((100, 120), (104, 120), px_per_mm=0.12))
    row = evaluate_photos({"a.png": people_at((100, 120), px_per_mm=0.12)}, write(twice), MUPOTS17)[0]
    assert row["centre_recall"] == 0.5
    assert row["oks50"] == 0.5


def test_mirrored_people_keep_their_centre_and_lose_their_joints(write):
    mirrored = people_at((100, 120), px_per_mm=0.12)
    mirrored.joints_px[:] = mirrored.joints_px[:, list(MUPOTS17.mirror)]
    row = evaluate_photos(
        {"a.png": mirrored}, write(annotate(people_at((100, 120), px_per_mm=0.12))), MUPOTS17
    )[0]
    assert row["centre_recall"] == 1
    assert row["mean_oks"] < 0.5


def test_pck_counts_joints_nearer_than_a_fifth_of_the_torso_diagonal(write):
    truth = people_at((100, 120), px_per_mm=0.12)
    shoulder, hip = (truth.joints_px[0, MUPOTS17.index(name)] for name in ("left_shoulder", "right_hip"))
    reach_px = 0.2 * np.linalg.norm(shoulder - hip)
    found = people_at((100, 120), px_per_mm=0.12)
    found.joints_px[0, MUPOTS17.index("left_wrist"), 0] += 0.95 * reach_px
    found.joints_px[0, MUPOTS17.index("left_ankle"), 0] += 1.05 * reach_px
    assert evaluate_photos({"a.png": found}, write(annotate(truth)), MUPOTS17)[0]["pck20"] == pytest.approx(
        11 / 12
    )
    both = write(annotate(people_at((100, 120), (250, 120), px_per_mm=0.12)))
    assert evaluate_photos({"a.png": found}, both, MUPOTS17)[0]["pck20"] == pytest.approx(11 / 24)
    entries = annotate(truth)
    for joint in (5, 6):
        entries[0]["keypoints"][3 * joint + 2] = 0
    assert evaluate_photos({"a.png": found}, write(entries), MUPOTS17)[0]["pck20"] is None


def test_crowds_and_people_without_key_points_are_not_scored_and_excuse_a_prediction(write):
    photos = write(annotate(TWO, crowd=1) + annotate(people_at((100, 120), px_per_mm=0.12), number=0))
    rows = evaluate_photos({"a.png": TWO}, photos, MUPOTS17)
    assert (rows[0]["people"], rows[0]["off_person"]) == (0, 0)
    photos = write(annotate(people_at((100, 120), px_per_mm=0.12)))
    assert evaluate_photos({"a.png": TWO}, photos, MUPOTS17)[0]["off_person"] == 1


def test_without_all_torso_joints_the_box_decides(write):
    entries = annotate(people_at((100, 120), px_per_mm=0.12), box=[20, 20, 200, 200])
    entries[0]["keypoints"][3 * 11 + 2] = 0
    far = people_at((200, 140), px_per_mm=0.12)
    assert evaluate_photos({"a.png": far}, write(entries), MUPOTS17)[0]["centre_recall"] == 1
    entries[0]["bbox"] = [20, 20, 100, 200]
    assert evaluate_photos({"a.png": far}, write(entries), MUPOTS17)[0]["centre_recall"] == 0


def test_evaluate_shows_every_picture_to_the_estimator(write):
    photos = write(annotate(TWO), names=("a.png", "b.png"))
    seen = []
    rows = evaluate(
        lambda picture, focal_px: TWO if picture.shape == (300, 400, 3) else None,
        photos,
        MUPOTS17,
        progress=lambda *done: seen.append(done),
    )
    assert rows[0]["predictions"] == 4
    assert seen == [(1, 2), (2, 2)]


def test_pictures_may_lie_in_a_tar_file(write, tmp_path):
    write(annotate(TWO))
    with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
        archive.add(tmp_path / "a.png", "a.png")
    names = [
        (name, picture.shape)
        for name, picture, _ in read_photos(tmp_path / "people.json", tmp_path / "pictures.tar")
    ]
    assert names == [("a.png", (300, 400, 3))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../outside.png", None, "outside"),
        ("missing.png", None, "no picture"),
        ("text.png", b"no picture", "is not a picture"),
        ("empty.png", b"", "is empty"),
    ],
)
def test_hostile_pictures_are_refused(write, tmp_path, name, content, message):
    photos = write([])
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (tmp_path.parent / "outside.png").write_bytes(b"secret")
    hostile = type(photos)({name: ()}, tmp_path)
    with pytest.raises(PosecError, match=message):
        list(hostile)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 2}]}']
)
def test_other_json_is_refused(tmp_path, text):
    (tmp_path / "people.json").write_text(text)
    with pytest.raises(PosecError, match=r"give a COCO key point file|is not a COCO key point file"):
        read_photos(tmp_path / "people.json", tmp_path)


def test_missing_annotations_and_unknown_pictures_are_refused(write, tmp_path):
    with pytest.raises(PosecError, match=r"no such file.*give a COCO key point file"):
        read_photos(tmp_path / "none.json", tmp_path)
    with pytest.raises(PosecError, match="not annotated: b"):
        evaluate_photos({"b.png": TWO}, write([]), MUPOTS17)
