"""PoseEstimator and load: replayed heads make them exact."""

import ast
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import spot_picture
from recorded_heads import Recorded, recorded_heads, replay_bundle

import toolkit.runtime
from toolkit.runtime import PoseError, load
from toolkit.runtime.engines import ENGINES, EngineError
from toolkit.runtime.errors import HeadError
from toolkit.runtime.preprocess import PictureError

RUNTIME = Path(toolkit.runtime.__file__).parent
PICTURE = spot_picture(0, 0)
TWO = [Recorded(3, 2, 0.9, depth=1.5), Recorded(4, 9, 0.6, depth=1.5)]


def test_people_come_out_and_every_stage_is_timed(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    estimator = load(tmp_path / "b")
    people = estimator(PICTURE)
    assert [round(person.score, 1) for person in people] == [0.9, 0.6]
    assert list(estimator.stages_ms) == ["preprocess", "inference", "decode"]
    assert all(0 < stage < 1000 for stage in estimator.stages_ms.values())


def test_an_empty_picture_passes_every_step(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads([]))
    people = load(tmp_path / "b")(PICTURE)
    assert len(people) == 0
    assert people.joints_mm.shape == (0, 17, 3)


def test_the_focal_length_of_the_call_comes_before_that_of_the_estimator(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    estimator = load(tmp_path / "b", focal_px=100)
    z_mm = estimator(PICTURE).roots_mm[0, 2]
    assert estimator(PICTURE, focal_px=200).roots_mm[0, 2] == pytest.approx(2 * z_mm, rel=1e-5)
    assert estimator(PICTURE).roots_mm[0, 2] == pytest.approx(z_mm)
    for wrong in (0, -5, float("nan"), float("inf")):
        with pytest.raises(PoseError, match="focal_px must be a positive number"):
            estimator(PICTURE, focal_px=wrong)


def test_the_threshold_can_be_chosen_on_the_board(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    found = {
        threshold: len(load(tmp_path / "b", centre_threshold=threshold)(PICTURE))
        for threshold in (None, 0.5, 0.7, 0.95)
    }
    assert found == {None: 2, 0.5: 2, 0.7: 1, 0.95: 0}
    for wrong in (0, 1, -0.2, float("nan")):
        with pytest.raises(PoseError, match=r"between 0 and 1, got .*own is 0\.3"):
            load(tmp_path / "b", centre_threshold=wrong)


def test_heads_are_copies(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    estimator = load(tmp_path / "b")
    heads = estimator.heads(PICTURE)
    heads["centre"][...] = 0
    assert len(estimator(PICTURE)) == 2


def test_a_wrong_picture_is_refused_and_the_next_one_works(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    estimator = load(tmp_path / "b")
    with pytest.raises(PictureError):
        estimator(None)
    assert len(estimator(PICTURE)) == 2


def test_replay_plays_frames_in_turn(tmp_path):
    frames = [recorded_heads(TWO[:count]) for count in (0, 1, 2)]
    replay_bundle(tmp_path / "b", {name: np.stack([frame[name] for frame in frames]) for name in frames[0]})
    estimator = load(tmp_path / "b")
    assert [len(estimator(PICTURE)) for _ in range(4)] == [0, 1, 2, 0]


def test_explain_gives_the_reason_for_no_people(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads([Recorded(3, 4, 0.28)]))
    explanation = load(tmp_path / "b").explain(PICTURE)
    assert "highest centre score 0.280 near x 51, y 45; a person must exceed 0.3" in explanation
    assert "no people: no centre score exceeds the threshold" in explanation
    assert explanation.count("head ") == 5


def test_explain_counts_people_and_duplicates(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads([*TWO, Recorded(4, 4, 0.5, offset=(-2, -1), depth=1.5)]))
    assert "2 people: 3 peaks, 1 of them duplicates" in load(tmp_path / "b").explain(PICTURE)


def test_explain_names_broken_heads(tmp_path):
    heads = recorded_heads(TWO)
    heads["centre"][0, 0, 0] = np.nan
    heads["depth"][...] = 7.0
    replay_bundle(tmp_path / "b", heads)
    explanation = load(tmp_path / "b").explain(PICTURE)
    assert "head centre: 0.0" in explanation
    assert "1 of 96 not finite" in explanation
    assert "head depth: 7.000 to 7.000 (specified -3 to 3), OUTSIDE, the same everywhere" in explanation
    assert "no people: head 'centre' is not finite" in explanation


def test_an_unknown_engine_is_refused_with_the_menu(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads([]), engine="ncnn")
    with pytest.raises(
        EngineError, match="no engine 'ncnn'; known: onnxruntime, openvino, tflite, tensorrt, replay"
    ):
        load(tmp_path / "b")


@pytest.mark.parametrize("threads", [0, -1, 2000, True, "2"])
def test_threads_must_be_a_number(tmp_path, threads):
    replay_bundle(tmp_path / "b", recorded_heads([]), options={"threads": threads})
    with pytest.raises(EngineError, match="threads must be a number"):
        load(tmp_path / "b")


def test_recorded_heads_that_are_incomplete_are_refused(tmp_path):
    heads = recorded_heads([])
    del heads["depth"]
    replay_bundle(tmp_path / "b", heads)
    with pytest.raises(
        EngineError, match="recorded heads must be centre, offset, embedding, rotation, depth"
    ):
        load(tmp_path / "b")


def test_every_engine_that_is_named_has_a_module():
    assert all((RUNTIME / "engines" / f"{name}.py").is_file() for name in ENGINES)


def test_describe_names_the_engine(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads([]))
    assert load(tmp_path / "b").describe()["engine"] == "replay"


@pytest.mark.parametrize(
    "path", sorted(RUNTIME.rglob("*.py")), ids=lambda path: path.relative_to(RUNTIME).as_posix()
)
def test_python_3_8_can_read_every_file(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_folder_alone_works_elsewhere(tmp_path):
    replay_bundle(tmp_path / "bundle", recorded_heads(TWO))
    shutil.copytree(RUNTIME, tmp_path / "board" / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys, numpy\nfrom runtime import load\n"
        "people = load(sys.argv[1])(numpy.zeros((120, 160, 3), numpy.uint8))\n"
        "print(len(people), 'toolkit' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bundle")],
        env={
            **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            "PYTHONPATH": str(tmp_path / "board"),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2", "False"]


def test_importing_the_runtime_loads_neither_cv2_nor_an_engine():
    heavy = ("cv2", "onnxruntime", "openvino")
    code = f"import sys, toolkit.runtime.pose; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=RUNTIME.parents[1]
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("head", ["centre", "offset", "embedding", "rotation", "depth"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_people_are_finite_or_the_picture_is_refused(tmp_path, head, value):
    """A head that overflows where a person is, or whose numbers overflow on the way to millimetres."""
    heads = recorded_heads(TWO)
    heads[head][0, 3, 2] = value
    replay_bundle(tmp_path / "b", heads)
    estimator = load(tmp_path / "b")
    with contextlib.suppress(HeadError):
        assert all(np.isfinite(values).all() for values in vars(estimator(PICTURE)).values())
    assert "\n" in estimator.explain(PICTURE)


def test_one_detection_has_the_people_the_heads_and_their_letterbox(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    estimator, calls = load(tmp_path / "b"), []
    engine = estimator.engine
    estimator.engine = lambda batch: calls.append(batch) or engine(batch)
    detection = estimator.detect(PICTURE)
    assert len(calls) == 1
    again = estimator.decode(detection.heads, detection.letterbox)
    np.testing.assert_array_equal(again.joints_mm, detection.people.joints_mm)
    np.testing.assert_array_equal(estimator(PICTURE).joints_mm, detection.people.joints_mm)
    for name, values in estimator.heads(PICTURE).items():
        np.testing.assert_array_equal(detection.heads[name], values)
    assert detection.letterbox == estimator.infer(PICTURE).letterbox
    assert set(estimator.stages_ms) == {"preprocess", "inference"}


def test_explain_and_the_people_need_one_inference(tmp_path):
    replay_bundle(tmp_path / "b", recorded_heads(TWO))
    estimator, calls = load(tmp_path / "b"), []
    engine = estimator.engine
    estimator.engine = lambda batch: calls.append(batch) or engine(batch)
    estimator.explain(PICTURE)
    assert len(calls) == 1
    heads, letterbox = estimator.infer(PICTURE)
    assert len(estimator.decode(heads, letterbox)) == 2
    assert len(calls) == 2
