"""Protocol rendered-scenes on perfect, doubled, halved, hidden and mirrored people."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from standing_people import people_at

import toolkit
from toolkit.errors import PosecError
from toolkit.evaluation.run import evaluate
from toolkit.evaluation.scenes import evaluate_scenes, read_scenes
from toolkit.runtime.pose import MUPOTS17, PoseFrame

FOUR = people_at((60, 90), (160, 90), (260, 90), (360, 90))
SMALL = people_at((60, 90), px_per_mm=0.03)


def choose(people: PoseFrame, *indices: int) -> PoseFrame:
    return people[list(indices)]


def joined(*groups: PoseFrame) -> PoseFrame:
    return PoseFrame(
        *(np.concatenate([getattr(people, name) for people in groups]) for name in FOUR.__dataclass_fields__)
    )


@pytest.fixture
def write(tmp_path):
    def write(*pictures, visible=1.0):
        scenes = []
        for number, people in enumerate(pictures):
            cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((200, 400, 3), 90, np.uint8))
            entries = [
                {
                    "joints_mm": people.joints_mm[i].tolist(),
                    "root_mm": people.roots_mm[i].tolist(),
                    "joints_px": people.joints_px[i].tolist(),
                    "visible": visible,
                }
                for i in range(len(people))
            ]
            scenes.append({"file": f"{number}.png", "focal_px": 320.0, "people": entries})
        (tmp_path / "scenes.json").write_text(json.dumps(scenes))
        return read_scenes(tmp_path / "scenes.json", MUPOTS17)

    return write


def test_perfect_people(write):
    rows = {
        row["subset"]: row
        for row in evaluate_scenes({"0.png": FOUR, "1.png": SMALL}, write(FOUR, SMALL), MUPOTS17)
    }
    row = rows["all"]
    assert (row["people"], row["found"], row["predictions"]) == (5, 5, 5)
    assert (row["centre_recall"], row["centre_precision"]) == (1, 1)
    assert (row["pck_rel150"], row["ap_root25"]) == (100, 100)
    assert row["auc_rel"] == pytest.approx(
        100 * 30 / 31, abs=4
    )  # 0 mm and rounding: an error may be 0 or 1e-5
    assert (row["mpjpe_mm"], row["root_mm"], row["root_depth_mm"]) == (0, 0, 0)
    assert [rows[name]["people"] for name in (">=96", "<96", "1 person", "2-3 people", "4+ people")] == [
        4,
        1,
        1,
        0,
        4,
    ]
    assert rows["2-3 people"]["mpjpe_mm"] is None
    assert "ap_root25" not in rows["<96"]


def test_half_the_people_halve_all_and_leave_matched(write):
    row = evaluate_scenes({"0.png": choose(FOUR, 0, 2)}, write(FOUR), MUPOTS17)[0]
    assert (row["pck_rel150"], row["pck_rel150_matched"]) == (50, 100)
    assert (row["centre_recall"], row["centre_precision"], row["ap_root25"]) == (0.5, 1, 50)


def test_people_bigger_by_a_third_have_the_same_pck(write):
    bigger = PoseFrame(FOUR.scores, FOUR.centres_px, FOUR.joints_mm * 1.3, FOUR.roots_mm, FOUR.joints_px)
    row = evaluate_scenes({"0.png": bigger}, write(FOUR), MUPOTS17)[0]
    assert row["pck_rel150"] == 100
    assert row["mpjpe_mm"] > 100
    assert row["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-3)


def test_false_people_lower_precision_and_ap_alone(write):
    false = people_at((60, 300), (360, 300))
    before = evaluate_scenes({"0.png": FOUR}, write(FOUR), MUPOTS17)[0]
    after = evaluate_scenes({"0.png": joined(false, FOUR)}, write(FOUR), MUPOTS17)[0]
    assert after["centre_precision"] == pytest.approx(4 / 6)
    assert after["ap_root25"] < before["ap_root25"]
    assert after["pck_rel150"] == before["pck_rel150"]


def test_people_found_in_pictures_without_people_are_false_positives_per_picture(write):
    scenes = write(FOUR, FOUR[:0], FOUR[:0])
    found = {"0.png": FOUR, "1.png": FOUR[:3]}
    rows = {row["subset"]: row for row in evaluate_scenes(found, scenes, MUPOTS17)}
    assert rows["no people"]["predictions"] == 3
    assert rows["no people"]["false_positives"] == 1.5
    assert rows["no people"]["pck_rel150"] is None
    assert rows["all"]["false_positives"] == 1
    assert rows["all"]["pck_rel150"] == 100
    assert "no people" not in {row["subset"] for row in evaluate_scenes({}, write(FOUR), MUPOTS17)}


def test_mirrored_people_score_low(write):
    mirrored = PoseFrame(
        FOUR.scores, FOUR.centres_px, FOUR.joints_mm[:, list(MUPOTS17.mirror)], FOUR.roots_mm, FOUR.joints_px
    )
    row = evaluate_scenes({"0.png": mirrored}, write(FOUR), MUPOTS17)[0]
    assert row["centre_recall"] == 1
    assert row["pck_rel150"] < 40


def test_a_wrong_distance_is_a_depth_error(write):
    further = PoseFrame(
        FOUR.scores, FOUR.centres_px, FOUR.joints_mm, FOUR.roots_mm + np.float32([0, 0, 300]), FOUR.joints_px
    )
    row = evaluate_scenes({"0.png": further}, write(FOUR), MUPOTS17)[0]
    assert row["root_depth_mm"] == pytest.approx(300)
    assert row["ap_root25"] == 0
    assert row["pck_rel150"] == 100


def test_hidden_people_are_neither_missed_nor_false(write):
    scenes = write(FOUR, visible=0.2)
    assert evaluate_scenes({}, scenes, MUPOTS17)[0]["people"] == 0
    row = evaluate_scenes({"0.png": FOUR}, scenes, MUPOTS17)[0]
    assert (row["people"], row["predictions"], row["centre_precision"]) == (0, 0, None)


def test_the_estimator_gets_the_focal_length(write):
    focal = []
    rows = evaluate(lambda picture, focal_px: focal.append(focal_px) or FOUR, write(FOUR, FOUR), MUPOTS17)
    assert focal == [320.0, 320.0]
    assert rows[0]["ap_root25"] == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        '["a"]',
        '[{"file": "a.png"}]',
        '[{"file": "a", "focal_px": 1, "people": [{}]}]',
        '[{"file": "a", "focal_px": 0, "people": []}]',
        '[{"file": "a", "focal_px": 1e999, "people": []}]',
        '[{"file": "a", "focal_px": 1, "people": []}, {"file": "a"}]',
    ],
)
def test_other_json_is_refused(tmp_path, text):
    (tmp_path / "scenes.json").write_text(text)
    with pytest.raises(PosecError, match=r"give a file of rendered scenes|is not a file of rendered scenes"):
        read_scenes(tmp_path / "scenes.json", MUPOTS17)


def test_pictures_may_lie_in_a_folder_of_the_files_name(write, tmp_path):
    write(FOUR)
    (tmp_path / "scenes").mkdir()
    (tmp_path / "0.png").rename(tmp_path / "scenes" / "0.png")
    (scene,) = read_scenes(tmp_path / "scenes.json", MUPOTS17)
    assert (scene[0], scene[1].shape, scene[2]) == ("0.png", (200, 400, 3), 320.0)


def test_the_shipped_scenes_are_perfect_by_their_own_truth():
    scenes = read_scenes(Path(toolkit.__file__).parent / "samples" / "scenes.json", MUPOTS17)
    row = evaluate_scenes({name: scene.people for name, scene in scenes.scenes.items()}, scenes, MUPOTS17)[0]
    assert row["people"] > 100
    assert (row["centre_recall"], row["centre_precision"], row["pck_rel150"], row["ap_root25"]) == (
        1,
        1,
        100,
        100,
    )
    assert all(picture.ndim == 3 and focal_px > 100 for _, picture, focal_px in scenes)


def test_missing_scenes_and_unknown_pictures_are_refused(write, tmp_path):
    with pytest.raises(PosecError, match=r"no such file.*give a file of rendered scenes"):
        read_scenes(tmp_path / "none.json", MUPOTS17)
    with pytest.raises(PosecError, match="no scenes: b"):
        evaluate_scenes({"b.png": FOUR}, write(FOUR), MUPOTS17)
