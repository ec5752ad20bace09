"""build() and plan(): the content of a bundle, equal bytes for equal inputs, and refusals before any work."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import onnx
import pytest
from networks import tiny_decoder, tiny_graph_of

import calibration
import targets
from toolkit.compiler.build import build, plan
from toolkit.errors import PosecError
from toolkit.ir.float_engine import float_estimator
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import layer_name
from toolkit.runtime import load
from toolkit.runtime.bundle import read_bundle

GENERIC = targets.load("generic-cpu")


@pytest.fixture(scope="module")
def ranges(people_pictures):
    return calibration.collect(tiny_graph_of(), people_pictures)


def test_a_float_bundle_finds_the_people_of_the_float_network(tiny_graph, people_pictures, tmp_path):
    bundle = build(tiny_graph, GENERIC, out=tmp_path / "float", golden=people_pictures)
    estimator = load(tmp_path / "float")
    wanted = float_estimator(tiny_graph)
    for count, picture in enumerate(people_pictures):
        found, people = estimator(picture), wanted(picture)
        assert len(found) == len(people) == count
        np.testing.assert_allclose(found.joints_mm, people.joints_mm, atol=0.1)
    assert bundle.precision == "float32"
    assert bundle.scheme is None
    assert bundle.float_layers == ()
    assert bundle.float_baseline.startswith("float32, ONNX Runtime")
    assert bundle.licence == "made by the tests"
    assert dict(bundle.passes)["fold_frame"] == 1
    assert set(bundle.tools) >= {"onnx", "onnxruntime", "numpy"}


def test_golden_people_are_those_of_the_float_network(tiny_graph, people_pictures, ranges, tmp_path):
    bundle = build(tiny_graph, GENERIC, "int8", ranges=ranges, out=tmp_path / "int8", golden=people_pictures)
    wanted = float_estimator(tiny_graph)
    assert [len(people) for _, people in bundle.golden()] == [0, 1, 2, 3, 4]
    for (picture, people), original in zip(bundle.golden(), people_pictures, strict=True):
        np.testing.assert_array_equal(picture, original)
        np.testing.assert_allclose(people.joints_mm, wanted(original).joints_mm, atol=0.1)
    assert all(
        entry["focal_px"] is None
        for entry in json.loads((tmp_path / "int8" / "golden" / "people.json").read_text())
    )


def test_an_int8_bundle_describes_itself(tiny_graph, people_pictures, ranges, tmp_path):
    prepared = prepare(tiny_graph)
    bundle = build(
        tiny_graph,
        GENERIC,
        "int8",
        ranges=ranges,
        out=tmp_path / "int8",
        golden=people_pictures[:1],
        keep_float=["Conv_0"],
    )
    assert bundle.ranges_sha256 == ranges.sha256
    assert bundle.graph_sha256 == prepared.sha256 == ranges.graph_sha256
    assert bundle.scheme == "u8s8-per-channel"
    assert bundle.float_layers[0] == "Conv_0"
    assert len(bundle.float_layers) == 1 + 5  # and the last convolution of every head
    assert bundle.allowed == dataclasses.asdict(GENERIC.allowed["int8"])
    model = onnx.load(str(bundle.model_path))
    assert [entry.domain for entry in model.opset_import] == [""]
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) > 5
    people = load(tmp_path / "int8")(people_pictures[3])
    assert len(people) == 3


def test_equal_inputs_give_equal_bytes(people_pictures, ranges, tmp_path):
    for name in ("first", "second"):
        build(
            tiny_graph_of(), GENERIC, "int8", ranges=ranges, out=tmp_path / name, golden=people_pictures[:2]
        )
    first, second = (
        {
            path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / "first", tmp_path / "second")
    )
    assert first == second
    assert len(first) == 7


def test_the_graph_that_was_given_is_not_changed(tiny_graph, tmp_path):
    before = (tiny_graph.sha256, tiny_graph.frame, list(tiny_graph.history))
    steps = []
    build(tiny_graph, GENERIC, out=tmp_path / "bundle", golden=[], progress=steps.append)
    assert (tiny_graph.sha256, tiny_graph.frame, tiny_graph.history) == before
    assert steps == ["prepare", "rewrite", "lower", "golden", "check in the engine"]
    assert read_bundle(tmp_path / "bundle").golden() == []
    decoder = np.load(tmp_path / "bundle" / "pose.npz", allow_pickle=False)
    for name, values in tiny_decoder().items():
        np.testing.assert_array_equal(decoder[name], values)


REFUSED = {
    "a precision that the board lacks": (
        {"precision": "float16"},
        "offers float32, int8; got 'float16' .*take",
    ),
    "a word that is no precision": ({"precision": "fp8"}, "got 'fp8'; take float32"),
    "int8 without ranges": ({"precision": "int8"}, "needs ranges.*posec calibrate"),
    "layers to keep float in a float network": (
        {"keep_float": ["Conv_0"]},
        "--keep-float is for int8, got float32",
    ),
    "no folder": ({"out": ""}, "no folder"),
}


@pytest.mark.parametrize(("request_of", "words"), REFUSED.values(), ids=REFUSED)
def test_an_impossible_request_is_refused_before_any_work(request_of, words, tiny_graph, tmp_path):
    steps = []
    with pytest.raises(PosecError, match=words):
        build(tiny_graph, GENERIC, **{"out": tmp_path / "bundle", **request_of}, progress=steps.append)
    assert steps == []
    assert not (tmp_path / "bundle").exists()


def test_ranges_of_another_network_are_refused(ranges, tmp_path):
    with pytest.raises(PosecError, match=r"another network.*calibrate again"):
        build(tiny_graph_of(seed=2), GENERIC, "int8", ranges=ranges, out=tmp_path / "bundle")


def test_layers_are_kept_float_by_patterns(tiny_graph):
    names = [
        name
        for name, why in plan(tiny_graph, GENERIC, "int8", keep_float=["Conv_1*", "Conv_3"])[
            "stays float"
        ].items()
        if why == "kept float on request"
    ]
    prepared = [layer_name(node) for node in prepare(tiny_graph).model.graph.node]
    assert sorted(names) == sorted(name for name in prepared if name.startswith("Conv_1") or name == "Conv_3")
    assert len(names) > 1
    with pytest.raises(PosecError, match=r"no layer matches 'Pool\*'; layers are"):
        plan(tiny_graph, GENERIC, "int8", keep_float=["Pool*"])


def test_an_unknown_layer_to_keep_float_is_refused_with_the_known_ones(tiny_graph, ranges, tmp_path):
    with pytest.raises(PosecError, match=r"no layer 'Conv_99'.*Conv_0, Conv_3"):
        build(tiny_graph, GENERIC, "int8", ranges=ranges, out=tmp_path / "bundle", keep_float=["Conv_99"])


def test_a_folder_that_is_taken_is_refused(tiny_graph, tmp_path):
    (tmp_path / "mine").mkdir()
    build(tiny_graph, GENERIC, out=tmp_path / "mine", golden=[])  # empty: may be used
    with pytest.raises(PosecError, match="is there already"):
        build(tiny_graph, GENERIC, out=tmp_path / "mine", golden=[])
    build(tiny_graph, GENERIC, out=tmp_path / "mine", golden=[], overwrite=True)
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "page.txt").write_text("dear diary")
    with pytest.raises(PosecError, match="is not a bundle"):
        build(tiny_graph, GENERIC, out=tmp_path / "diary", golden=[], overwrite=True)
    assert (tmp_path / "diary" / "page.txt").read_text() == "dear diary"


def test_too_many_golden_pictures_are_refused(tiny_graph, people_pictures, tmp_path):
    with pytest.raises(PosecError, match="up to 64 golden pictures, got 65"):
        build(tiny_graph, GENERIC, out=tmp_path / "bundle", golden=[people_pictures[0]] * 65)


def test_a_back_end_whose_tool_is_missing_is_refused(tiny_graph, tmp_path, monkeypatch):
    monkeypatch.setattr(GENERIC.backend, "missing", lambda: "onnxruntime is not installed")
    with pytest.raises(PosecError, match=r"onnxruntime is not installed; pip install"):
        build(tiny_graph, GENERIC, out=tmp_path / "bundle")
    assert plan(tiny_graph, GENERIC)["needed first"] == ["onnxruntime is not installed"]


def test_a_plan_matches_the_bundle(tiny_graph, people_pictures, ranges, tmp_path):
    planned = plan(tiny_graph, GENERIC, "int8", ranges=ranges)
    bundle = build(
        tiny_graph, GENERIC, "int8", ranges=ranges, out=tmp_path / "bundle", golden=people_pictures[:1]
    )
    assert json.loads(json.dumps(planned)) == planned
    assert planned["passes"] == dict(bundle.passes)
    assert planned["scheme"] == bundle.scheme
    assert planned["input"] == dataclasses.asdict(bundle.frame)
    assert set(bundle.float_layers) <= set(planned["stays float"])
    assert planned["needed first"] == []


def test_an_int8_plan_works_without_ranges_and_states_that_build_needs_them(tiny_graph):
    planned = plan(tiny_graph, GENERIC, "int8", keep_float=["Conv_3"])
    assert planned["needed first"] == ["int8 needs ranges: posec calibrate"]
    assert planned["stays float"]["Conv_3"] == "kept float on request"
    assert "head 'centre'" in planned["stays float"]["centre.Conv"]
    with pytest.raises(PosecError, match="got 'float16'"):
        plan(tiny_graph, GENERIC, "float16")
