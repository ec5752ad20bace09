"""The comparisons of the model card, and the tables of its page."""

from dataclasses import replace
from time import sleep

import cv2
import numpy as np
import pytest

from toolkit.errors import PosecError
from toolkit.evaluation.photos import BODY, body_joints_px
from toolkit.evaluation.scenes import Scene, Scenes
from toolkit.runtime.pose import MUPOTS17, PoseFrame
from toolkit.training.labels.fit_keypoints import FitSettings
from toolkit.training.labels.teacher import Detections
from toolkit.training.release.card_markup import put_table, table
from toolkit.training.release.card_photos import people_of_keypoints
from toolkit.training.release.compare_teacher import compare_on_scenes, compare_time
from toolkit.training.release.lifted_people import lifted_estimator, people_of_lifted, teachers_keypoints
from toolkit.training.release.model_card import main


def test_key_points_become_joints_where_the_protocol_reads_them():
    keypoints = np.random.default_rng(0).uniform(0, 100, (3, 17, 3))
    people = people_of_keypoints(keypoints, MUPOTS17)
    np.testing.assert_allclose(body_joints_px(people, MUPOTS17), keypoints[:, BODY, :2], rtol=1e-6)
    np.testing.assert_allclose(people.centres_px, keypoints[:, [5, 6, 11, 12], :2].mean(1), rtol=1e-6)


def test_only_the_text_between_marks_is_replaced():
    page = "a\n<!-- figures: photos -->\nold\n<!-- end -->\nb\n<!-- figures: scenes -->\n<!-- end -->\n"
    rows = table(
        [{"n": 3, "share": 0.61234, "far": 1234.5, "none": None}],
        {"n": "people", "share": "recall", "far": "mm", "none": "off"},
    )
    assert rows == "| people | recall | mm | off |\n| --- | --- | --- | --- |\n| 3 | 0.612 | 1234 | – |"
    once = put_table(put_table(page, "photos", rows), "scenes", "new")
    assert (
        once == f"a\n<!-- figures: photos -->\n{rows}\n<!-- end -->\nb\n"
        "<!-- figures: scenes -->\nnew\n<!-- end -->\n"
    )
    assert put_table(once, "scenes", "new") == once
    with pytest.raises(PosecError, match="figures: embedding"):
        put_table(page, "embedding", rows)


FOCAL_PX, SIZE = 500.0, (480, 640)


def people_at(*roots_mm):
    """People upright before a camera of FOCAL_PX, all in one pose, seen in perspective."""
    depth = np.array(
        [
            (0, -600, 0),
            (0, -450, 0),
            *[(90 * (-1) ** j, -450 + 60 * j, 30 * (j % 3)) for j in range(12)],
            (0, 0, 0),
            (0, -230, 0),
            (0, -500, 0),
        ]
    )
    joints_mm = np.tile(depth.astype(np.float32), (len(roots_mm), 1, 1))
    roots_mm = np.array(roots_mm, np.float32).reshape(-1, 3)
    places = joints_mm + roots_mm[:, None]
    joints_px = FOCAL_PX * places[..., :2] / places[..., 2:] + (np.array(SIZE[::-1]) - 1) / 2
    centres_px = joints_px[:, [MUPOTS17.index("neck"), MUPOTS17.index("pelvis")]].mean(1)
    return PoseFrame(np.ones(len(roots_mm), np.float32), centres_px, joints_mm, roots_mm, joints_px)


def taken(people, kept):
    return PoseFrame(
        people.scores[kept],
        people.centres_px[kept],
        people.joints_mm[kept],
        people.roots_mm[kept],
        people.joints_px[kept],
    )


def test_estimators_are_compared_by_groups_with_errors_over_common_people():
    everyone = people_at((-900, 0, 3000), (0, 0, 4000), (1500, 0, 4000))
    alone = people_at((0, 0, 9000))
    # Visible shares: hidden, partly hidden, seen; one alone and far away, and one not required.
    truth = {
        "a": Scene(everyone, np.array([0.4, 0.8, 1.0]), FOCAL_PX),
        "b": Scene(alone, np.array([0.95]), FOCAL_PX),
        "c": Scene(alone, np.array([0.1]), FOCAL_PX),
    }
    deep = replace(everyone, roots_mm=everyone.roots_mm + np.float32([0, 0, 300]))
    found = {
        "exact": {"a": everyone, "b": alone, "c": alone},
        "careful": {"a": taken(deep, [1, 2]), "b": taken(alone, []), "c": taken(alone, [])},
    }
    rows = {(row["group"], row["by"]): row for row in compare_on_scenes(found, Scenes(truth, None), MUPOTS17)}
    figures = {key: (row["people"], row["found"], row["common"]) for key, row in rows.items()}
    assert figures["all", "exact"] == (4, 4, 2)
    assert figures["all", "careful"] == (4, 2, 2)
    assert [figures[f"visible {share}", "careful"] for share in ("<0.6", "0.6-0.9", ">0.9")] == [
        (1, 0, 0),
        (1, 1, 1),
        (2, 1, 1),
    ]
    assert figures["height <96 px", "careful"] == (1, 0, 0)
    assert figures["height >=96 px", "careful"] == (3, 2, 2)
    assert figures["1 person", "exact"] == (1, 1, 0)
    assert figures["2-3 people", "careful"] == (3, 2, 2)
    assert rows["visible <0.6", "careful"]["mpjpe_mm"] is None
    assert rows["visible <0.6", "careful"]["pck_rel150"] == 0
    assert rows["visible >0.9", "careful"]["root_depth_mm"] == pytest.approx(300)
    assert rows["all", "exact"]["root_depth_mm"] == 0
    assert rows["all", "exact"]["centre_precision"] == rows["all", "careful"]["centre_precision"] == 1
    assert rows["visible >0.9", "exact"]["centre_precision"] is None


