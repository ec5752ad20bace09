"""The Jetson boards: refusals, content of their bundles, and that these run."""

import dataclasses
import json

import cv2
import numpy as np
import onnx
import pytest
from jetson_bundles import VERSIONS
from networks import tiny_graph_of

import calibration
import targets
from targets.tensorrt import plan_details, trtexec_line
from toolkit.compiler.build import build, plan
from toolkit.errors import PosecError
from toolkit.ir.graph import run_passes
from toolkit.ir.target import Job
from toolkit.passes import prepare
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.passes.tensorrt.check import check, check_file
from toolkit.runtime import load

BOARDS = sorted(name for name in targets.names() if name.startswith("jetson-"))
INT8 = [name for name in BOARDS if "int8" in targets.load(name).precisions]


@pytest.fixture(scope="module")
def prepared():
    return prepare(tiny_graph_of())


@pytest.fixture(scope="module")
def ranges(prepared, people_pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    for number, picture in enumerate(people_pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return calibration.collect(prepared, calibration.folder(folder, prepared.spec))


def export(graph, name, precision, out, ranges=None, pictures=()):
    return build(
        graph,
        targets.load(name),
        precision,
        ranges=ranges if precision == "int8" else None,
        out=out,
        golden=list(pictures),
    )


def test_the_boards_are_those_of_the_documentation():
    assert BOARDS == [
        "jetson-agx-orin",
        "jetson-nano",
        "jetson-orin-nano",
        "jetson-orin-nx",
        "jetson-tx2",
        "jetson-xavier-nx",
    ]
    assert INT8 == ["jetson-agx-orin", "jetson-orin-nano", "jetson-orin-nx", "jetson-xavier-nx"]


@pytest.mark.parametrize("name", BOARDS)
def test_float16_is_the_default_and_every_fact_is_stated(name):
    target = targets.load(name)
    assert target.precisions[0] == "float16"
    assert {
        "compute_capability",
        "jetpack",
        "tensorrt",
        "python",
        "memory_gb",
        "dla_cores",
        "power_modes",
        "never_run",
    } <= set(target.facts)
    assert len(target.facts["jetpack"]) == len(target.facts["tensorrt"]) == len(target.facts["python"])
    low, high = target.options["build_minutes"]
    assert 0 < low < high
    assert target.options["workspace_mb"] * 8 <= target.facts["memory_gb"] * 1024


@pytest.mark.parametrize(("name", "reason"), [("jetson-nano", "Maxwell"), ("jetson-tx2", "Pascal")])
def test_int8_is_refused_where_the_silicon_lacks_it(name, reason, tiny_graph, tmp_path):
    with pytest.raises(
        PosecError,
        match=f"offers float16, float32; got 'int8' .*{reason}.* has no int8 instructions.*; take float16",
    ):
        export(tiny_graph, name, "int8", tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", BOARDS)
def test_every_network_obeys_the_rules_of_every_tensorrt_the_board_may_have(name, prepared, ranges):
    target = targets.load(name)
    for precision in target.precisions:
        _, graph = compiled(prepared, name, precision, ranges)
        for version in target.facts["tensorrt"]:
            assert check(graph.model, version) == []
        assert graph.history[-1] == ("tensorrt_check", 0)


@pytest.mark.parametrize(
    ("name", "dtype"), [("jetson-nano", "float32"), ("jetson-tx2", "float32"), ("jetson-orin-nano", "uint8")]
)
def test_pictures_enter_as_pixels_where_tensorrt_has_uint8(
    name, dtype, tiny_graph, tmp_path, people_pictures
):
    bundle = export(tiny_graph, name, "float16", tmp_path / "b", pictures=people_pictures)
    assert dataclasses.astuple(bundle.frame) == (dtype, "NHWC", "BGR", False)
    first = onnx.load(bundle.model_path).graph.node[0].op_type
    assert first == ("Cast" if dtype == "uint8" else "Transpose")
    estimator = load(
        bundle.folder
    )  # ONNX Runtime computes in float32, so that the people are the float network's
    for picture, people in bundle.golden():
        np.testing.assert_allclose(estimator(picture).joints_mm, people.joints_mm, atol=0.5)


@pytest.mark.parametrize("name", INT8)
def test_int8_finds_the_people_of_the_float_network(name, tiny_graph, tmp_path, ranges, people_pictures):
    bundle = export(tiny_graph, name, "int8", tmp_path / "b", ranges, people_pictures)
    estimator = load(bundle.folder)
    for picture, people in bundle.golden():
        found = estimator(picture)
        assert len(found) == len(people)
        if len(people):
            assert np.abs(found.joints_mm - people.joints_mm).mean() < bundle.allowed["drift_mm"]


def test_pixels_are_exact_integers_and_depthwise_layers_and_heads_stay_float(tiny_graph, tmp_path, ranges):
    bundle = export(tiny_graph, "jetson-orin-nano", "int8", tmp_path / "b", ranges)
    model = onnx.load(bundle.model_path)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    assert constants[first.input[1]] == 1
    assert constants[first.input[2]] == 0
    assert bundle.scheme == "s8s8-symmetric-per-channel"
    depthwise = [
        node
        for node in model.graph.node
        if node.op_type == "Conv" and any(a.name == "group" and a.i > 1 for a in node.attribute)
    ]
    assert depthwise
    assert all(node.name in bundle.float_layers and node.input[1] in constants for node in depthwise)
    assert not any(np.any(values) for name, values in constants.items() if values.dtype == np.int8)


def test_layers_kept_float_do_not_break_the_rules(tiny_graph, tmp_path, ranges):
    first = next(node.name for node in prepare(tiny_graph).model.graph.node if node.op_type == "Conv")
    bundle = build(
        tiny_graph,
        targets.load("jetson-orin-nano"),
        "int8",
        ranges=ranges,
        out=tmp_path / "b",
        golden=[],
        keep_float=[first],
    )
    assert first in bundle.float_layers
    assert check_file(bundle.model_path, "8.5.2") == []


def compiled(prepared, name, precision, ranges=None):
    """Return the job and what the board gets, as `build` makes it but for the correction of biases."""
    job, graph = Job(targets.load(name), precision), prepared.copy()
    back_end = job.target.backend
    run_passes(graph, back_end.pre_quantize(job))
    if precision == "int8":
        insert_qdq(graph, ranges.tensors, back_end.scheme(job))
    run_passes(graph, back_end.post_quantize(job))
    return job, graph


@pytest.mark.parametrize(
    "version", [version for version in VERSIONS if not version.startswith(("8.2", "8.4"))]
)
@pytest.mark.parametrize(
    ("precision", "flags"),
    [("int8", {"INT8", "FP16", "TF32"}), ("float16", {"FP16", "TF32"}), ("float32", set())],
)
def test_a_bundle_runs_on_its_board(
    version, precision, flags, tiny_graph, tmp_path, ranges, board, people_pictures
):
    bundle = export(tiny_graph, "jetson-orin-nano", precision, tmp_path / "b", ranges, people_pictures)
    trt, _ = board(version)
    estimator = load(bundle.folder)
    assert trt.record.flags == [flags]
    assert estimator.describe()["interface"] == "named tensors"
    for picture, people in bundle.golden():
        assert len(estimator(picture)) == len(people)


def test_the_nanos_bundle_runs_by_bindings(tiny_graph, tmp_path, board, people_pictures):
    bundle = export(tiny_graph, "jetson-nano", "float16", tmp_path / "b", pictures=people_pictures)
    trt, _ = board("8.2.1.8", name="NVIDIA Tegra X1", capability=(5, 3), multiprocessors=1)
    estimator = load(bundle.folder)
    assert trt.record.workspaces == [256 << 20]
    assert [len(estimator(picture)) for picture in people_pictures] == [0, 1, 2, 3, 4]


def test_a_network_beyond_the_boards_tensorrt_is_refused(tiny_graph, tmp_path):
    target = dataclasses.replace(
        targets.load("jetson-nano"), facts={**targets.load("jetson-nano").facts, "tensorrt": ["7.1.3"]}
    )
    with pytest.raises(PosecError, match=r"no rules for TensorRT 7\.1\.3; known: 8\.2, 8\.5, 8\.6, 10"):
        build(tiny_graph, target, "float16", out=tmp_path / "b", golden=[])


def with_options(name, **options):
    target = targets.load(name)
    return dataclasses.replace(target, options={**target.options, **options})


@pytest.mark.parametrize(
    ("name", "precision", "core", "words"),
    [
        (
            "jetson-orin-nano",
            "float16",
            0,
            "has no DLA cores, its option dla_core is 0; leave it out for the GPU",
        ),
        (
            "jetson-orin-nx",
            "float16",
            2,
            "has 2 DLA cores, its option dla_core is 2; take 0 or 1, or leave it out for the GPU",
        ),
        ("jetson-orin-nx", "float16", "0", "its option dla_core is '0'"),
        (
            "jetson-orin-nx",
            "int8",
            0,
            "supports neither float32 nor explicit int8, got 'int8' with dla_core = 0; take float16",
        ),
        ("jetson-orin-nx", "float32", 1, "got 'float32' with dla_core = 1; take float16"),
    ],
)
def test_a_precision_that_the_dla_lacks_is_refused(name, precision, core, words, tiny_graph):
    with pytest.raises(PosecError, match=words):
        plan(tiny_graph, with_options(name, dla_core=core), precision)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"workspace_mb": 8193},
            "has 8 GB of memory, its option workspace_mb is 8193; take a whole number from 32 up",
        ),
        ({"workspace_mb": 8}, "its option workspace_mb is 8; take a whole number from 32 up"),
        ({"workspace_mb": "half"}, "its option workspace_mb is 'half'; take a whole number"),
        ({"build_minutes": 5}, r"build_minutes are two numbers, \[3, 12\]; got 5"),
    ],
)
def test_invalid_builder_options_are_refused(options, words, tiny_graph):
    with pytest.raises(PosecError, match=words):
        plan(tiny_graph, with_options("jetson-orin-nano", **options), "float16")


