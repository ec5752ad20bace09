"""The graph replayed in torch: equal to ONNX Runtime for every operator, and refusals by name."""

from __future__ import annotations

import numpy as np
import pytest
from networks import outputs_of
from onnx import helper
from small_networks import WIDTH, network_about, node

from toolkit.errors import PosecError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
RANDOM = np.random.default_rng(1)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def scales(factor: float) -> dict[str, np.ndarray]:
    return {"scales": np.array([1, 1, factor, factor], np.float32)}


HALF = node("AveragePool", "before", "half", kernel_shape=[2, 2], strides=[2, 2])
OPERATORS = {
    "a convolution that pads unevenly": (
        [node("Conv", "before w", "after", pads=[0, 1, 1, 0])],
        {"w": array(WIDTH, WIDTH, 2, 2)},
    ),
    "a convolution that pads as TensorFlow does": (
        [
            node("Conv", "before w", "x", auto_pad="SAME_UPPER", strides=[2, 2]),
            node("ConvTranspose", "x w2", "after", strides=[2, 2]),
        ],
        {"w": array(WIDTH, WIDTH, 3, 3), "w2": array(WIDTH, WIDTH, 2, 2)},
    ),
    "a dilated depthwise convolution": (
        [node("Conv", "before w b", "after", group=WIDTH, dilations=[2, 2], pads=[2, 2, 2, 2])],
        {"w": array(WIDTH, 1, 3, 3), "b": array(WIDTH)},
    ),
    "a transposed convolution": (
        [
            HALF,
            node(
                "ConvTranspose", "half w b", "after", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
            ),
        ],
        {"w": array(WIDTH, WIDTH, 3, 3), "b": array(WIDTH)},
    ),
    "pools": (
        [
            node("MaxPool", "before", "x", kernel_shape=[3, 3], pads=[0, 0, 2, 2]),
            node("AveragePool", "x", "after", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0),
        ],
        {},
    ),
    "an average over the whole map": (
        [node("GlobalAveragePool", "before", "x"), node("Mul", "before x", "after")],
        {},
    ),
    "bilinear twice": (
        [
            HALF,
            node(
                "Resize", "half - scales", "after", mode="linear", coordinate_transformation_mode="half_pixel"
            ),
        ],
        scales(2),
    ),
    "bilinear by sizes": (
        [
            HALF,
            node(
                "Resize",
                "half - - sizes",
                "after",
                mode="linear",
                coordinate_transformation_mode="align_corners",
            ),
        ],
        {"sizes": np.array([1, WIDTH, 8, 12], np.int64)},
    ),
    "nearest twice": ([HALF, node("Resize", "half - scales", "after", mode="nearest")], scales(2)),
    "nearest, counted from the corner": (
        [
            HALF,
            node(
                "Resize",
                "half - scales",
                "after",
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            ),
        ],
        scales(2),
    ),
    "activations": (
        [
            node("Relu", "before", "x"),
            node("LeakyRelu", "before", "y", alpha=0.2),
            node("HardSigmoid", "before", "z", alpha=1 / 6, beta=0.5),
            node("Sub", "x y", "u"),
            node("Div", "u two", "v"),
            node("Clip", "v low high", "t"),
            node("Neg", "t", "s"),
            node("Add", "s z", "after"),
        ],
        {"two": np.float32(2), "low": np.float32(-0.3), "high": np.float32(0.4)},
    ),
    "a rectifier that ends at 1": (
        [node("Clip", "before low high", "after")],
        {"low": np.float32(0), "high": np.float32(1)},
    ),
    "a rectifier that ends at 6": (
        [node("Clip", "before low high", "after")],
        {"low": np.float32(0), "high": np.float32(6)},
    ),
    "moved about": (
        [
            node("Transpose", "before", "x", perm=[0, 2, 1, 3]),
            node("Reshape", "x apart", "y"),
            helper.make_node("Transpose", ["y"], ["z"], "again", perm=[0, 3, 1, 2, 4]),
            helper.make_node("Reshape", ["z", "whole"], ["after"], "last"),
        ],
        {"apart": np.array([1, 4, 2, WIDTH, 12], np.int64), "whole": np.array([1, WIDTH, 8, 12], np.int64)},
    ),
    "channels gathered by pairs of one index": (
        [
            node("Transpose", "before", "x", perm=[1, 0, 2, 3]),
            node("GatherND", "x places", "y"),
            helper.make_node("Transpose", ["y"], ["after"], "back", perm=[1, 0, 2, 3]),
        ],
        {"places": np.array([[3], [0], [-1], [1]], np.int64)},
    ),
    "split": (
        [
            helper.make_node("Split", ["before", "sizes"], ["x", "y"], "Split", axis=1),
            node("Concat", "y x", "after", axis=1),
        ],
        {"sizes": np.array([3, 1], np.int64)},
    ),
    "joined and padded": (
        [
            node("Concat", "before before", "x", axis=1),
            node("Conv", "x w", "y"),
            node("Pad", "y pads", "after", mode="constant"),
        ],
        {"w": array(WIDTH, 2 * WIDTH, 3, 3), "pads": np.array([0, 0, 2, 1, 0, 0, 0, 1], np.int64)},
    ),
}


