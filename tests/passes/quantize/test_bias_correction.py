from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import tiny_graph_of
from onnx import TensorProto, helper, numpy_helper
from schemes import UINT8, int8_heads, with_activations, with_weights

from calibration import collect
from toolkit.ir.graph import Graph, Stage
from toolkit.passes import prepare
from toolkit.passes.quantize.bias_correction import correct_biases
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.preprocess import to_batch

SCHEME = int8_heads(UINT8, operators=("Conv", "Add", "Resize"))
# Integer weights alone.
WEIGHTS_ONLY = with_activations(
    int8_heads(UINT8, operators=("Conv",), bias="float32"), quantize_results=False
)


def one_layer(group: int, bias: bool) -> Graph:
    random = np.random.default_rng(group)
    arrays = [numpy_helper.from_array(random.normal(size=(6, 6 // group, 3, 3)).astype(np.float32), "w")]
    arrays += [numpy_helper.from_array(random.normal(size=6).astype(np.float32), "b")] if bias else []
    node = helper.make_node("Conv", ["frame", *(a.name for a in arrays)], ["y"], "conv", group=group)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 6, size, size])
        for name, size in (("frame", 12), ("y", 10))
    ]
    model = helper.make_model(
        helper.make_graph([node], "one", values[:1], values[1:], arrays),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return Graph(model, tiny_graph_of().spec, FrameInput(), {}, stage=Stage.PREPARED)


def run(graph: Graph, frame: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {graph.input_name: frame})[0]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "none"])
@pytest.mark.parametrize("group", [1, 2, 6])
@pytest.mark.parametrize("per_channel", [True, False], ids=["channels", "tensor"])
def test_the_mean_of_a_quantized_layer_comes_back(group, bias, per_channel):
    scheme = with_weights(WEIGHTS_ONLY, per_channel=per_channel)
    # Constant channels: then the mean is all there is, and their scale leaves activations exact.
    frame = np.broadcast_to(np.arange(1, 7, dtype=np.float32).reshape(1, 6, 1, 1) * 17, (1, 6, 12, 12)).copy()
    wanted = run(one_layer(group, bias), frame)
    errors = []
    for correct in (False, True):
        graph = one_layer(group, bias)
        if correct:
            assert correct_biases(graph, {"frame": tuple(frame.mean((0, 2, 3)))}, scheme) == 1
        insert_qdq(graph, {"frame": (0.0, 255.0)}, scheme)
        errors.append(np.abs(run(graph, frame) - wanted).max())
    assert errors[0] > 0.1
    assert errors[1] < 1e-3


@pytest.mark.parametrize("part", [7, 13, 17, 29, 41])
def test_weights_that_are_whole_numbers_of_steps_need_no_correction(part):
    graph = one_layer(group=6, bias=False)
    graph.model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((6, 1, 3, 3), 1 / part, np.float32), "w")
    )
    assert correct_biases(graph, {"frame": (0.3, 1.7, -20.0, 0.0, 0.1, 5.0)}, WEIGHTS_ONLY) == 0


def test_means_of_channels_come_back_in_a_network(people_pictures):
    graph = prepare(tiny_graph_of())
    ranges = collect(graph, people_pictures)
    layers = [node for node in graph.model.graph.node if node.op_type == "Conv"]
    assert set(ranges.means) == {node.input[0] for node in layers}
    coarse = replace(UINT8, operators=("Conv",))
    coarse = with_weights(with_activations(coarse, quantize_results=False), per_channel=False)
    errors: dict[bool, float] = {False: 0.0, True: 0.0}
    for layer in layers[: -len(graph.spec.heads)]:
        others = [node.name for node in layers if node is not layer]
        wanted = channel_means(graph, layer.output[0], people_pictures)
        for correct in errors:
            integer = graph.copy()
            if correct:
                assert correct_biases(integer, ranges.means, coarse, keep_float=others) == 1
            insert_qdq(integer, ranges.tensors, coarse, keep_float=others)
            errors[correct] += float(
                np.abs(channel_means(integer, layer.output[0], people_pictures) - wanted).mean()
            )
    assert errors[True] < 0.7 * errors[False]


def channel_means(graph: Graph, tensor: str, pictures: list[np.ndarray]) -> np.ndarray:
    model = onnx.ModelProto.FromString(graph.model.SerializeToString())
    model.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    batches = [to_batch(picture, graph.spec, graph.frame)[0] for picture in pictures]
    return np.mean(
        [session.run([tensor], {graph.input_name: batch})[0].mean((0, 2, 3)) for batch in batches], 0
    )


def test_a_shared_bias_moves_for_the_quantized_layer_alone():
    graph = one_layer(1, True)
    second = graph.model.graph.node.add()
    second.CopyFrom(graph.model.graph.node[0])
    second.name, second.output[0] = "other", "z"
    graph.model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 6, 10, 10]))
    assert correct_biases(graph, {"frame": (1.0,) * 6}, SCHEME, keep_float=["other"]) == 1
    assert [node.input[2] for node in graph.model.graph.node] == ["y.corrected_bias", "b"]


def test_layers_without_means_stay_as_they_are():
    graph = one_layer(1, True)
    assert correct_biases(graph, {}, SCHEME) == 0
    assert graph.model == one_layer(1, True).model