@pytest.mark.parametrize("stated", [None, "10.3.0", []])
def test_a_board_that_does_not_state_its_tensorrt_is_refused(stated, tiny_graph):
    target = targets.load("jetson-nano")
    facts = {name: fact for name, fact in target.facts.items() if name != "tensorrt"} | (
        {} if stated is None else {"tensorrt": stated}
    )
    with pytest.raises(
        PosecError,
        match=r"must state the TensorRT of its JetPacks: tensorrt = \[.10\.3\.0.\] under \[facts\]",
    ):
        plan(tiny_graph, dataclasses.replace(target, facts=facts), "float16")


def test_a_plan_forecasts_layers_memory_and_the_dla(prepared, ranges):
    job, graph = compiled(prepared, "jetson-orin-nx", "float16")
    details = plan_details(graph, job)
    json.dumps(details)
    convolutions = sum(node.op_type == "Conv" for node in graph.model.graph.node)
    assert details["layers"]["float16"] >= convolutions
    assert details["dla"]["cores"] == 2
    assert details["dla"]["on the gpu"]["frame.Cast"] == "the DLA has no Cast"
    weights = sum(
        np.prod(t.dims) for t in graph.model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT
    )
    assert details["memory_mb"]["weights"] == round(2 * weights / 2**20, 1)
    assert details["memory_mb"]["workspace"] == 1024
    # The first maps, 8 channels of 32 x 48, and the picture, as floats and as bytes, are what lives at once.
    assert 0 < details["memory_mb"]["activations"] < 0.2
    job, graph = compiled(prepared, "jetson-orin-nx", "int8", ranges)
    details = plan_details(graph, job)
    assert details["layers"]["int8"] > 0
    assert "explicit quantization: all layers run on the GPU" in details["dla"]["why"]
    assert len(details["float layers"]) == details["layers"]["float16"]
    assert check(graph.model, "10") == []


@pytest.mark.parametrize(
    ("name", "precision", "flags"),
    [
        ("jetson-nano", "float16", "--fp16 --workspace=256"),
        ("jetson-orin-nano", "int8", "--int8 --fp16 --memPoolSize=workspace:1024"),
        ("jetson-orin-nano", "float32", "--noTF32 --memPoolSize=workspace:1024"),
    ],
)
def test_trtexec_builds_the_same_plan(name, precision, flags):
    line = trtexec_line(Job(targets.load(name), precision))
    assert line.startswith(f"/usr/src/tensorrt/bin/trtexec --onnx=model.onnx {flags} --saveEngine=model.plan")
    on_dla = trtexec_line(Job(with_options("jetson-orin-nx", dla_core=1), "float16"))
    assert "--useDLACore=1 --allowGPUFallback" in on_dla
