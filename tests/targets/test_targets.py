"""Every board of targets/: a new TOML file is tested without a new test."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
from networks import tiny_graph_of, tiny_spec, with_keypoints

import calibration
import targets
from toolkit.compiler.build import build, plan
from toolkit.errors import PosecError
from toolkit.ir.float_engine import float_estimator
from toolkit.ir.target import PRECISIONS, Backend
from toolkit.runtime import load
from toolkit.runtime.bundle import read_bundle
from toolkit.runtime.engines import ENGINES
from toolkit.verification import verify as drift

BOARDS = [(name, precision) for name in targets.names() for precision in targets.load(name).precisions]


@pytest.fixture(scope="module")
def ranges(people_pictures):
    return calibration.collect(tiny_graph_of(), people_pictures)


@pytest.mark.parametrize("name", targets.names())
def test_a_board_is_complete(name):
    target = targets.load(name)
    back_end = target.backend
    assert target.name == name
    assert target.title
    assert back_end.ENGINE in ENGINES
    assert back_end.REQUIRES.startswith("pip install")
    assert isinstance(back_end.TOOLS, tuple)
    assert isinstance(back_end.missing(), str)
    assert set(target.precisions) | set(target.refusals) == set(PRECISIONS)
    assert target.allowed["float32"].drift_mm <= min(allowed.drift_mm for allowed in target.allowed.values())
    for precision in target.refusals:
        with pytest.raises(PosecError, match=f"got '{precision}' .*take ({'|'.join(target.precisions)})"):
            target.check_precision(precision)


@pytest.mark.parametrize("name", targets.backends())
def test_a_back_end_has_every_member_of_the_protocol(name):
    module = importlib.import_module(f"targets.{name}")
    members = {member for member in (*Backend.__annotations__, *vars(Backend)) if not member.startswith("_")}
    assert {"pre_quantize", "post_quantize", "plan_details", "ENGINE"} <= members
    assert [member for member in sorted(members) if not hasattr(module, member)] == []


@pytest.mark.parametrize(("name", "precision"), BOARDS)
def test_a_plan_of_every_precision_can_be_made(name, precision, tiny_graph, ranges):
    target = targets.load(name)
    planned = plan(tiny_graph, target, precision, ranges=ranges)
    assert planned["engine"] == target.backend.ENGINE
    assert planned["allowed"] == dataclasses.asdict(target.allowed[precision])
    assert (planned["scheme"] is not None) == (precision == "int8")


@pytest.mark.parametrize(("name", "precision"), BOARDS)
def test_every_precision_is_built_and_runs_here_within_its_limits(
    name, precision, tiny_graph, ranges, people_pictures, tmp_path
):
    target = targets.load(name)
    if why := target.backend.missing():
        pytest.skip(why)
    before = tiny_graph.sha256
    bundle = build(
        tiny_graph,
        target,
        precision,
        ranges=ranges if precision == "int8" else None,
        out=tmp_path / "bundle",
        golden=people_pictures[:2],
    )
    assert tiny_graph.sha256 == before
    assert read_bundle(tmp_path / "bundle") == bundle
    assert bundle.engine == target.backend.ENGINE
    if bundle.engine == "tensorrt":
        pytest.skip("TensorRT runs on a GPU")
    found = drift.verify(bundle, tiny_graph, people_pictures)
    assert found, f"{name} {precision}: {found}"


BACK_ENDS = {targets.load(name).backend.__name__: name for name in reversed(targets.names())}


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", BACK_ENDS.values())
def test_every_back_end_keeps_the_key_point_heads(name, precision, people_pictures, tmp_path):
    target, graph = targets.load(name), tiny_graph_of(with_keypoints(tiny_spec()))
    if why := target.backend.missing() or target.refusals.get(precision, ""):
        pytest.skip(why)
    ranges = calibration.collect(graph, people_pictures) if precision == "int8" else None
    bundle = build(
        graph, target, precision, ranges=ranges, out=tmp_path / "bundle", golden=people_pictures[:2]
    )
    assert bundle.spec == graph.spec
    if bundle.engine == "tensorrt":
        pytest.skip("TensorRT runs on a GPU")
    heads, wanted = (
        load(str(tmp_path / "bundle")).heads(people_pictures[4]),
        float_estimator(graph).heads(people_pictures[4]),
    )
    for name_of_head in ("keypoints", "keypoint_offset"):
        np.testing.assert_allclose(
            heads[name_of_head], wanted[name_of_head], atol=0.1 if precision == "int8" else 1e-3
        )
    found = drift.verify(bundle, graph, people_pictures)
    assert found, found
    assert set(found.blame) == set(graph.spec.head_names)


@pytest.mark.openvino
def test_openvino_runs_the_stated_precision(tiny_graph, people_pictures, tmp_path):
    pytest.importorskip("openvino")
    build(tiny_graph, targets.load("intel-cpu"), out=tmp_path / "bundle", golden=[])
    estimator = load(tmp_path / "bundle")
    assert estimator.engine.describe()["float precision"] == "f32"
    heads, wanted = estimator.heads(people_pictures[4]), float_estimator(tiny_graph).heads(people_pictures[4])
    for name, values in wanted.items():  # bf16 would differ by 1e-2
        np.testing.assert_allclose(heads[name], values, atol=1e-4)


def test_an_unknown_board_is_refused_with_the_known_ones():
    with pytest.raises(
        PosecError,
        match=r"no target 'jetson-nan'; known: .*generic-cpu.*intel-cpu.*; or give a path to a \.toml file",
    ):
        targets.load("jetson-nan")


GOOD = (Path(targets.__file__).parent / "generic-cpu.toml").read_text()


def test_a_board_of_ones_own_is_loaded_by_its_path(tmp_path):
    (tmp_path / "my-board.toml").write_text(GOOD)
    assert targets.load(tmp_path / "my-board.toml").name == "my-board"
    assert targets.load(str(tmp_path / "my-board.toml")).precisions == ("float32", "int8")


WRONG = {
    "no TOML": ('title = "', "my-board.toml"),
    "no such back end": (
        GOOD.replace('backend = "onnxruntime"', 'backend = "ncnn"'),
        "no back end 'ncnn'; known: .*onnxruntime",
    ),
    "a module that is no back end": (
        GOOD.replace('backend = "onnxruntime"', 'backend = "../toolkit/cli"'),
        "no back end",
    ),
    "an unknown field": ('memory = "4 GB"\n' + GOOD, "unknown fields memory; known: title"),
    "an unknown precision": (
        GOOD.replace('"float32", "int8"', '"float32", "int4"'),
        "must list some of float32, float16, bfloat16, int8",
    ),
    "a precision that is neither offered nor refused": (
        GOOD.replace('["float32", "int8"]', '["float32"]'),
        "int8 must be in 'precisions'",
    ),
    "a precision that is both": (
        GOOD.replace("[refusals]", '[refusals]\nint8 = "no"'),
        "int8 must be in 'precisions'",
    ),
    "no allowance": (GOOD.replace("[allowed.int8]", "[facts]"), "must state drift_mm"),
    "an allowance that is no number": (GOOD.replace("drift_mm = 8", 'drift_mm = "8"'), "numbers from 0 on"),
    "a list for a table": ("options = []\n" + GOOD, r"\[options\] must be a table"),
    "no title": (GOOD.replace("title", "name", 1), "name"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_an_invalid_board_file_is_refused_with_the_reason(text, words, tmp_path):
    (tmp_path / "my-board.toml").write_text(text)
    with pytest.raises(PosecError, match=words):
        targets.load(tmp_path / "my-board.toml")


def test_a_missing_file_is_refused():
    with pytest.raises(PosecError, match=r"no target file 'nowhere\.toml'"):
        targets.load("nowhere.toml")
