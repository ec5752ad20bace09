"""Folded preprocessing: equal heads for every type, layout and colour order of the input."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from networks import one_head_graph, outputs_of, tiny_graph_of, tiny_spec
from onnx import helper

from toolkit.errors import PosecError
from toolkit.ir.float_engine import float_estimator
from toolkit.ir.graph import Stage
from toolkit.passes import prepare
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.passes.lower.swap_transpose_dequantize import swap_transpose_dequantize
from toolkit.runtime.frame import FrameInput

SPECS = {
    "one mean": tiny_spec(),
    "three means": tiny_spec(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    "BGR": tiny_spec(mean=(127.0, 127.0, 127.0), std=(60.0, 50.0, 40.0), colour_order="BGR"),
    "no mean": tiny_spec(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
}
FORMS = [("uint8", False), ("int8", False), ("float32", False), ("float32", True)]
FRAMES = [
    FrameInput(dtype, layout, order, normalized)
    for (dtype, normalized), layout, order in itertools.product(FORMS, ("NHWC", "NCHW"), ("BGR", "RGB"))
]
CAMERA = FrameInput("uint8", "NHWC", "BGR", normalized=False)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_frame_gives_the_same_heads(spec, people_pictures):
    prepared = prepare(tiny_graph_of(spec))
    wanted = [float_estimator(prepared, threads=1).heads(picture) for picture in people_pictures[1:3]]
    for frame, cast in itertools.product(FRAMES, (False, True)):
        graph = prepared.copy()
        assert fold_frame(frame, cast)(graph) == (0 if frame == prepared.frame else 1)
        assert graph.frame == frame
        onnx.checker.check_model(graph.model, full_check=True)
        estimator = float_estimator(graph, threads=1)
        for picture, heads in zip(people_pictures[1:3], wanted, strict=True):
            for name, values in estimator.heads(picture).items():
                np.testing.assert_allclose(
                    values, heads[name], atol=1e-5, err_msg=f"{frame} cast={cast} {name}"
                )


def test_one_integer_mean_becomes_a_zero_point():
    graph = prepare(tiny_graph_of())
    fold_frame(CAMERA)(graph)
    assert [node.op_type for node in graph.model.graph.node[:3]] == ["Transpose", "DequantizeLinear", "Conv"]


def test_a_cast_is_the_first_node_on_request():
    graph = prepare(tiny_graph_of())
    fold_frame(CAMERA, cast=True)(graph)
    assert [node.op_type for node in graph.model.graph.node[:4]] == ["Cast", "Transpose", "Sub", "Conv"]


def test_readers_other_than_convolutions_get_nodes_instead_of_weights():
    graph = one_head_graph([helper.make_node("Relu", ["frame"], ["y"])], {})
    graph.stage = Stage.PREPARED
    red_up = np.zeros((1, 3, 16, 16), np.float32)
    red_up[0, 0] = 1
    fold_frame(CAMERA)(graph)
    assert [node.op_type for node in graph.model.graph.node] == [
        "Transpose",
        "DequantizeLinear",
        "Gather",
        "Mul",
        "Relu",
    ]
    pixels = np.full((1, 16, 16, 3), 128, np.uint8)
    pixels[..., 2] = 255
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(session.run(None, {"frame": pixels})[0], red_up * 127 / 128, atol=1e-6)


def test_a_frame_is_folded_once():
    graph = prepare(tiny_graph_of())
    fold_frame(CAMERA)(graph)
    assert fold_frame(CAMERA)(graph) == 0
    with pytest.raises(PosecError, match="folded already"):
        fold_frame(FrameInput())(graph)
    assert set(outputs_of(graph.model)) == set(graph.spec.heads)


def test_pixels_can_be_dequantized_before_they_are_transposed():
    graph = prepare(tiny_graph_of())
    fold_frame(CAMERA)(graph)
    before = outputs_of(graph.model)
    assert swap_transpose_dequantize(graph) == 1
    assert [node.op_type for node in graph.model.graph.node[:3]] == ["DequantizeLinear", "Transpose", "Conv"]
    onnx.checker.check_model(graph.model, full_check=True)
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_array_equal(values, before[name])
    assert swap_transpose_dequantize(graph) == 0


@pytest.mark.parametrize(
    "form", [FrameInput(), FrameInput("uint8", "NCHW", "BGR", normalized=False)], ids=["floats", "planes"]
)
def test_another_frame_stays(form):
    graph = prepare(tiny_graph_of())
    fold_frame(form)(graph)
    assert swap_transpose_dequantize(graph) == 0
