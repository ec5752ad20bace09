"""An If on a constant condition is replaced by its branch; any other control flow is refused."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolkit.errors import PosecError
from toolkit.frontend import onnx_file
from toolkit.frontend.onnx_file import settle


def branch(operator: str, result: str, inner: list[onnx.NodeProto] | None = None) -> onnx.GraphProto:
    """Return a branch without inputs that applies an operator to `x` of the outer graph."""
    nodes = inner or [helper.make_node(operator, ["x"], [result])]
    return helper.make_graph(
        nodes, operator or "inner", [], [helper.make_tensor_value_info(result, TensorProto.FLOAT, [1, 4])]
    )


def conditional(
    condition: list[onnx.NodeProto], then: onnx.GraphProto, other: onnx.GraphProto
) -> onnx.ModelProto:
    """Return a model of an If on the tensor `c` that `condition` computes."""
    nodes = [
        *condition,
        helper.make_node("If", ["c"], ["y"], "choice", then_branch=then, else_branch=other),
        helper.make_node("Add", ["y", "x"], ["z"]),
    ]
    frame = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4])
    constants = [
        numpy_helper.from_array(np.asarray(4), "four"),
        numpy_helper.from_array(np.asarray(1), "one"),
    ]
    graph = helper.make_graph(nodes, "conditional", [frame], [result], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def on_width(expected: str) -> list[onnx.NodeProto]:
    """Return nodes that compare the width of `x` with a constant, as of torch's older exporter."""
    return [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["width"]),
        helper.make_node("Equal", ["width", expected], ["c"]),
    ]


def run(model: onnx.ModelProto) -> np.ndarray:
    values = np.asarray([[-1.0, 0.5, 2.0, -3.0]], np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": values})[0]


@pytest.mark.parametrize(("expected", "taken"), [("four", "Abs"), ("one", "Neg")])
def test_the_branch_taken_replaces_an_if_on_a_static_size(expected, taken):
    model = conditional(on_width(expected), branch("Abs", "a"), branch("Neg", "b"))
    before = run(model)
    settled = settle(model)
    assert [node.op_type for node in settled.graph.node] == [taken, "Identity", "Add"]
    np.testing.assert_array_equal(run(settled), before)


def test_a_branch_inside_a_branch_is_replaced():
    inner = helper.make_node(
        "If", ["c"], ["a"], "inner", then_branch=branch("Abs", "p"), else_branch=branch("Neg", "q")
    )
    model = conditional(on_width("four"), branch("", "a", [inner]), branch("Neg", "b"))
    before = run(model)
    settled = settle(model)
    assert "If" not in {node.op_type for node in settled.graph.node}
    np.testing.assert_array_equal(run(settled), before)


def test_an_if_on_the_picture_is_refused():
    condition = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["c"], to=TensorProto.BOOL),
    ]
    with pytest.raises(PosecError, match=r"operator If \(choice\) is control flow"):
        settle(conditional(condition, branch("Abs", "a"), branch("Neg", "b")))


def test_a_loop_inside_a_branch_is_refused():
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["more"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("more", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["four", "c"], [], "endless", body=body)
    inside = branch("", "a", [loop, helper.make_node("Abs", ["x"], ["a"])])
    with pytest.raises(PosecError, match=r"operator Loop \(endless\) is control flow"):
        settle(conditional(on_width("four"), inside, branch("Neg", "b")))


def test_external_weights_inside_a_branch_are_refused():
    then = branch("", "a", [helper.make_node("Add", ["x", "w"], ["a"])])
    weight = then.initializer.add()
    weight.CopyFrom(numpy_helper.from_array(np.ones((1, 4), np.float32), "w"))
    weight.data_location = TensorProto.EXTERNAL
    with pytest.raises(PosecError, match="values of 'w' are in another file"):
        settle(conditional(on_width("four"), then, branch("Neg", "b")))


def test_nodes_inside_branches_count_against_the_limit(monkeypatch):
    monkeypatch.setattr(onnx_file, "MOST_NODES", 6)
    with pytest.raises(PosecError, match="7 nodes, posec reads up to 6"):
        settle(conditional(on_width("four"), branch("Abs", "a"), branch("Neg", "b")))
