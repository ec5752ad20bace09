"""Bounds on memory and arithmetic of an untrusted ONNX model, from its inferred shapes, before it runs."""

from __future__ import annotations

import math

import onnx
from onnx import helper

from ..errors import PosecError
from ..passes.prepare.shapes import static_shape
from ..runtime.model_files.bounds import MOST_CONSTANT, MOST_NUMBERS, MOST_OPERATIONS
from ..runtime.model_files.graph import Node
from ..runtime.model_files.operations import operations_of

_RANDOM = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
)


def check_sizes(graph: onnx.GraphProto, most_elements: int) -> None:
    """Raise PosecError where a tensor has no fixed shape, or one of them or their sum is too large.

    Args:
        graph: of `passes.prepare.shapes.infer`.
        most_elements: largest number of elements of one tensor.
    """
    shapes = _shapes(graph)
    constants = {tensor.name for tensor in graph.initializer}
    numbers = constant_numbers = operations = 0
    for node in graph.node:
        if node.op_type in _RANDOM:
            raise PosecError(
                f"operator {node.op_type} ({node.name}) is random; export a deterministic network"
            )
        size = sum(_size(name, shapes, node, most=most_elements) for name in node.output if name)
        numbers += size
        if all(name in constants for name in node.input if name):
            constants.update(node.output)
            constant_numbers += size
        operations += _operations(node, size, shapes)
    if numbers > MOST_NUMBERS or constant_numbers > MOST_CONSTANT:
        raise PosecError(
            f"the tensors have {numbers:.1e} numbers, {constant_numbers:.1e} of them computed from "
            f"constants; posec reads up to {MOST_NUMBERS:.1e} and {MOST_CONSTANT:.1e}; "
            "export a smaller network"
        )
    if operations > MOST_OPERATIONS:
        raise PosecError(
            f"one picture takes {operations:.1e} operations, posec reads up to {MOST_OPERATIONS:.1e}; "
            "export a smaller network"
        )


def _shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        if (shape := static_shape(value)) is not None:
            shapes[value.name] = shape
    return shapes


def _size(name: str, shapes: dict[str, tuple[int, ...]], node: onnx.NodeProto, *, most: int) -> int:
    if name not in shapes:
        raise PosecError(
            f"tensor '{name}' of {node.op_type} ({node.name}) has no fixed shape; export with static shapes"
        )
    size = math.prod(shapes[name])
    if size == 0:
        raise PosecError(
            f"tensor '{name}' of {node.op_type} ({node.name}) is empty; export the network without it"
        )
    if size > most:
        raise PosecError(
            f"tensor '{name}' has shape {shapes[name]}, more than {most} numbers; export a smaller network"
        )
    return size


def _operations(node: onnx.NodeProto, size: int, shapes: dict[str, tuple[int, ...]]) -> int:
    attributes = {given.name: helper.get_attribute_value(given) for given in node.attribute}
    if isinstance(equation := attributes.get("equation"), bytes):
        attributes["equation"] = equation.decode("utf-8", "replace")
    plain = Node(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes)
    return operations_of(plain, size, [shapes.get(name, ()) for name in node.input])
