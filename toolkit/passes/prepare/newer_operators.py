"""Operators of later opsets, expressed by those of opset 13."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from ...errors import PosecError
from ..edit.edits import attribute, numbered
from .shapes import infer, static_shape

Rewrite = Callable[[onnx.NodeProto, "Tensors"], "list[onnx.NodeProto] | None"]


@dataclass
class Tensors:
    """Shapes, types and constants of the model that is being rewritten, and the constants that rewrites add."""

    values: dict[str, onnx.ValueInfoProto]
    constants: dict[str, np.ndarray]
    taken: set[str]
    added: list[onnx.TensorProto] = field(default_factory=list)

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Tensors:
        """Return those of a model."""
        graph = infer(model)
        values = {value.name: value for value in (*graph.input, *graph.output, *graph.value_info)}
        for tensor in model.graph.initializer:
            values[tensor.name] = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        return cls(values, constants, taken | set(values))

    def note(self, node: onnx.NodeProto) -> None:
        """Learn the value of a Constant node."""
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def shape(self, name: str, node: onnx.NodeProto) -> tuple[int, ...]:
        """Return a tensor's shape. Raises PosecError where it is not known."""
        shape = static_shape(self.values[name]) if name in self.values else None
        if shape is None:
            raise PosecError(
                f"{node.op_type} ({node.name}) reads '{name}', whose shape is not fixed; export with static shapes"
            )
        return shape

    def constant(self, node: onnx.NodeProto, position: int) -> np.ndarray | None:
        """Return the value of an input, None where it is left out. Raises PosecError where it is computed."""
        name = node.input[position] if position < len(node.input) else ""
        if name and name not in self.constants:
            raise PosecError(
                f"{node.op_type} ({node.name}) computes its input '{name}'; posec reads it as a constant; export it so"
            )
        return self.constants[name] if name else None

    def name(self, wanted: str) -> str:
        """Return a new tensor name."""
        self.taken.add(fresh := numbered(wanted, self.taken))
        return fresh

    def add(self, wanted: str, values: np.ndarray) -> str:
        """Add a constant; return its name."""
        self.added.append(numpy_helper.from_array(np.asarray(values), name := self.name(wanted)))
        self.constants[name] = np.asarray(values)
        return name


def expand(node: onnx.NodeProto, opset: int, tensors: Tensors) -> tuple[list[onnx.NodeProto], int] | None:
    """Return the nodes that ONNX defines an operator by, and their opset; None where it defines none."""
    schema = defs.get_schema(node.op_type, opset) if defs.has(node.op_type, opset) else None
    if schema is None:
        return None
    body = onnx.FunctionProto()
    if schema.context_dependent_function_opset_versions:
        version = min(schema.context_dependent_function_opset_versions)
        types = [
            tensors.values[name].type.SerializeToString() if name in tensors.values else b""
            for name in node.input
        ]
        if any(name and not kind for name, kind in zip(node.input, types, strict=True)):
            return None
        body.ParseFromString(
            schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        )
    elif schema.function_opset_versions:
        version = min(schema.function_opset_versions)
        body.ParseFromString(schema.get_function_with_opset_version(version))
    if not body.node:
        return None
    version = next((entry.version for entry in body.opset_import if entry.domain == ""), version)
    return _instance(body, node, schema, tensors), version


def _instance(
    body: onnx.FunctionProto, node: onnx.NodeProto, schema: Any, tensors: Tensors
) -> list[onnx.NodeProto]:
    """Return a function's nodes with a node's inputs, outputs and attributes in place of its parameters."""
    names = dict(zip(body.input, [*node.input, *[""] * (len(body.input) - len(node.input))], strict=True))
    names |= dict(zip(body.output, node.output, strict=False))
    given = {stated.name: stated for stated in node.attribute}
    defaults = {name: entry.default_value for name, entry in schema.attributes.items()}
    made = []
    for inner in body.node:
        part = onnx.NodeProto()
        part.CopyFrom(inner)
        part.name = f"{node.name or node.output[0]}/{inner.op_type}"
        for names_of in (part.input, part.output):
            for position, name in enumerate(names_of):
                if name and name not in names:
                    names[name] = tensors.name(f"{node.output[0]}/{name}")
                names_of[position] = names.get(name, "")
        del part.attribute[:]
        for stated in inner.attribute:
            value = (
                given.get(stated.ref_attr_name, defaults.get(stated.ref_attr_name))
                if stated.ref_attr_name
                else stated
            )
            if value is None or value.type == onnx.AttributeProto.UNDEFINED:
                continue
            part.attribute.add().CopyFrom(value)
            part.attribute[-1].name = stated.name
        made.append(part)
    return made


# Over both axes of maps; integer kernels know pools.
_GLOBAL_POOLS = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}


