"""`posec evaluate` with joints of any order and name, and centers as the protocols define them."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from evaluate_command import coco_of, evaluated, scenes_of
from networks import tiny_graph_of, tiny_spec, write_checkpoint

from toolkit.cli import main
from toolkit.ir.float_engine import float_estimator
from toolkit.runtime.pose import MUPOTS17, PoseSpec, Skeleton

# Human3.6M lists the same joints in another order.
ORDER = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)


def ordered(
    spec: PoseSpec, order: tuple[int, ...] = ORDER, names: tuple[str, ...] = MUPOTS17.names
) -> PoseSpec:
    """The same contract with joints in another order, and under other names."""
    new = {before: now for now, before in enumerate(order)}
    skeleton = Skeleton(
        tuple(names[i] for i in order),
        tuple(new.get(MUPOTS17.parents[i], -1) for i in order),
        tuple(new[i] for i in MUPOTS17.bones),
        MUPOTS17.bone_lengths_mm,
        tuple(new[MUPOTS17.mirror[i]] for i in order),
    )
    return replace(spec, skeleton=skeleton)


@pytest.mark.parametrize("protocol", ["photos", "scenes"])
def test_joints_are_compared_by_name_in_any_order(
    tiny_checkpoint, found, pictures, tmp_path, capsys, protocol
):
    moved = {
        name: replace(people, joints_mm=people.joints_mm + np.linspace(0, 90, 17, dtype=np.float32)[:, None])
        for name, people in found.items()
    }
    plain = coco_of(found) if protocol == "photos" else scenes_of(moved)
    (tmp_path / "truth.json").write_text(json.dumps(plain))
    for name in found:
        (tmp_path / name).symlink_to(pictures / name)
    options = (
        ["--photos", tmp_path / "truth.json", pictures]
        if protocol == "photos"
        else ["--scenes", tmp_path / "truth.json"]
    )
    row = evaluated(capsys, tiny_checkpoint, *options)
    again = evaluated(capsys, write_checkpoint(tmp_path / "reordered", ordered(tiny_spec())), *options)
    assert row["people"] == 10
    assert row["oks75" if protocol == "photos" else "pck_rel150"] > 0.9
    assert again.keys() == row.keys()
    intervals = again.pop("intervals")
    for figure, bounds in row.pop("intervals").items():
        assert intervals[figure] == pytest.approx(bounds, rel=1e-5), figure
    for figure, value in row.items():
        assert again[figure] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-5)), figure


def test_joints_without_a_partner_are_left_out_and_reported(found, pictures, tmp_path, capsys):
    names = tuple({"left_wrist": "left_hand", "head_top": "crown"}.get(name, name) for name in MUPOTS17.names)
    network = write_checkpoint(tmp_path / "renamed", ordered(tiny_spec(), names=names))
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    (tmp_path / "scenes.json").write_text(json.dumps(scenes_of(found)))
    for name in found:
        (tmp_path / name).symlink_to(pictures / name)
    row = evaluated(capsys, network, "--photos", tmp_path / "people.json", pictures)
    assert (row["oks75"], row["joints_missing"]) == (1.0, 1)
    assert main(["evaluate", str(network), "--scenes", str(tmp_path / "scenes.json"), "--threads", "1"]) == 0
    assert "no such joints: head_top, left_wrist" in capsys.readouterr().err
    row = evaluated(capsys, network, "--scenes", tmp_path / "scenes.json")
    assert (row["pck_rel150"], row["joints_missing"]) == (100, 2)
    assert row["mpjpe_mm"] < 0.01


def test_centres_are_compared_as_the_protocols_define_them(found, pictures, tmp_path, capsys):
    """A network whose centre is another joint finds the same people."""
    spec = replace(tiny_spec(), centre_joints=("left_ankle",))
    graph = replace(tiny_graph_of(), spec=spec)
    estimator = float_estimator(graph, threads=1)
    people = {name: estimator(cv2.imread(str(pictures / name)), focal_px=200.0) for name in found}
    network = write_checkpoint(tmp_path / "ankles", spec)
    (tmp_path / "people.json").write_text(json.dumps(coco_of(people)))
    (tmp_path / "scenes.json").write_text(json.dumps(scenes_of(people)))
    for name in found:
        (tmp_path / name).symlink_to(pictures / name)
    assert evaluated(capsys, network, "--photos", tmp_path / "people.json", pictures)["oks75"] == 1.0
    row = evaluated(capsys, network, "--scenes", tmp_path / "scenes.json")
    assert (row["centre_recall"], row["pck_rel150"]) == (1.0, 100)
