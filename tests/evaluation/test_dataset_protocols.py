"""The field's protocols on people of known error, computed by hand; through the command too."""

import json

import numpy as np
import pytest
from dataset_files import (
    people_in_view,
    threedpw_values,
    write_3dhp,
    write_3dpw,
    write_mupots,
    write_panoptic,
)
from evaluate_command import refused
from standing_people import standing

from toolkit.cli import main
from toolkit.evaluation.datasets.judged import match_by_joints
from toolkit.evaluation.datasets.mupots import read_mupots
from toolkit.evaluation.datasets.panoptic import read_panoptic
from toolkit.evaluation.datasets.protocols import judge_data_set
from toolkit.evaluation.intervals import rows_of
from toolkit.runtime.pose import MUPOTS17, PoseFrame

TWO = people_in_view(standing(), (-600, 0, 4000), (700, 100, 5000))
ONE = TWO[:1]


def moved(people: PoseFrame, *, joints: object = 0.0, root: object = 0.0) -> PoseFrame:
    return PoseFrame(
        people.scores,
        people.centres_px,
        people.joints_mm + np.asarray(joints, np.float32),
        people.roots_mm + np.asarray(root, np.float32),
        people.joints_px,
    )


def wrist(offset_mm: float) -> np.ndarray:
    offsets = np.zeros((1, 17, 3))
    offsets[:, MUPOTS17.index("left_wrist"), 2] = offset_mm
    return offsets


def rows(data, predictions: list[PoseFrame]) -> dict[str, dict]:
    found = {frame.file: people for frame, people in zip(data.frames, predictions, strict=True)}
    return {row["subset"]: row for row in rows_of(judge_data_set(found, data, MUPOTS17))}


