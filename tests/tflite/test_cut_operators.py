"""Files of one operator: together they compute what the whole file computes, and graphs list the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from networks import tiny_graph_of
from small_networks import WIDTH, network_about, node
from tflite_files import PI5, file_operators, qdq_graph

from toolkit.compiler.checks import lower_nominal
from toolkit.cost.graph_operators import graph_operators
from toolkit.ir.target import Job
from toolkit.passes import prepare

pytest.importorskip("litert_torch")


def computed(content, given):
    """Return tensor name → values of the outputs of a file; `given` has the inputs by name."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], given[tensor["name"]])
    interpreter.invoke()
    return {
        tensor["name"]: interpreter.get_tensor(tensor["index"]) for tensor in interpreter.get_output_details()
    }


def frame_of(content):
    from ai_edge_litert.interpreter import Interpreter

    (frame,) = Interpreter(model_content=content).get_input_details()
    values = np.random.default_rng(0).integers(-100, 100, frame["shape"])
    return {frame["name"]: values.astype(frame["dtype"])}


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_operators_in_order_compute_what_the_file_computes(bundles, precision):
    from targets._litert.cut_operators import cut_operators

    content = bundles[precision].model_path.read_bytes()
    whole, maps = computed(content, frame_of(content)), frame_of(content)
    for _, alone in cut_operators(content):
        maps.update(computed(alone, maps))
    assert len(whole) == 5
    for name, values in whole.items():
        np.testing.assert_allclose(maps[name], values, atol=1e-6)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_lowered_graph_has_the_operators_of_its_file(bundles, precision):
    from targets._litert.cut_operators import list_operators

    lowered = lower_nominal(prepare(tiny_graph_of()), Job(PI5, precision))
    listed = list_operators(bundles[precision].model_path.read_bytes())
    assert Counter(graph_operators(lowered)) == Counter(listed)


def test_a_convolution_pads_by_itself_and_computes_the_same():
    from targets._litert.convert import convert
    from targets._litert.join_transposes import join_transposes
    from targets._litert.same_padding import fold_padding

    random = np.random.default_rng(0)
    shapes = {"w": (WIDTH, WIDTH, 3, 3), "d": (WIDTH, 1, 3, 3), "t": (WIDTH, WIDTH, 4, 4)}
    arrays = {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        node("Conv", "before w", "x", strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Conv", "x d", "y", group=WIDTH, strides=[2, 2], pads=[1, 1, 0, 0]),
        node("ConvTranspose", "y t", "after", strides=[4, 4]),
    ]
    for number, each in enumerate(nodes):
        each.name += str(number)
    padded = join_transposes(convert(qdq_graph(network_about(nodes, arrays))[0], True))
    folded = fold_padding(padded)
    kinds = [[name for name, *_ in file_operators(content)] for content in (padded, folded)]
    # The second convolution pads above and on the left, as SAME never does.
    assert [found.count("PAD") for found in kinds] == [2, 1]
    before, after = (computed(content, frame_of(padded)) for content in (padded, folded))
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
