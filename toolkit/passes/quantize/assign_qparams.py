"""Assign scale and zero point to every tensor, from ranges, the runtime's prescriptions and existing Q/DQ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ...errors import PosecError
from ...ir.graph import Graph
from ...ir.scheme import Scheme
from ..edit.graph_index import GraphIndex, index_graph
from .qparams import QParams, activation_qparams

Pair = tuple[float, float]
# Beyond these inputs a Sigmoid is within 1/512 of 0 or 1, and a Tanh within 1/256 of -1 or 1.
_SATURATED = {"Sigmoid": 6.24, "Tanh": 3.12}
# Operators that preprocessing may put between the pixels and the first layer.
_PIXEL_ARITHMETIC = ("Cast", "Transpose", "Sub", "Add", "Mul", "Div")


def given_qparams(tensor: str, graph_index: GraphIndex) -> QParams | None:
    """Return scale and zero point of a tensor that a DequantizeLinear makes, else None."""
    node = graph_index.producers.get(tensor)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    scale = graph_index.array(node.input[1])
    if len(node.input) > 2:
        return QParams(scale, graph_index.array(node.input[2]))
    return QParams(scale, np.zeros(scale.shape, np.uint8))


def assign_qparams(
    graph: Graph,
    tensors: Collection[str],
    operators: Sequence[onnx.NodeProto],
    *,
    ranges: Mapping[str, Pair],
    scheme: Scheme,
) -> dict[str, QParams]:
    """Return scale and zero point of every tensor; tensors of one same-scale operator share theirs.

    Args:
        graph: float, before Q/DQ.
        tensors: names, to be quantized.
        operators: nodes that compute in integers.
        ranges: tensor name → (low, high).
        scheme: of the back end.

    Raises PosecError for a missing range, or two prescribed scales for tensors that share one.
    """
    graph_index = index_graph(graph.model)
    groups: dict[str, frozenset[str]] = {tensor: frozenset([tensor]) for tensor in tensors}
    for node in operators:
        if node.op_type in scheme.activations.same_scale:
            joined = [graph_index.result(node), *(node.input[i] for i in graph_index.data_inputs(node))]
            union: frozenset[str] = frozenset().union(
                *(groups.get(name, frozenset([name])) for name in joined)
            )
            groups.update(dict.fromkeys(union, union))
    assigned: dict[frozenset[str], QParams] = {}
    for group in dict.fromkeys(groups[name] for name in sorted(tensors)):
        prescribed = _prescribed(group, scheme, graph_index)
        assigned[group] = prescribed or activation_qparams(
            *_range(graph, group, ranges=ranges, graph_index=graph_index), scheme.activations
        )
    return {tensor: assigned[groups[tensor]] for tensor in tensors}


def _prescribed(group: frozenset[str], scheme: Scheme, graph_index: GraphIndex) -> QParams | None:
    """Return prescribed qparams: of the frame, or of an operator with a result fixed by the runtime."""
    dtype = np.int8 if scheme.activations.dtype == "int8" else np.uint8
    prescribed: dict[tuple[float, int], QParams] = {}
    for name in sorted(group):
        given = given_qparams(name, graph_index)
        kind = graph_index.producers[name].op_type if name in graph_index.producers else ""
        if kind in scheme.activations.fixed:
            scale, zero_point = scheme.activations.fixed[kind]
            given = QParams(np.asarray(scale, np.float32), np.asarray(zero_point, dtype))
        if given is not None:
            prescribed[(float(given.scale), int(given.zero_point))] = given
    if len(prescribed) > 1:
        raise PosecError(
            f"scheme '{scheme.name}' needs one scale for {', '.join(sorted(group))}, "
            f"the runtime fixes {len(prescribed)}; keep one of them float"
        )
    return next(iter(prescribed.values()), None)


def _range(
    graph: Graph, group: frozenset[str], *, ranges: Mapping[str, Pair], graph_index: GraphIndex
) -> Pair:
    known = [ranges[name] for name in sorted(group) if name in ranges]
    known = known or [pair for name in sorted(group) if (pair := _pixel_range(graph, name, graph_index))]
    if not known:
        raise PosecError(f"no range for tensor '{min(group)}'; calibrate again, on this graph")
    limit = _saturation(group, graph_index)
    return max(min(low for low, _ in known), -limit), min(max(high for _, high in known), limit)


def _saturation(group: frozenset[str], graph_index: GraphIndex) -> float:
    """Return the magnitude beyond which the readers of these tensors give the same result."""
    kinds = {reader.op_type for name in group for reader in graph_index.readers.get(name, [])}
    alone = (
        len(kinds) == 1
        and graph_index.outputs.isdisjoint(group)
        and all(graph_index.readers.get(name) for name in group)
    )
    return _SATURATED.get(kinds.pop(), math.inf) if alone else math.inf


def _pixel_range(graph: Graph, tensor: str, graph_index: GraphIndex) -> Pair | None:
    """Return the range of a tensor that preprocessing computes from integer pixels, else None."""
    nodes: list[onnx.NodeProto] = []
    name, frame = tensor, graph.model.graph.input[0]
    while name != frame.name:
        node = graph_index.producers.get(name)
        if node is None or node.op_type not in _PIXEL_ARITHMETIC or len(graph_index.data_inputs(node)) != 1:
            return None
        nodes.insert(0, node)
        name = node.input[graph_index.data_inputs(node)[0]]
    if frame.type.tensor_type.elem_type not in (TensorProto.UINT8, TensorProto.INT8):
        return None
    dtype = helper.tensor_dtype_to_np_dtype(frame.type.tensor_type.elem_type)
    shape = [dim.dim_value for dim in frame.type.tensor_type.shape.dim]
    constants = [
        numpy_helper.from_array(graph_index.array(name), name)
        for node in nodes
        for name in node.input
        if name in graph_index.constants
    ]
    named = [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(nodes, "pixels", [frame], named, constants), opset_imports=graph.model.opset_import
    )
    extremes = [np.full(shape, limit, dtype) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max)]
    values = np.stack([ReferenceEvaluator(model).run(None, {frame.name: extreme})[0] for extreme in extremes])
    return float(values.min()), float(values.max())