def test_perfect_people_are_perfect_in_every_figure(tmp_path):
    row = rows(read_mupots(write_mupots(tmp_path, {"TS1": [TWO, TWO]})), [TWO, TWO])["all"]
    assert (row["people"], row["matched"], row["predictions"], row["joints_missing"]) == (4, 4, 4, 0)
    assert (row["pck_rel150"], row["pck_rel150_matched"], row["pck_abs150"]) == (100, 100, 100)
    assert (row["ap_root25"], row["matched_share"], row["false_positives"]) == (100, 1, 0)
    assert row["mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert row["root_mm"] == pytest.approx(0, abs=0.01)
    assert row["mpjve_mm"] == pytest.approx(0, abs=0.01)


def test_a_missed_person_halves_all_and_leaves_matched(tmp_path):
    row = rows(read_mupots(write_mupots(tmp_path, {"TS1": [TWO]})), [ONE])["all"]
    assert (row["pck_rel150"], row["pck_rel150_matched"]) == (50, 100)
    assert (row["pck_abs150"], row["pck_abs150_matched"], row["matched_share"]) == (50, 100, 0.5)


def test_sequences_count_alike_whatever_their_length(tmp_path):
    data = read_mupots(write_mupots(tmp_path, {"TS1": [ONE, ONE, ONE], "TS2": [ONE]}))
    found = rows(data, [ONE, ONE, ONE, TWO[1:]])  # no match in TS2
    assert found["TS1"]["pck_rel150"] == 100
    assert found["TS2"]["pck_rel150"] == 0
    assert found["all"]["pck_rel150"] == 50


def test_mupots_forgives_the_size_and_3dhp_does_not(tmp_path):
    from toolkit.evaluation.datasets.mpi_inf_3dhp import read_mpi_inf_3dhp

    pytest.importorskip("h5py")
    big = PoseFrame(ONE.scores, ONE.centres_px, 1.5 * ONE.joints_mm, ONE.roots_mm, ONE.joints_px)
    assert rows(read_mupots(write_mupots(tmp_path / "a", {"TS1": [ONE]})), [big])["all"]["pck_rel150"] == 100
    row = rows(read_mpi_inf_3dhp(write_3dhp(tmp_path / "b", {"TS1": [ONE]}, [1])), [big])["all"]
    distances = np.linalg.norm(0.5 * ONE.joints_mm[0], axis=-1)
    assert row["pck_rel150"] == pytest.approx(100 * (distances[:14] < 150).mean())
    assert row["pck_rel150"] < 100
    assert row["mpjpe_mm"] == pytest.approx(distances.mean(), rel=1e-4)
    assert row["pa_mpjpe_mm"] == pytest.approx(0, abs=0.01)


def test_relative_figures_are_of_the_universal_poses_and_absolute_ones_of_the_true_size(tmp_path):
    data = read_mupots(write_mupots(tmp_path, {"TS1": [ONE]}, universal=0.5))
    row = rows(data, [ONE])["all"]
    assert row["pck_rel150"] == row["pck_abs150"] == 100
    assert row["mpjpe_mm"] == pytest.approx(np.linalg.norm(0.5 * ONE.joints_mm[0], axis=-1).mean(), rel=1e-4)


def test_a_wrong_root_costs_absolute_figures_alone(tmp_path):
    data = read_mupots(write_mupots(tmp_path, {"TS1": [ONE]}))
    near, far = (rows(data, [moved(ONE, root=offset)])["all"] for offset in ([0, 60, 80], [30, 0, 300]))
    assert (near["root_mm"], near["pck_abs150"], near["ap_root25"]) == (pytest.approx(100), 100, 100)
    assert (near["root_x_mm"], near["root_y_mm"], near["root_z_mm"]) == pytest.approx((0, 60, 80), abs=0.01)
    assert (far["pck_abs150"], far["ap_root25"], far["pck_rel150"]) == (0, 0, 100)


def test_one_wrong_wrist_is_a_fourteenth_of_pck(tmp_path):
    data = read_panoptic(write_panoptic(tmp_path, [ONE]))  # 14 shared joints, no head top, pelvis not scored
    row = rows(data, [moved(ONE, joints=wrist(151.0))])["all"]
    assert row["pck_rel150"] == pytest.approx(100 * 12 / 13)
    assert row["mpjpe_mm"] == pytest.approx(151 / 14, abs=0.01)
    assert row["auc_rel"] == pytest.approx(100 * 12 / 13 * 30 / 31, abs=0.5)
    assert row["joints_missing"] == 5  # nose, eyes and ears


def test_mpjve_is_the_mean_change_of_the_error_between_consecutive_frames(tmp_path):
    data = read_mupots(write_mupots(tmp_path, {"TS1": [ONE, ONE, ONE]}))
    constant = rows(data, [moved(ONE, joints=wrist(34))] * 3)["all"]
    assert constant["mpjve_mm"] == pytest.approx(0, abs=1e-3)
    shaking = rows(data, [ONE, moved(ONE, joints=wrist(34)), ONE])["all"]
    assert shaking["mpjve_mm"] == pytest.approx(34 / 17, abs=1e-3)
    missed = rows(data, [ONE, ONE[:0], ONE])["all"]
    assert missed["mpjve_mm"] is None


def test_false_people_cost_precision_of_roots_alone(tmp_path):
    data = read_mupots(write_mupots(tmp_path, {"TS1": [ONE]}))
    false = people_in_view(standing(), (-1500, 0, 9000))
    both = PoseFrame(
        np.float32([0.9, 0.95]),
        *(
            np.concatenate([getattr(people, name) for people in (ONE, false)])
            for name in ("centres_px", "joints_mm", "roots_mm", "joints_px")
        ),
    )
    row = rows(data, [both])["all"]
    assert (row["pck_rel150"], row["false_positives"], row["ap_root25"]) == (100, 1, 50)


def test_true_people_choose_in_file_order_the_prediction_with_most_joints_near():
    truth = np.zeros((2, 3, 2))
    found = np.array([[[39.0, 0], [0, 0], [41, 0]], [[0, 0], [0, -39], [39, 39]], [[40, 0]] * 3])
    assert match_by_joints(found, truth) == [(1, 0), (0, 1)]
    assert match_by_joints(found[2:], truth) == []  # 40 px are too far
    assert match_by_joints(found[:0], truth) == []


def layouts(folder):
    later = people_in_view(standing(), (-500, 0, 4000), (700, 100, 4900))
    frames = [TWO, later]
    return {
        "--mupots": write_mupots(folder / "mupots", {"TS1": frames}),
        "--mpi-inf-3dhp": write_3dhp(folder / "3dhp", {"TS1": frames}, [1, 1]),
        "--panoptic": write_panoptic(folder / "panoptic", frames),
        "--3dpw": write_3dpw(folder / "3dpw", threedpw_values(frames, [[1, 1], [1, 1]]), 2),
    }


def test_the_command_reads_every_data_set_and_states_the_joints_without_a_partner(
    tiny_checkpoint, tmp_path, capsys
):
    pytest.importorskip("h5py")
    protocols = []
    for option, folder in layouts(tmp_path).items():
        options = ["evaluate", str(tiny_checkpoint), option, str(folder), "--threads", "1", "--json"]
        assert main(options) == 0
        printed = capsys.readouterr()
        row = json.loads(printed.out)[0]
        protocols.append(row["protocol"])
        assert row["people"] == (2 if option == "--mpi-inf-3dhp" else 4)
        assert set(row["intervals"]) <= set(row)
        has_other_joints = option in ("--panoptic", "--3dpw")
        assert ("the skeleton of" in printed.err) == has_other_joints
        assert ("the labels have no such joints: head_top" in printed.err) == has_other_joints
    assert protocols == ["mupots-3d", "mpi-inf-3dhp", "cmu-panoptic", "3dpw"]


@pytest.mark.parametrize("option", ["--mupots", "--mpi-inf-3dhp", "--panoptic", "--3dpw"])
def test_a_folder_without_the_data_set_is_refused(tiny_checkpoint, tmp_path, capsys, option):
    assert "give " in refused(capsys, tiny_checkpoint, option, tmp_path)
    assert "give " in refused(capsys, tiny_checkpoint, option, tmp_path / "none")


def test_two_data_sets_at_once_and_wrong_steps_are_refused(tiny_checkpoint, tmp_path, capsys):
    folder = write_mupots(tmp_path, {"TS1": [TWO]})
    assert "one data set" in refused(capsys, tiny_checkpoint, "--mupots", folder, "--3dpw", folder)
    assert "--step" in refused(capsys, tiny_checkpoint, "--mupots", folder, "--step", 0)