@pytest.mark.parametrize(("nodes", "arrays"), OPERATORS.values(), ids=OPERATORS)
def test_an_operator_computes_what_onnx_runtime_computes(nodes, arrays):
    from targets._litert.replay import Replay

    graph = network_about(nodes, arrays)
    wanted = outputs_of(graph.model)
    frame = np.random.default_rng(0).normal(0, 0.6, (1, 3, *graph.spec.input_size)).astype(np.float32)
    with torch.no_grad():
        # The frame is NCHW here, as in the graph: where it is NHWC the graph transposes it itself.
        heads = Replay(graph).eval()(torch.from_numpy(frame))
    for name, values in wanted.items():
        np.testing.assert_allclose(heads[name].numpy().transpose(0, 3, 1, 2), values, atol=2e-5, err_msg=name)


REFUSED = {
    "an operator that is not known": (
        [node("LRN", "before", "after", size=3)],
        {},
        r"no operator 'LRN' \(layer 'LRN'\); known: .*Conv.*",
    ),
    "bicubic": (
        [HALF, node("Resize", "half - scales", "after", mode="cubic")],
        scales(2),
        "'Resize' .*resizes by cubic",
    ),
    "nearest by a fraction": (
        [
            node("Conv", "before w", "x", kernel_shape=[3, 5]),
            node("Resize", "x - - sizes", "after", mode="nearest"),
        ],
        {"w": array(WIDTH, WIDTH, 3, 5), "sizes": np.array([1, WIDTH, 8, 12], np.int64)},
        "resizes by nearest, half_pixel",
    ),
    "an average that pads unevenly": (
        [node("AveragePool", "before", "after", kernel_shape=[2, 2], pads=[0, 0, 1, 1])],
        {},
        "pads unevenly and does not count the border",
    ),
    "rows split": (
        [
            helper.make_node("Split", ["before", "sizes"], ["x", "y"], "Split", axis=2),
            node("Concat", "x y", "after", axis=2),
        ],
        {"sizes": np.array([3, 5], np.int64)},
        "splits otherwise than channels",
    ),
    "limits that are computed": (
        [node("ReduceMax", "before", "x", keepdims=0), node("Clip", "before - x", "after")],
        {},
        "computes its input 'x'",
    ),
}


@pytest.mark.parametrize(("nodes", "arrays", "words"), REFUSED.values(), ids=REFUSED)
def test_an_operator_without_a_tflite_equivalent_is_refused_by_name(nodes, arrays, words):
    from targets._litert.replay import Replay

    graph = network_about(nodes, arrays)
    with pytest.raises(PosecError, match=words):
        Replay(graph)(torch.zeros(1, 3, *graph.spec.input_size))
