"""Which scale and zero point every tensor gets: from ranges, from what the runtime insists on, from integers that are there."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ...errors import PosecError
from ...ir.graph import Graph
from ...ir.target import Scheme
from ..edit.graph_index import Links
from .qparams import Integers, activation_integers

Pair = tuple[float, float]
# Beyond these a Sigmoid is within half a step of 256 of 0 and 1, a Tanh within half a step of 128 of -1 and 1.
_SATURATED = {"Sigmoid": 6.24, "Tanh": 3.12}
# What a pass that folds the frame may put between the pixels and the first layer.
_PIXEL_ARITHMETIC = ("Cast", "Transpose", "Sub", "Add", "Mul", "Div")


def given_integers(tensor: str, found: Links) -> Integers | None:
    """Return scale and zero point of a tensor that a DequantizeLinear makes, else None."""
    node = found.producers.get(tensor)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    scale = found.array(node.input[1])
    return scale, found.array(node.input[2]) if len(node.input) > 2 else np.zeros(scale.shape, np.uint8)


def choose_integers(graph: Graph, tensors: Collection[str], operators: Sequence[onnx.NodeProto], ranges: Mapping[str, Pair],
                    scheme: Scheme, found: Links) -> dict[str, Integers]:  # fmt: skip
    """Return scale and zero point of every tensor; tensors that a same-scale operator joins share theirs.

    Raises PosecError where a tensor has no range, or the runtime insists on two scales for joined tensors.
    """
    groups: dict[str, frozenset[str]] = {tensor: frozenset([tensor]) for tensor in tensors}
    for node in operators:
        if node.op_type in scheme.same_scale:
            joined = [found.result(node), *(node.input[i] for i in found.data_inputs(node))]
            union: frozenset[str] = frozenset().union(
                *(groups.get(name, frozenset([name])) for name in joined)
            )
            groups.update(dict.fromkeys(union, union))
    chosen: dict[frozenset[str], Integers] = {}
    for group in dict.fromkeys(groups[name] for name in sorted(tensors)):
        chosen[group] = _demanded(group, scheme, found) or activation_integers(
            *_range(graph, group, ranges, found), scheme
        )
    return {tensor: chosen[groups[tensor]] for tensor in tensors}


def _demanded(group: frozenset[str], scheme: Scheme, found: Links) -> Integers | None:
    """Return the integers that are not ours to choose: the frame's own, or an output that the runtime fixes."""
    dtype = np.int8 if scheme.activations == "int8" else np.uint8
    demanded: dict[tuple[float, int], Integers] = {}
    for name in sorted(group):
        given = given_integers(name, found)
        operator = found.producers[name].op_type if name in found.producers else ""
        if operator in scheme.fixed_outputs:
            scale, zero_point = scheme.fixed_outputs[operator]
            given = np.asarray(scale, np.float32), np.asarray(zero_point, dtype)
        if given is not None:
            demanded[(float(given[0]), int(given[1]))] = given
    if len(demanded) > 1:
        raise PosecError(
            f"scheme '{scheme.name}' wants one scale for {', '.join(sorted(group))}, the runtime fixes {len(demanded)}; keep one of them float"
        )
    return next(iter(demanded.values()), None)


def _range(graph: Graph, group: frozenset[str], ranges: Mapping[str, Pair], found: Links) -> Pair:
    known = [ranges[name] for name in sorted(group) if name in ranges]
    known = known or [pair for name in sorted(group) if (pair := _pixel_range(graph, name, found))]
    if not known:
        raise PosecError(f"no range for tensor '{min(group)}'; calibrate again, on this graph")
    limit = _saturation(group, found)
    return max(min(low for low, _ in known), -limit), min(max(high for _, high in known), limit)


def _saturation(group: frozenset[str], found: Links) -> float:
    """Return how far from zero a number may be for those that read these tensors to tell it from a farther one."""
    kinds = {reader.op_type for name in group for reader in found.readers.get(name, [])}
    alone = (
        len(kinds) == 1 and found.outputs.isdisjoint(group) and all(found.readers.get(name) for name in group)
    )
    return _SATURATED.get(kinds.pop(), math.inf) if alone else math.inf


def _pixel_range(graph: Graph, tensor: str, found: Links) -> Pair | None:
    """Return the range of a tensor that is mere arithmetic on integer pixels, else None: no calibration frame has seen it."""
    nodes: list[onnx.NodeProto] = []
    name, frame = tensor, graph.model.graph.input[0]
    while name != frame.name:
        node = found.producers.get(name)
        if node is None or node.op_type not in _PIXEL_ARITHMETIC or len(found.data_inputs(node)) != 1:
            return None
        nodes.insert(0, node)
        name = node.input[found.data_inputs(node)[0]]
    if frame.type.tensor_type.elem_type not in (TensorProto.UINT8, TensorProto.INT8):
        return None
    dtype = helper.tensor_dtype_to_np_dtype(frame.type.tensor_type.elem_type)
    shape = [dim.dim_value for dim in frame.type.tensor_type.shape.dim]
    constants = [
        numpy_helper.from_array(found.array(name), name)
        for node in nodes
        for name in node.input
        if name in found.constants
    ]
    named = [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(nodes, "pixels", [frame], named, constants), opset_imports=graph.model.opset_import
    )
    extremes = [np.full(shape, limit, dtype) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max)]
    values = np.stack([ReferenceEvaluator(model).run(None, {frame.name: extreme})[0] for extreme in extremes])
    return float(values.min()), float(values.max())
