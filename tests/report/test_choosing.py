"""The choice among results with known figures."""

from dataclasses import replace

import pytest
from made_results import changed_machine, made_result

from toolkit.errors import PosecError
from toolkit.evaluation.intervals import NO_DIFFERENCE
from toolkit.report.choosing.budgets import Budgets
from toolkit.report.choosing.comparison import compare
from toolkit.report.choosing.front import pareto_front
from toolkit.report.choosing.measures import BUDGET_MS, DRIFT_MM

FLOAT32 = made_result("float32", p90=50.0, drift={"drift_mm": 0.0, "drift_ratio": 0.0}, pck=66.0)
INT8 = made_result(
    "int8",
    p90=20.0,
    pck=65.5,
    drift={
        "drift_mm": 15.0,
        "people_lost": 0.02,
        "drift_ratio": 1.25,
        "data": {"source": "photos", "kind": "user"},
        "unsteadiness": {
            "drift_mm": 12.0,
            "drift_p50_mm": 8.0,
            "drift_p95_mm": 30.0,
            "people_lost": 0.04,
            "people_invented": 0.0,
            "perturbation": "shifted",
        },
    },
)
NOISY = {"noise": {"spread": 0.5, "reasons": ["the median varies by 50 % between turns, allowed 20"]}}


def choice_of(*results, **budgets):
    (choice,) = compare(results, Budgets(**budgets)).choices
    return choice


def names(options):
    return [option.precision for option in options]


def test_without_budgets_the_targets_limits_decide():
    choice = choice_of(FLOAT32, INT8)
    assert names(choice.inside) == ["float32"]
    ((option, gaps),) = choice.outside
    assert (option.precision, [gap.reason for gap in gaps]) == (
        "int8",
        ["drift 15.0 mm, the target allows 8"],
    )
    assert choice.int8 == "For raspberry-pi-5 int8 to win: its drift has to fall by 7.0 mm."


def test_a_budget_on_the_ratio_lets_int8_win_and_the_sentence_says_why():
    choice = choice_of(FLOAT32, INT8, max_drift_ratio=1.5)
    assert choice.recommendation == (
        "On Raspberry Pi 5, Cortex-A76, 4 processors, raspberry-pi-5 int8 takes 20.0 ms per picture (p90), "
        "0.42 of float32's time, and moves people by 15.0 mm on your pictures, where a shift of the picture "
        "by one pixel moves them by 12.0 mm; against float32 it loses 0.5 points of PCK_rel@150 on "
        "rendered-scenes: take it."
    )
    assert choice.runner_up.startswith("Runner-up: raspberry-pi-5 float32 (50.0 ms, 2.50 times as long; PCK")
    assert choice.int8 == ""


def test_people_lost_are_allowed_as_often_as_the_network_loses_them_itself_by_the_ratio_alone():
    lossy = made_result("int8", drift={**INT8.drift, "people_lost": 0.05})
    assert names(choice_of(lossy, max_drift_ratio=1.5).inside) == ["int8"]
    assert not choice_of(lossy, max_drift_mm=20.0)
    assert not choice_of(lossy, max_drift_ratio=1.25 - 0.001)


@pytest.mark.parametrize(
    ("budgets", "reason"),
    [
        ({"max_ms": 10}, "p90 20.0 ms, allowed 10"),
        ({"max_drift_mm": 12}, "drift 15.00 mm, allowed 12"),
        ({"min_pck": 65.6, "max_drift_mm": 20}, "PCK_rel@150 65.5 %, asked 65.6"),
        (
            {"max_loss": 0.4, "max_drift_mm": 20},
            "0.5 points of PCK_rel@150 on rendered-scenes less than float32, allowed 0.4",
        ),
    ],
)
def test_every_budget_excludes_with_its_figure(budgets, reason):
    choice = choice_of(FLOAT32, INT8, **budgets)
    reasons = {option.precision: [gap.reason for gap in gaps] for option, gaps in choice.outside}
    assert reason in reasons["int8"]


def test_limits_are_kept_by_equal_figures():
    assert names(choice_of(INT8, max_ms=20, max_drift_mm=15, min_pck=65.5).inside) == ["int8"]


def test_noisy_latencies_are_chosen_on_request_alone():
    noisy = made_result("int8", bench=NOISY)
    assert noisy.status == "noisy"
    choice = choice_of(noisy)
    assert not choice
    assert "too noisy to trust: the median varies by 50 %" in choice.recommendation
    assert "measure it again on a quiet machine" in choice.int8
    assert choice_of(noisy, allow_noisy=True)


def test_the_end_of_a_sustained_run_is_compared_with_the_budget():
    slices = {"at_s": 60.0, "p50_ms": 30.0}
    sustained = {"slower": 1.5, "seconds": 60, "slices": [slices], "last_p50_ms": 30.0, "last_p90_ms": 36.0}
    hot = made_result("int8", p90=20.0, bench={"sustained": sustained})
    assert not choice_of(hot, max_ms=30)
    assert choice_of(hot, max_ms=36)


def test_of_results_as_fast_as_each_other_the_most_accurate_leads():
    fast = made_result("int8", p90=20.0, pck=60.0)
    close = made_result("float16", p90=20.9, pck=66.0)
    far = made_result("float16", p90=21.1, pck=66.0)
    assert names(choice_of(fast, close).inside) == ["float16", "int8"]
    assert names(choice_of(fast, far).inside) == ["int8", "float16"]
    assert "about as fast and more accurate" in choice_of(fast, close).int8


