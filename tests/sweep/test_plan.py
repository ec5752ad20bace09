"""Plans of sweeps: candidates, and tasks with keys by content."""

from __future__ import annotations

import pytest

from toolkit.errors import PosecError
from toolkit.sweep.plan import Candidate, SweepPlan, read_plan
from toolkit.sweep.tasks import CALIBRATE, EXPORT, PEOPLE, Digests, tasks_of

DIGESTS = Digests("n" * 64, {"a": "1" * 64, "b": "2" * 64}, "c" * 64, "s" * 64, {"onnx": "1"})


def everything(target, precision):
    return True


def written(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return path


def test_candidates_are_the_product_and_options_of_int8_multiply_int8_alone(tmp_path):
    plan = read_plan(
        written(
            tmp_path,
            'targets = ["a", "b"]\nobservers = ["min-max", "entropy"]\nkeep_float = [[], ["heads.*"]]\n'
            'sizes = ["192x320", "256x448"]',
        )
    )
    candidates = plan.candidates(everything)
    assert len(candidates) == 2 * 2 * (1 + 2 * 2)
    assert len(set(candidates)) == len(candidates)
    assert Candidate("reference@192x320", "b", "int8", "entropy", ("heads.*",)) in candidates
    assert Candidate("reference@256x448", "a", "float32") in candidates


def test_precisions_that_a_board_lacks_are_left_out():
    plan = SweepPlan(targets=("a", "b"), precisions=("float32", "float16"))
    found = plan.candidates(lambda target, precision: (target, precision) != ("a", "float16"))
    assert [(each.target, each.precision) for each in found] == [
        ("a", "float32"),
        ("b", "float32"),
        ("b", "float16"),
    ]
    with pytest.raises(PosecError, match="the plan has 0 bundles"):
        plan.candidates(lambda target, precision: False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "targets must list boards"),
        ('targets = "a"', "a list of different texts"),
        ('targets = ["a", "a"]', "a list of different texts"),
        ('targets = ["a"]\nsizes = ["256"]', "a size is HEIGHTxWIDTH"),
        ('targets = ["a"]\nprecisions = ["int9"]', "no precision 'int9'; known: float32"),
        ('targets = ["a"]\nshards = 0', "a whole number from 1"),
        ('targets = ["a"]\nshards = true', "a whole number from 1"),
        ('targets = ["a"]\nseconds = -1', "seconds are 0 to"),
        ('targets = ["a"]\nkeep_float = ["x"]', "a list of different texts"),
        ('targets = ["a"]\nprecison = ["int8"]', "unknown fields precison"),
        ("targets = ", "is not TOML"),
    ],
)
def test_a_wrong_plan_is_refused_and_the_field_named(tmp_path, text, reason):
    with pytest.raises(PosecError, match=reason):
        read_plan(written(tmp_path, text))


def test_a_plan_of_far_too_many_bundles_is_refused_before_they_are_listed():
    plan = SweepPlan(
        targets=("a",),
        observers=tuple(f"o{number}" for number in range(1000)),
        keep_float=tuple((f"l{number}",) for number in range(1000)),
    )
    with pytest.raises(PosecError, match="at most 10000 are made"):
        plan.candidates(everything)


def tasks(digests=DIGESTS, **changes):
    plan = SweepPlan(targets=("a", "b"), **{"shards": 3, **changes})
    return tasks_of(plan, plan.candidates(everything), digests)


def test_every_task_is_there_once_and_after_those_that_it_needs():
    sweep = tasks(observers=("min-max", "entropy"))
    keys = [task.key for task in sweep.tasks]
    assert len(set(keys)) == len(keys)
    for place, task in enumerate(sweep.tasks):
        assert set(task.needs) <= set(keys[:place])
    kinds = [task.kind for task in sweep.tasks]
    # One calibration, in as many parts as the scenes, serves all boards and observers.
    assert (kinds.count(CALIBRATE), kinds.count(EXPORT), kinds.count(PEOPLE)) == (3, 6, 18)


def keys_of(kind, sweep):
    return {task.key for task in sweep.tasks if task.kind == kind}


def test_keys_change_with_the_content_that_a_result_depends_on_and_with_nothing_else():
    before = tasks()
    same = tasks(calibration="elsewhere", scenes="elsewhere.json", seconds=1.0)  # of the same content
    assert [task.key for task in same.tasks] == [task.key for task in before.tasks]
    for name in ("network", "tools", "calibration", "scenes"):
        other = DIGESTS._replace(**{name: {"onnx": "2"} if name == "tools" else "0" * 64})
        changed = tasks(other)
        if name in ("network", "tools"):
            assert not {task.key for task in before.tasks} & {task.key for task in changed.tasks}
        else:
            assert keys_of(PEOPLE, before) != keys_of(PEOPLE, changed)
            assert (keys_of(EXPORT, before) == keys_of(EXPORT, changed)) == (name == "scenes")
    board = tasks(DIGESTS._replace(targets={"a": "1" * 64, "b": "3" * 64}))
    assert len(keys_of(EXPORT, before) & keys_of(EXPORT, board)) == 2
