"""Bundles whose model would hang a board or fill its memory: `posec run` refuses them first."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from networks import spot_picture, tiny_decoder, tiny_model, tiny_spec
from onnx import TensorProto, helper, numpy_helper
from processes import posec
from recorded_heads import bundle_info, packed

from toolkit.runtime.bundle import write_bundle
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.model_files.check import check_content
from toolkit.runtime.model_files.graph import ModelFileError

SPEC = tiny_spec()
SECONDS = 60  # of a refusal, on a busy machine; the models below take hours or tens of gigabytes
ENGINES = [pytest.param("onnxruntime"), pytest.param("openvino", marks=pytest.mark.openvino)]
Parts = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]


def counted_loop(trips: int) -> Parts:
    """Return a loop that computes one number, trip by trip."""
    number = helper.make_tensor_value_info("number", TensorProto.FLOAT, [1])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["number"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("trip", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            number,
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1]),
        ],
    )
    constants = {"trips": np.int64(trips), "always": np.bool_(True), "start": np.ones(1, np.float32)}
    return [helper.make_node("Loop", ["trips", "always", "start"], ["extra"], body=body)], constants


def branches() -> Parts:
    """Return an If with a loop in both branches."""
    (loop,), constants = counted_loop(2**62)
    output = helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1])
    branch = helper.make_graph([loop], "branch", [], [output])
    return [helper.make_node("If", ["always"], ["extra"], then_branch=branch, else_branch=branch)], constants


def scanned() -> Parts:
    """Return a Scan over rows that were repeated to many."""
    state = helper.make_tensor_value_info("number", TensorProto.FLOAT, [])
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, [])
    after = helper.make_tensor_value_info("next", TensorProto.FLOAT, [])
    body = helper.make_graph(
        [helper.make_node("Add", ["number", "row"], ["next"])], "body", [state, row], [after]
    )
    nodes = [
        helper.make_node("Expand", ["start", "many"], ["rows"]),
        helper.make_node("ReduceSum", ["start"], ["zero"], keepdims=0),
        helper.make_node("Scan", ["zero", "rows"], ["scanned"], body=body, num_scan_inputs=1),
        helper.make_node("Unsqueeze", ["scanned", "first"], ["extra"]),
    ]
    return nodes, {"start": np.ones(1, np.float32), "many": np.array([2**33]), "first": np.array([0])}


def summed(nodes: Sequence[onnx.NodeProto], **constants: np.ndarray) -> Parts:
    """Return nodes whose last output, `huge`, is summed to one number."""
    return [
        *nodes,
        helper.make_node("ReduceMax", ["huge"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "first"], ["extra"]),
    ], {"first": np.array([0]), **constants}


def chain(operator: str, times: int, *more: str, **options: object) -> list[onnx.NodeProto]:
    """Return a chain from `start` to `huge`; `more` are further inputs of each node, "" the one before it."""
    names = ["start", *(f"step{number}" for number in range(times - 1)), "huge"]
    return [
        helper.make_node(operator, [before, *(name or before for name in more)], [after], **options)
        for before, after in itertools.pairwise(names)
    ]


ONE = np.ones(1, np.float32)
MAP = np.ones((1, 1, 2, 2), np.float32)
HUGE = {
    "a loop": (counted_loop(2**62), "holds a graph inside Loop"),
    "a loop in a branch": (branches(), "holds a graph inside If"),
    "a scan": (scanned(), "holds a graph inside Scan"),
    "ConstantOfShape": (
        summed([helper.make_node("ConstantOfShape", ["sizes"], ["huge"])], sizes=np.array([2**18, 2**18])),
        "ConstantOfShape",
    ),
    "Range": (
        summed(
            [helper.make_node("Range", ["low", "high", "step"], ["huge"])],
            low=np.float32(0),
            high=np.float32(2**37),
            step=np.float32(1),
        ),
        "Range",
    ),
    "Expand": (
        summed(
            [helper.make_node("Expand", ["start", "sizes"], ["huge"])], start=ONE, sizes=np.array([2**36])
        ),
        "numbers of memory at Expand",
    ),
    "Tile": (
        summed(
            [helper.make_node("Tile", ["start", "counts"], ["huge"])], start=ONE, counts=np.array([2**36])
        ),
        "numbers of memory at Tile",
    ),
    "Pad": (
        summed([helper.make_node("Pad", ["start", "pads"], ["huge"])], start=ONE, pads=np.array([0, 2**36])),
        "numbers of memory at Pad",
    ),
    "Gather": (
        summed(
            [
                helper.make_node("Gather", ["row", "start"], ["rows"]),
                helper.make_node("Gather", ["row", "rows"], ["huge"]),
            ],
            row=np.zeros((1, 2**16), np.int64),
            start=np.array([0]),
        ),
        "numbers of memory at Gather",
    ),
    "Concat": (summed(chain("Concat", 40, "", axis=0), start=ONE), "numbers of memory at Concat"),
    "broadcast": (
        summed(
            [
                *chain("Concat", 24, "", axis=0)[:-1],
                helper.make_node("Unsqueeze", ["step22", "last"], ["column"]),
                helper.make_node("Add", ["step22", "column"], ["huge"]),
            ],
            start=ONE,
            last=np.array([1]),
        ),
        "numbers of memory at Add",
    ),
    "Resize": (
        summed(
            [helper.make_node("Resize", ["start", "", "scales"], ["huge"])],
            start=MAP,
            scales=np.array([1, 1, 2**18, 2**18], np.float32),
        ),
        "numbers of memory at Resize",
    ),
    "Conv": (
        summed(
            [helper.make_node("Conv", ["start", "weight"], ["huge"], pads=[2**18, 2**18, 0, 0])],
            start=MAP,
            weight=MAP,
        ),
        "numbers of memory at Conv",
    ),
    "ConvTranspose": (
        summed(
            [helper.make_node("ConvTranspose", ["start", "weight"], ["huge"], strides=[2**18, 2**18])],
            start=MAP,
            weight=MAP,
        ),
        "numbers of memory at ConvTranspose",
    ),
    "Einsum": (
        summed(
            [
                helper.make_node("Einsum", ["start", "start", "start"], ["all"], equation="ab,cd,ef->a"),
                helper.make_node("Identity", ["all"], ["huge"]),
            ],
            start=np.ones((128, 128), np.float32),
        ),
        "operations for one picture",
    ),
}


def with_parts(parts: Parts) -> onnx.ModelProto:
    """Return the tiny network, its centre head moved by a number that the parts compute."""
    model, (nodes, constants) = tiny_model(SPEC), parts
    last = next(node for node in model.graph.node if "centre" in node.output)
    last.output[0] = "centre_before"
    model.graph.node.extend([*nodes, helper.make_node("Mul", ["extra", "nothing"], ["moved"])])
    model.graph.node.append(helper.make_node("Add", ["centre_before", "moved"], ["centre"]))
    arrays = {**constants, "nothing": np.zeros(1, np.float32)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values), name) for name, values in arrays.items()
    )
    return model


def hostile_bundle(folder: Path, content: bytes, engine: str, model: str = "model.onnx") -> Path:
    info = bundle_info(engine=engine, model=model, frame=vars(FrameInput()))
    return write_bundle(folder, info, {model: content, "pose.npz": packed(tiny_decoder())}).folder


def refused(tmp_path: Path, bundle: Path) -> str:
    """Return the sentence of `posec run`, which must come soon."""
    cv2.imwrite(str(tmp_path / "picture.png"), spot_picture(2, seed=2))
    start = time.monotonic()
    done = posec("run", bundle, "--source", tmp_path / "picture.png", timeout=SECONDS)
    assert time.monotonic() - start < SECONDS
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    return done.stderr


def test_the_parts_belong_to_networks_that_an_engine_would_run():
    short = with_parts(counted_loop(3))
    onnx.checker.check_model(short, full_check=True)
    with pytest.raises(ModelFileError, match="holds a graph inside Loop"):
        check_content(short.SerializeToString(), ".onnx")
    check_content(with_parts(summed(chain("Concat", 4, "", axis=0), start=ONE)).SerializeToString(), ".onnx")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HUGE)
def test_a_model_that_would_hang_or_fill_the_memory_is_refused_by_run(name, engine, tmp_path):
    parts, reason = HUGE[name]
    bundle = hostile_bundle(tmp_path / "b", with_parts(parts).SerializeToString(), engine)
    error = refused(tmp_path, bundle)
    assert reason in error
    assert "export the bundle again" in error


def test_a_function_of_the_model_is_refused(tmp_path):
    model = with_parts(([helper.make_node("Often", ["start"], ["extra"], domain="own")], {"start": ONE}))
    (loop,), constants = counted_loop(2**62)
    inside = [
        *(
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(values)))
            for name, values in constants.items()
        ),
        loop,
    ]
    opsets = [helper.make_opsetid("", 13)]
    model.functions.append(helper.make_function("own", "Often", ["given"], ["extra"], inside, opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    error = refused(tmp_path, hostile_bundle(tmp_path / "b", model.SerializeToString(), "onnxruntime"))
    assert "functions" in error


@pytest.mark.openvino
@pytest.mark.parametrize("name", ["model.xml", "model.pb", "model.ort", "model"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "tflite"])
def test_a_file_that_an_engine_would_read_as_another_format_is_refused(name, engine, tmp_path):
    content = tiny_model(SPEC).SerializeToString()
    assert "another ending" in refused(tmp_path, hostile_bundle(tmp_path / "b", content, engine, name))


@pytest.mark.openvino
def test_a_graph_in_openvinos_format_is_refused(tmp_path):
    layers = b'<layers><layer id="0" type="TensorIterator"/></layers>'
    loop = b'<?xml version="1.0"?><net name="n" version="11">' + layers + b"</net>"
    error = refused(tmp_path, hostile_bundle(tmp_path / "b", loop, "openvino"))
    assert "cannot be read" in error


@pytest.mark.parametrize(
    "content",
    [
        b"\x3a",
        b"\x3a\x00\x3a\x00",
        b"\x3a\xff\xff\xff\xff\x7f",
        b"\xff" * 20,
        b"\x0b",
        b"<net/>",
        b"\x08\x08" * 500_001,
        b"\x3a\x04\x0a\x02\x22\x00",
    ],
)
def test_a_damaged_onnx_file_is_refused(content):
    with pytest.raises(ModelFileError, match=r"cannot be read|is not an ONNX model|holds the operator"):
        check_content(content, ".onnx")
