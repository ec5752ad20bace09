"""One order of quantization: the graph judged, searched or trained is the graph that the back end lowers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import onnx
import pytest
from networks import spot_picture, tiny_graph_of, tiny_spec, with_keypoints

import calibration
import targets
from toolkit.compiler.build import build, plan
from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Stage
from toolkit.ir.scheme import operator_table
from toolkit.ir.target import Job, Target
from toolkit.passes import prepare
from toolkit.passes.quantize.pipeline import SKIP_VARIABLE, lower_graph
from toolkit.verification.candidate_bench import SearchSettings
from toolkit.verification.float_reference import FloatReference
from toolkit.verification.precision_search import search_precision
from toolkit.verification.sensitivity import SensitivitySettings, measure_sensitivity
from toolkit.verification.verify import verify

BOARDS = ("generic-cpu", "intel-cpu", "raspberry-pi-5", "jetson-orin-nano")
PICTURES = [spot_picture(people, 40 + people) for people in range(1, 4)]
LOOSE = {"drift_mm": 1e6, "people_lost": 1e6, "people_invented": 1e6}


@pytest.fixture(scope="module")
def prepared() -> Graph:
    return prepare(tiny_graph_of(with_keypoints(tiny_spec())))


@pytest.fixture(scope="module")
def ranges(prepared):
    return calibration.collect(prepared, PICTURES)


@pytest.fixture
def judged(monkeypatch) -> list[bytes]:
    """The models that are compared with the float network, in order."""
    models: list[bytes] = []
    infer = FloatReference.heads

    def heads(self: FloatReference, graph: Graph) -> list:
        models.append(content(graph.model))
        return infer(self, graph)

    monkeypatch.setattr(FloatReference, "heads", heads)
    return models


def content(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)


def recording(board: str) -> tuple[Target, list[bytes]]:
    """Return a target whose back end keeps the graphs that it is given to lower, and converts nothing."""
    target, models = targets.load(board), []

    def lower(graph: Graph, job: Job) -> dict[str, bytes]:
        assert graph.stage is Stage.LOWERED
        models.append(content(graph.model))
        return {"model.onnx": models[-1]}

    members = {**vars(target.backend), "lower": lower, "missing": lambda: "", "ENGINE": "onnxruntime"}
    return replace(target, backend=SimpleNamespace(**members)), models


def kept_layers(prepared: Graph, keep: bool) -> tuple[str, ...]:
    convolutions = [node.name for node in prepared.model.graph.node if node.op_type == "Conv"]
    return (convolutions[2], convolutions[4]) if keep else ()


@pytest.mark.parametrize("keep", [False, True], ids=["all int8", "with layers kept float"])
@pytest.mark.parametrize("board", BOARDS)
def test_sensitivity_measures_the_graph_that_is_lowered(board, keep, prepared, ranges, judged, tmp_path):
    target, lowered = recording(board)
    keep_float = kept_layers(prepared, keep)
    build(prepared, target, "int8", ranges=ranges, out=tmp_path / "bundle", golden=[], keep_float=keep_float)
    settings = SensitivitySettings(keep_float=keep_float, layers=False)
    measure_sensitivity(prepared, target, ranges, frames=PICTURES, settings=settings)
    assert judged == lowered
    assert b"DequantizeLinear" in lowered[0]


@pytest.mark.parametrize("board", BOARDS)
def test_the_comparison_of_observers_measures_the_graph_that_is_lowered(board, prepared, judged, tmp_path):
    target, lowered = recording(board)
    found = calibration.compare(
        prepared, PICTURES, PICTURES, target=target, observers=["min-max", "mean-squared-error"]
    )
    for name, ranges in found.ranges.items():
        build(prepared, target, "int8", ranges=ranges, out=tmp_path / name, golden=[])
    assert judged == lowered
    assert len(set(lowered)) == 2


@pytest.mark.parametrize("board", ["generic-cpu", "intel-cpu"])
def test_precision_search_measures_and_writes_the_graph_that_is_lowered(board, prepared, ranges, tmp_path):
    target, lowered = recording(board)
    if why := targets.load(board).backend.missing():
        pytest.skip(why)
    settings = SearchSettings(out=tmp_path / "out", allowed=LOOSE, golden=[], threads=1)
    assert search_precision(prepared, target, ranges, frames=PICTURES, settings=settings)
    build(prepared, target, "int8", ranges=ranges, out=tmp_path / "bundle", golden=[])
    float32, candidate, written, exported = lowered
    assert candidate == written == exported
    assert float32 != exported


@pytest.mark.torch
@pytest.mark.parametrize("board", BOARDS)
def test_training_uses_the_qparams_of_the_graph_that_is_lowered(board, prepared, ranges, monkeypatch):
    pytest.importorskip("torch")
    from toolkit.training.int8 import finetune

    graphs: list[Graph] = []

    class Recorded(finetune.TorchGraph):
        def __init__(self, graph, trained=()):
            graphs.append(graph)
            super().__init__(graph, trained)

    monkeypatch.setattr(finetune, "TorchGraph", Recorded)
    settings = finetune.QATSettings(steps=1, batch=1, held_out=1, threads=1)
    target = targets.load(board)
    finetune.finetune(prepared, target, ranges, frames=PICTURES, settings=settings)
    _, student = graphs
    exported = lower_graph(prepared, Job(target, "int8"), ranges, skip_passes=["fuse_head_convs"])
    assert computing_nodes(student.model) == computing_nodes(exported.model)
    assert activation_scales(student.model) == activation_scales(exported.model)


def computing_nodes(model: onnx.ModelProto) -> list[tuple[str, str, list[str]]]:
    """Return operator, name and data input of every node, but for the Q and DQ of weights and biases."""
    return [
        (node.op_type, node.name, list(node.input[:1]))
        for node in model.graph.node
        if not node.name.endswith(("/weight/dequantize", "/bias/dequantize", "/weight_quantize"))
    ]


def activation_scales(model: onnx.ModelProto) -> dict[str, bytes]:
    parts = ("/scale", "/zero_point")
    return {
        tensor.name: tensor.SerializeToString(deterministic=True)
        for tensor in model.graph.initializer
        if tensor.name.endswith(parts)
    }


@pytest.mark.parametrize("board", BOARDS)
def test_layers_are_named_as_in_the_prepared_graph_even_where_they_are_fused(board, ranges, prepared):
    found = measure_sensitivity(prepared, targets.load(board), ranges, frames=PICTURES[:1])
    names = {node.name for node in prepared.model.graph.node}
    assert len(found.layers) > 3
    assert {each.layer for each in found.layers} <= names
    assert all(each.int8_only.drift_mm >= 0 for each in found.layers)


def test_a_prepared_graph_is_not_prepared_again(prepared):
    assert prepare(prepared) is prepared
    assert prepared.copy().stage is Stage.PREPARED


@pytest.mark.parametrize("board", BOARDS)
def test_each_step_refuses_a_graph_of_another_stage(board, prepared, ranges):
    job = Job(targets.load(board), "int8")
    with pytest.raises(PosecError, match=r"'lower_graph' requires .* prepared .* this one is traced"):
        lower_graph(tiny_graph_of(with_keypoints(tiny_spec())), job, ranges)
    lowered = lower_graph(prepared, job, ranges)
    assert (prepared.stage, lowered.stage) == (Stage.PREPARED, Stage.LOWERED)
    with pytest.raises(PosecError, match=r"this one is lowered; start from `toolkit.passes.prepare"):
        lower_graph(lowered, job, ranges)
    with pytest.raises(PosecError, match=r"'prepare' requires .* traced .* this one is lowered"):
        prepare(lowered)


def test_a_pass_is_skipped_by_name_and_the_history_records_it(prepared, ranges, monkeypatch):
    board = targets.load("generic-cpu")
    whole = plan(prepared, board, "int8", ranges=ranges)["passes"]
    monkeypatch.setenv(SKIP_VARIABLE, "fuse_head_convs, correct_biases")
    skipped = plan(prepared, board, "int8", ranges=ranges)["passes"]
    assert whole["fuse_head_convs"] > 0
    assert whole["correct_biases"] > 0
    changed = {"fuse_head_convs", "correct_biases"}
    assert set(whole) - set(skipped) == changed
    assert set(skipped) - set(whole) == {f"{name} (skipped)" for name in changed}
    for name in ("fuse_heads", "insert_qdq"):
        monkeypatch.setenv(SKIP_VARIABLE, name)
        with pytest.raises(
            PosecError, match=f"names '{name}', which cannot be skipped; take some of .*fuse_head_convs"
        ):
            plan(prepared, board, "int8", ranges=ranges)


def test_the_table_of_operators_follows_from_the_schemes():
    boards = [targets.load(name) for name in BOARDS]
    schemes = {board.backend.ENGINE: board.backend.scheme(Job(board, "int8")) for board in boards}
    header, *rows = operator_table(schemes)
    table = {kind: dict(zip(header[1:], cells, strict=True)) for kind, *cells in rows}
    assert header == ["operator", "onnxruntime", "openvino", "tflite", "tensorrt"]
    assert set(table["Conv"].values()) == {"int8"}
    assert table["Sigmoid"] == {**dict.fromkeys(header[1:], "float"), "tflite": "int8, fixed scale"}
    assert table["MaxPool"] == dict.fromkeys(header[1:], "int8, one scale")
    assert list(table) == sorted(table)


def test_the_drift_of_blame_is_that_of_the_exported_bundle(prepared, ranges, tmp_path):
    board = targets.load("generic-cpu")
    bundle = build(prepared, board, "int8", ranges=ranges, out=tmp_path / "bundle", golden=[])
    settings = SensitivitySettings(layers=False)
    found = measure_sensitivity(prepared, board, ranges, frames=PICTURES, settings=settings)
    drift = verify(bundle, prepared, PICTURES, threads=1)
    assert found.whole.people == drift.people
    assert found.whole.drift_mm == pytest.approx(drift.drift_mm, rel=0.1)