def test_times_are_medians_by_number_of_visible_people(tmp_path):
    scenes = {
        "a.png": Scene(people_at((0, 0, 4000), (900, 0, 4000)), np.array([1.0, 0.9]), FOCAL_PX),
        "b.png": Scene(people_at((0, 0, 4000), (900, 0, 4000)), np.array([1.0, 0.1]), FOCAL_PX),
        "c.png": Scene(people_at(), np.zeros(0), FOCAL_PX),
    }
    for name in scenes:
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    calls = []

    def named(who, seconds):
        def estimate(picture_bgr, focal_px=None):
            calls.append(who)
            sleep(seconds)

        return estimate

    rows = compare_time(
        {"quick": named("quick", 0), "slow": named("slow", 0.02)}, Scenes(scenes, tmp_path), repeats=2
    )
    assert [(row["group"], row["pictures"]) for row in rows] == [
        ("no people", 1),
        ("1 person", 1),
        ("2-3 people", 1),
    ]
    assert all(row["slow"] >= 20 and row["slow"] > row["quick"] for row in rows)
    assert calls == ["quick", "slow"] * 7


def test_lifted_people_are_placed_by_scale_and_viewing_ray():
    truth = people_at((700, -200, 5000), (0, 0, 2000))
    px_per_m = 1000 * FOCAL_PX / truth.roots_mm[:, 2]
    lifted = {
        "joints_m": truth.joints_mm / 1000,
        "px_per_m": px_per_m,
        "pelvis_px": truth.joints_px[:, MUPOTS17.index("pelvis")],
    }
    people = people_of_lifted(lifted, truth.scores, SIZE, focal_px=FOCAL_PX)
    np.testing.assert_allclose(people.roots_mm, truth.roots_mm, rtol=1e-5)
    np.testing.assert_allclose(
        people.joints_px[1],
        lifted["pelvis_px"][1] + px_per_m[1] * truth.joints_mm[1, :, :2] / 1000,
        rtol=1e-5,
    )
    # In the middle the viewing ray is nearly the camera's axis; to the side, the pose turns with the ray.
    turned = np.degrees(
        np.arccos(np.sum(people.joints_mm * truth.joints_mm, -1) / np.sum(truth.joints_mm**2, -1).clip(1e-9))
    )
    assert np.nanmax(turned[1, :14]) < 7
    assert np.linalg.norm(people.joints_mm, axis=-1) == pytest.approx(
        np.linalg.norm(truth.joints_mm, axis=-1), rel=1e-5
    )


def test_uncertain_people_are_not_lifted_and_no_people_give_no_poses():
    keypoints = np.full((2, 17, 3), 0.9, np.float32)
    keypoints[1, 5:, 2] = 0.4
    find = teachers_keypoints(lambda _: Detections(np.ones((2, 5), np.float32), keypoints), FitSettings())
    assert len(find(np.zeros((8, 8, 3), np.uint8))) == 1
    estimate = lifted_estimator(lambda _: keypoints[:0], None, None)
    people = estimate(np.zeros((8, 8, 3), np.uint8))
    assert len(people) == 0
    assert people.joints_mm.shape == (0, 17, 3)


def test_the_tables_left_out_are_named_with_what_they_need(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("nothing to measure\n")
    main(["--lifter", "lifter.safetensors", "--out", str(page)])
    output = capsys.readouterr().out
    assert "left out: teacher, which needs --scenes and --teacher and --embedding\n" in output
    assert [
        name
        for name in ("embedding", "scenes", "photos", "sizes", "teacher", "time")
        if f"left out: {name}," in output
    ] == ["embedding", "scenes", "photos", "sizes", "teacher", "time"]
    assert page.read_text() == "nothing to measure\n"