def test_each_machine_has_its_own_choice():
    elsewhere = changed_machine(INT8, board="Raspberry Pi 4", cpu="Cortex-A72")
    choices = compare([FLOAT32, elsewhere], Budgets(max_drift_mm=20)).choices
    assert [(choice.machine.split(",")[0], names(choice.inside)) for choice in choices] == [
        ("Raspberry Pi 5", ["float32"]),
        ("Raspberry Pi 4", ["int8"]),
    ]
    assert choices[0].int8.startswith("No int8 bundle was measured on this machine")


def test_the_front_has_what_no_other_beats():
    points = [(20, 5), (25, 6), (30, 1), (30, 1), (40, 2), (50, 0)]
    results = [made_result(p90=ms, drift={"drift_mm": mm}) for ms, mm in points]
    options = compare(results).options
    front = pareto_front(options, BUDGET_MS, DRIFT_MM)
    places = [(option.values["budget_ms"], option.values["drift_mm"]) for option in front]
    assert places == [(20, 5), (30, 1), (30, 1), (50, 0)]


def test_accuracy_on_pictures_of_a_camera_goes_before_rendered_scenes():
    rows = [*FLOAT32.accuracy, {"protocol": "mupots-3d", "subset": "all", "pck_rel150": 70.0}]
    comparison = compare([replace(FLOAT32, accuracy=rows)])
    assert comparison.budgets.protocol == "mupots-3d"
    assert comparison.quality.key == "pck_rel150@mupots-3d"
    assert compare([FLOAT32]).budgets.protocol == "rendered-scenes"


def test_the_floats_own_rows_are_the_truth_that_a_loss_is_measured_against():
    own = replace(INT8, float_accuracy=[{**INT8.accuracy[0], "pck_rel150": 67.5}])
    comparison = compare([FLOAT32, own])
    assert comparison.options[1].loss.value == pytest.approx(2.0)
    assert comparison.options[0].loss.value == pytest.approx(0.0)


@pytest.mark.parametrize("budgets", [{"max_ms": -1}, {"min_pck": float("nan")}, {"max_loss": float("inf")}])
def test_budgets_are_numbers(budgets):
    with pytest.raises(PosecError, match="must be a number"):
        Budgets(**budgets)


def by_picture(result, shares, pictures="a"):
    """Return a result with the share of right joints on each picture of one person."""
    parts = {"scale": 100.0, "above": shares, "below": [1] * len(shares)}
    stored = {"pictures": pictures * 64, "measures": {"pck_rel150": parts}}
    pck = 100 * sum(shares) / len(shares)
    row = {"protocol": "rendered-scenes", "subset": "all", "pck_rel150": pck, "by_picture": stored}
    return replace(result, accuracy=[row])


# Pictures are hard or easy for both networks, so that the intervals of the two overlap widely.
SHARES = [0.1, 0.9] * 10
WORSE = [share - 0.05 for share in SHARES]
MIXED = [share + (0.02 if index % 3 else -0.05) for index, share in enumerate(SHARES)]


@pytest.mark.parametrize(("shares", "is_open"), [(WORSE, False), (MIXED, True)])
def test_networks_on_the_same_pictures_are_compared_in_pairs(shares, is_open):
    slow = by_picture(made_result("float32", p90=50.0), SHARES)
    fast = by_picture(made_result("int8", p90=20.0), shares)
    choice = choice_of(slow, fast)
    assert (NO_DIFFERENCE in choice.runner_up) is is_open
    assert (NO_DIFFERENCE in choice.recommendation) is is_open
    loss = choice.to_dict()["recommended"]["loss_to_float32"]
    assert loss["value"] == pytest.approx(100 * (sum(SHARES) - sum(shares)) / 20)
    assert (loss["low"] <= 0 <= loss["high"]) is is_open


def test_on_different_pictures_nothing_is_said_about_a_difference():
    slow = by_picture(made_result("float32", p90=50.0), SHARES)
    fast = by_picture(made_result("int8", p90=20.0), MIXED, pictures="b")
    choice = choice_of(slow, fast)
    assert NO_DIFFERENCE not in choice.runner_up + choice.recommendation
    assert choice.inside[0].loss.low is None


@pytest.mark.parametrize(("shares", "leads"), [(WORSE, "float32"), (MIXED, "int8")])
def test_of_results_as_fast_as_each_other_the_faster_leads_unless_the_pictures_show_a_difference(
    shares, leads
):
    slow = by_picture(made_result("float32", p90=20.5), SHARES)
    fast = by_picture(made_result("int8", p90=20.0), shares)
    assert choice_of(slow, fast).inside[0].precision == leads


def test_a_budget_on_the_loss_is_of_photographs_where_they_were_measured():
    def on_photos(result, oks50):
        return replace(
            result, accuracy=[*result.accuracy, {"protocol": "tiny-coco", "subset": "all", "oks50": oks50}]
        )

    results = on_photos(FLOAT32, 0.50), on_photos(INT8, 0.47)
    (choice,) = compare(results, Budgets(max_loss=2, max_drift_mm=20)).choices
    assert choice.outside[0][1][0].reason == "3.0 points of OKS.5 on tiny-coco less than float32, allowed 2"
    # PCK is not measured on photographs: a budget on it takes the scenes.
    assert names(choice_of(*results, min_pck=65.6, max_drift_mm=20).inside) == ["float32"]
