"""Bootstrap intervals against figures computed by hand and by another formula."""

import json

import numpy as np
import pytest
from evaluate_command import evaluated, refused, scenes_of

from toolkit.cli import main
from toolkit.evaluation import metrics
from toolkit.evaluation.intervals import (
    NO_DIFFERENCE,
    TOO_FEW,
    AveragePrecision,
    Bootstrap,
    Ratio,
    Subset,
    compare,
    rows_of,
)


def subset_of(values: np.ndarray, groups: np.ndarray | None = None) -> Subset:
    measure = Ratio(values, np.ones(len(values)), groups=groups)
    return Subset("protocol", "all", {"people": len(values)}, {"error_mm": measure}, len(values), groups)


def test_a_ratio_weighs_pictures_as_they_are_drawn():
    ratio = Ratio(np.array([1.0, 6.0]), np.array([1.0, 2.0]), 100.0)
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [1.0, 3.0]])
    assert ratio.at(weights).tolist() == pytest.approx([100 * 7 / 3, 100.0, 100 * 19 / 7])


def test_a_mean_over_sequences_weighs_a_short_sequence_as_much_as_a_long_one():
    near, joints = np.array([10.0, 10.0, 10.0, 0.0]), np.full(4, 10.0)
    ratio = Ratio(near, joints, 100.0, groups=np.array([0, 0, 0, 1]))
    assert ratio.at(np.ones((1, 4)))[0] == 50  # 75 over all joints


def test_a_sequence_without_people_is_left_out_of_the_mean():
    ratio = Ratio(np.array([5.0, 0.0]), np.array([10.0, 0.0]), 100.0, groups=np.array([0, 1]))
    assert ratio.at(np.ones((1, 2)))[0] == 50
    assert np.isnan(ratio.at(np.zeros((1, 2)))[0])


def test_average_precision_is_that_of_the_metric():
    random = np.random.default_rng(4)
    scores, hits = random.random(40), random.random(40) < 0.6
    pictures, positives = random.integers(0, 8, 40), np.full(8, 4)
    value = AveragePrecision(scores, hits, pictures, positives).at(np.ones((1, 8)))[0]
    assert value == pytest.approx(metrics.average_precision(scores, hits, 32))


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(50, 10, 400)
    (row,) = rows_of([subset_of(values)], Bootstrap(4000, 3))
    low, high = row["intervals"]["error_mm"]
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1)
    assert (row["resamples"], row["pictures"]) == (4000, 400)


def test_intervals_hold_the_true_mean_as_often_as_they_state():
    random = np.random.default_rng(2)
    held = 0
    for seed in range(200):
        (row,) = rows_of([subset_of(random.normal(0, 1, 60))], Bootstrap(300, seed))
        low, high = row["intervals"]["error_mm"]
        held += low <= 0 <= high
    assert 0.88 < held / 200 < 0.99


def test_the_same_seed_draws_the_same_pictures_and_another_seed_others():
    values = np.random.default_rng(1).normal(50, 10, 30)
    rows = [rows_of([subset_of(values)], Bootstrap(100, seed))[0]["intervals"] for seed in (5, 5, 6)]
    assert rows[0] == rows[1] != rows[2]


def test_pictures_are_drawn_within_their_sequence():
    values, groups = np.array([0.0, 0.0, 10.0, 10.0]), np.array([0, 0, 1, 1])
    (row,) = rows_of([subset_of(values, groups)], Bootstrap(200))
    assert row["intervals"]["error_mm"] == [5, 5]


def test_one_picture_has_no_interval():
    assert "intervals" not in rows_of([subset_of(np.ones(1))], Bootstrap())[0]


def test_people_in_one_picture_alone_have_no_interval_and_no_finding():
    alone = Ratio(np.array([3.0, 0, 0]), np.array([1.0, 0, 0]))
    subset = Subset("protocol", "all", {}, {"error_mm": alone}, 3)
    (row,) = rows_of([subset], Bootstrap(100))
    assert row["error_mm"] == 3
    assert row["intervals"] == {}
    other = subset._replace(measures={"error_mm": Ratio(np.array([9.0, 0, 0]), np.array([1.0, 0, 0]))})
    (record,) = compare([subset], [other])
    assert (record["difference"], record["low"], record["finding"]) == (-6, None, TOO_FEW)


def test_a_paired_difference_is_found_where_unpaired_intervals_overlap():
    random = np.random.default_rng(7)
    hard = random.normal(60, 25, 80)
    ours, theirs = subset_of(hard + random.normal(2, 1, 80)), subset_of(hard)
    intervals = [rows_of([part], Bootstrap())[0]["intervals"]["error_mm"] for part in (ours, theirs)]
    assert intervals[0][0] < intervals[1][1]
    (record,) = compare([ours], [theirs])
    assert record["finding"] == "higher"
    assert record["low"] == pytest.approx(2 - 0.2, abs=0.3)
    assert compare([theirs], [ours])[0]["finding"] == "lower"


def test_a_difference_within_the_noise_is_no_difference():
    random = np.random.default_rng(8)
    hard = random.normal(60, 25, 80)
    (record,) = compare([subset_of(hard + random.normal(0, 5, 80))], [subset_of(hard)])
    assert record["finding"] == NO_DIFFERENCE
    with pytest.raises(ValueError, match="same subsets and pictures"):
        compare([subset_of(hard)], [subset_of(hard[1:])])


@pytest.fixture
def scenes(found, pictures, tmp_path):
    (tmp_path / "pictures.json").write_text(json.dumps(scenes_of(found)))
    for path in pictures.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path / "pictures.json"


def test_the_command_prints_the_interval_of_each_figure(tiny_checkpoint, scenes, capsys):
    row = evaluated(capsys, tiny_checkpoint, "--scenes", scenes, "--resamples", 50)
    assert row["resamples"] == 50
    assert row["intervals"]["pck_rel150"] == [100, 100]
    assert "intervals" not in evaluated(capsys, tiny_checkpoint, "--scenes", scenes, "--resamples", 0)
    assert main(["evaluate", str(tiny_checkpoint), "--scenes", str(scenes), "--threads", "1"]) == 0
    assert "100.000 (100 to 100)" in capsys.readouterr().out


def test_a_network_against_itself_shows_no_difference(tiny_checkpoint, scenes, capsys):
    against = ["--scenes", str(scenes), "--against", str(tiny_checkpoint), "--threads", "1", "--json"]
    assert main(["evaluate", str(tiny_checkpoint), *against]) == 0
    records = [row for row in json.loads(capsys.readouterr().out) if "difference" in row]
    assert {record["measure"] for record in records} >= {"pck_rel150", "mpjpe_mm", "ap_root25"}
    assert all(record["difference"] == 0 for record in records)
    assert {record["finding"] for record in records if record["subset"] == "all"} == {NO_DIFFERENCE}
    assert {record["finding"] for record in records} <= {NO_DIFFERENCE, TOO_FEW}


def test_wrong_draws_are_refused(tiny_checkpoint, scenes, capsys):
    assert "from 0 to 100000" in refused(capsys, tiny_checkpoint, "--scenes", scenes, "--resamples", -1)
    assert "leave out" in refused(
        capsys, tiny_checkpoint, "--scenes", scenes, "--resamples", 0, "--against", tiny_checkpoint
    )
