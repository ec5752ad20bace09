"""Rewrites of operators of later opsets, by operators of opset 13."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...errors import PosecError
from ..edit.edits import attribute
from .pads import rewrite_pad
from .tensors import Tensors

Rewrite = Callable[[onnx.NodeProto, Tensors], "list[onnx.NodeProto] | None"]

# Reductions over both axes of maps, for which integer kernels exist as pools.
_GLOBAL_POOLS = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}


def _reduce(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    axes, keep = attribute(node, "axes", None), attribute(node, "keepdims", 1)
    noop = bool(attribute(node, "noop_with_empty_axes", 0))
    if axes is None and (given := tensors.constant(node, 1)) is not None:
        axes = [int(axis) for axis in given]
    if noop and not axes:
        return [helper.make_node("Identity", node.input[:1], node.output, node.name)]
    rank = len(tensors.shape(node.input[0], node)) if axes else 0
    if (
        keep
        and rank == 4
        and sorted(axis % rank for axis in axes or ()) == [2, 3]
        and node.op_type in _GLOBAL_POOLS
    ):
        return [helper.make_node(_GLOBAL_POOLS[node.op_type], node.input[:1], node.output, node.name)]
    options = {"keepdims": keep} | ({"axes": axes} if axes else {})
    rewritten = helper.make_node(node.op_type, node.input[:1], node.output, node.name, **options)
    return None if len(node.input) == 1 and not noop else [rewritten]


def _split(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    if tensors.constant(node, 1) is not None:
        return None
    axis, parts = attribute(node, "axis", 0), len(node.output)
    size = tensors.shape(node.input[0], node)[axis]
    each = -(-size // parts)
    sizes = np.asarray([min(each, size - each * part) for part in range(parts)], np.int64)
    if (sizes < 0).any():
        raise PosecError(
            f"Split ({node.name}) makes {parts} parts of {size}; export the network with fewer parts"
        )
    inputs = [node.input[0], tensors.add(f"{node.output[0]}/sizes", sizes)]
    return [helper.make_node("Split", inputs, node.output, node.name, axis=axis)]


def _reshape(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    if not attribute(node, "allowzero", 0):
        return None
    sizes = tensors.constant(node, 1)
    if sizes is None or not sizes.all():
        raise PosecError(f"Reshape ({node.name}) makes an empty tensor; export the network without it")
    return [helper.make_node("Reshape", node.input, node.output, node.name)]


def _resize(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    axes = attribute(node, "axes", None)
    if axes is None:
        return None
    shape, inputs = tensors.shape(node.input[0], node), [*node.input, *[""] * (4 - len(node.input))]
    scales, sizes = tensors.constant(node, 2), tensors.constant(node, 3)
    if scales is not None and scales.size:
        every = np.ones(len(shape), np.float32)
        every[axes] = scales
        inputs[2] = tensors.add(f"{node.output[0]}/scales", every)
    elif sizes is not None:
        all_sizes = np.asarray(shape, np.int64)
        all_sizes[axes] = sizes
        inputs[3] = tensors.add(f"{node.output[0]}/sizes", all_sizes)
    inputs[1] = ""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    del made.input[:]
    made.input.extend(inputs if inputs[3] else inputs[:3])
    made.attribute.remove(next(stated for stated in made.attribute if stated.name == "axes"))
    return [made]


def _layer_norm(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + shift over the axes from `axis` on."""
    rank = len(tensors.shape(node.input[0], node))
    if len([name for name in node.output if name]) > 1:
        return None
    axes = list(range(attribute(node, "axis", -1) % rank, rank))
    epsilon = tensors.add(
        f"{node.output[0]}/epsilon", np.asarray(attribute(node, "epsilon", 1e-5), np.float32)
    )
    made: list[onnx.NodeProto] = []

    def add(operator: str, *inputs: str, **options: object) -> str:
        name = tensors.name(f"{node.output[0]}/{operator}")
        made.append(helper.make_node(operator, inputs, [name], name, **options))
        return name

    centred = add("Sub", node.input[0], add("ReduceMean", node.input[0], axes=axes, keepdims=1))
    variance = add("ReduceMean", add("Mul", centred, centred), axes=axes, keepdims=1)
    last = add("Div", centred, add("Sqrt", add("Add", variance, epsilon)))
    last = add("Mul", last, node.input[1])
    if len(node.input) > 2 and node.input[2]:
        last = add("Add", last, node.input[2])
    made[-1].output[0] = node.output[0]
    made[-1].name = node.name
    return made


def _triangle(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    shape, offset = tensors.shape(node.input[0], node), tensors.constant(node, 1)
    mask = np.ones(shape[-2:], bool)
    cut = np.triu if attribute(node, "upper", 1) else np.tril
    kept = tensors.add(f"{node.output[0]}/mask", cut(mask, 0 if offset is None else int(offset)))
    zero = tensors.add(f"{node.output[0]}/zero", np.zeros((), np.float32))
    return [helper.make_node("Where", [kept, node.input[0], zero], node.output, node.name)]


def _cast_like(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    like = tensors.values.get(node.input[1])
    kind = like.type.tensor_type.elem_type if like is not None else onnx.TensorProto.FLOAT
    return [helper.make_node("Cast", node.input[:1], node.output, node.name, to=kind)]


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
REWRITES: Mapping[str, Rewrite] = {
    **{f"Reduce{kind}": _reduce for kind in _REDUCTIONS},
    "Split": _split,
    "Reshape": _reshape,
    "Pad": rewrite_pad,
    "Resize": _resize,
    "LayerNormalization": _layer_norm,
    "Trilu": _triangle,
    "CastLike": _cast_like,
}
"""Operator → its rewrite; None means that the node is valid in opset 13."""


def _all_ones(values: Sequence[int]) -> bool:
    return set(values) == {1}


NEUTRAL: Mapping[tuple[str, str], Callable[[Any], bool]] = {
    ("AveragePool", "dilations"): _all_ones,
    ("LpPool", "dilations"): _all_ones,
}
"""(operator, attribute) → whether a value has no effect, for attributes without a default in ONNX."""