def _reduce(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    axes, noop, keep = (
        attribute(node, "axes", None),
        bool(attribute(node, "noop_with_empty_axes", 0)),
        attribute(node, "keepdims", 1),
    )
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
            f"Split ({node.name}) makes {parts} parts of {size}; export the network with parts that it has"
        )
    return [
        helper.make_node(
            "Split",
            [node.input[0], tensors.add(f"{node.output[0]}/sizes", sizes)],
            node.output,
            node.name,
            axis=axis,
        )
    ]


def _reshape(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    if not attribute(node, "allowzero", 0):
        return None
    sizes = tensors.constant(node, 1)
    if sizes is None or not sizes.all():
        raise PosecError(f"Reshape ({node.name}) makes an empty tensor; export the network without it")
    return [helper.make_node("Reshape", node.input, node.output, node.name)]


def _pad(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    axes, pads, mode = (
        tensors.constant(node, 3),
        tensors.constant(node, 1),
        attribute(node, "mode", "constant"),
    )
    if pads is None or (axes is None and mode != "wrap"):
        return None
    rank = len(tensors.shape(node.input[0], node))
    begins, ends = np.zeros(rank, np.int64), np.zeros(rank, np.int64)
    axes = np.arange(rank) if axes is None else axes
    begins[axes], ends[axes] = pads[: len(axes)], pads[len(axes) :]
    if mode == "wrap":
        return _wrap(node, begins, ends, tensors)
    sides = tensors.add(f"{node.output[0]}/pads", np.concatenate([begins, ends]))
    inputs = [node.input[0], sides, *([node.input[2]] if len(node.input) > 2 and node.input[2] else [])]
    return [helper.make_node("Pad", inputs, node.output, node.name, mode=mode)]


def _wrap(
    node: onnx.NodeProto, begins: np.ndarray, ends: np.ndarray, tensors: Tensors
) -> list[onnx.NodeProto]:
    """Pad by the opposite border: slices and a Concat for each axis."""
    made: list[onnx.NodeProto] = []
    source, shape = node.input[0], tensors.shape(node.input[0], node)
    for axis in np.flatnonzero((begins != 0) | (ends != 0)):
        if min(begins[axis], ends[axis]) < 0 or max(begins[axis], ends[axis]) > shape[axis]:
            raise PosecError(
                f"Pad ({node.name}) wraps around more than once, or crops; export the network without it"
            )
        before = _border(node, source, int(axis), (shape[axis] - begins[axis], shape[axis]), tensors)
        after = _border(node, source, int(axis), (0, ends[axis]), tensors)
        made += [*before, *after]
        parts = [*(border.output[0] for border in before), source, *(border.output[0] for border in after)]
        source = tensors.name(f"{node.output[0]}/wrapped")
        made.append(helper.make_node("Concat", parts, [source], source, axis=int(axis)))
    return [*made, helper.make_node("Identity", [source], node.output, node.name)]


def _border(
    node: onnx.NodeProto, source: str, axis: int, bounds: tuple[int, int], tensors: Tensors
) -> list[onnx.NodeProto]:
    """Return the Slice that takes a part of one axis; none where the part is empty."""
    if bounds[0] == bounds[1]:
        return []
    names = [
        tensors.add(f"{node.output[0]}/bound", np.asarray([bound], np.int64)) for bound in (*bounds, axis)
    ]
    border = tensors.name(f"{node.output[0]}/border")
    return [helper.make_node("Slice", [source, *names], [border], border)]


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
    names = [tensors.add(f"{node.output[0]}/mask", cut(mask, 0 if offset is None else int(offset))),
             tensors.add(f"{node.output[0]}/zero", np.zeros((), np.float32))]  # fmt: skip
    return [helper.make_node("Where", [names[0], node.input[0], names[1]], node.output, node.name)]


def _cast_like(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    like = tensors.values.get(node.input[1])
    kind = like.type.tensor_type.elem_type if like is not None else onnx.TensorProto.FLOAT
    return [helper.make_node("Cast", node.input[:1], node.output, node.name, to=kind)]


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
REWRITES: Mapping[str, Rewrite] = {
    **{f"Reduce{kind}": _reduce for kind in _REDUCTIONS},
    "Split": _split,
    "Reshape": _reshape,
    "Pad": _pad,
    "Resize": _resize,
    "LayerNormalization": _layer_norm,
    "Trilu": _triangle,
    "CastLike": _cast_like,
}
"""Operator → its rewrite, which returns None for a node that opset 13 takes as it is."""


def _all_ones(values: Sequence[int]) -> bool:
    return set(values) == {1}


NEUTRAL: Mapping[tuple[str, str], Callable[[Any], bool]] = {
    ("AveragePool", "dilations"): _all_ones,
    ("LpPool", "dilations"): _all_ones,
}
"""(operator, attribute) → whether a value of it changes nothing, where ONNX states no default."""
