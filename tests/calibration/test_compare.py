from dataclasses import replace

import numpy as np
import pytest
from networks import spot_picture

import targets
from calibration.compare import compare
from toolkit.device.comparison.drift_parts import Stray
from toolkit.errors import PosecError
from toolkit.ir.target import Allowance

BOARD = targets.load("generic-cpu")
ALLOWED = Allowance(drift_mm=8.0, people_lost=0.03, people_invented=0.03)
TARGET = replace(BOARD, allowed={**BOARD.allowed, "int8": ALLOWED})


def test_every_observer_is_measured_by_the_drift_of_people(tiny_graph, people_pictures):
    judged = [spot_picture(people, 50 + people) for people in range(5)]
    stages: list[str] = []

    def progress(stage: str):
        return lambda done, count: stages.append(f"{stage} {done}/{count}")

    found = compare(
        tiny_graph,
        people_pictures,
        judged,
        target=TARGET,
        observers=["min-max", "percentile", "mean-squared-error"],
        progress=progress,
    )
    assert list(found.drifts) == ["min-max", "percentile", "mean-squared-error"]
    assert {drift.people for drift in found.drifts.values()} == {10}
    assert len({drift.drift_mm for drift in found.drifts.values()}) == 3
    assert found.ranges["percentile"].observer == "percentile"
    shares = {
        name: max(drift.drift_mm / 8, drift.people_lost / 0.03, drift.people_invented / 0.03)
        for name, drift in found.drifts.items()
    }
    assert shares[found.best] == min(shares.values())
    strays = replace(found.drifts["min-max"], lost=(), invented=(), drift_mm=1.0)
    one = replace(strays, drift_mm=9.0)
    assert replace(found, drifts={"a": one, "b": strays}).best == "b"
    lost = replace(strays, lost=(Stray(0, 0.3, 20.0),) * 2)
    assert replace(found, drifts={"a": lost, "b": replace(strays, drift_mm=2.0)}).best == "b", (
        "two of ten people are more than 2 of 8 mm"
    )
    assert found.rows()[0][0] == "observer"
    assert [row[0] for row in found.rows()[1:]] == list(found.drifts)
    assert stages[4] == "calibrating 5/5"
    assert stages[-1] == "judging 3/3"


def test_a_comparison_without_people_or_pictures_is_refused(tiny_graph, people_pictures):
    empty = [np.zeros((60, 90, 3), np.uint8)]
    with pytest.raises(PosecError, match="no frames to measure drift on"):
        compare(tiny_graph, people_pictures, [], target=TARGET)
    with pytest.raises(PosecError, match="found no people"):
        compare(tiny_graph, people_pictures, empty, target=TARGET, observers=["min-max"])
    with pytest.raises(PosecError, match="no observer 'median'"):
        compare(tiny_graph, people_pictures, people_pictures, target=TARGET, observers=["median"])
