"""Bounds on memory and arithmetic of an untrusted ONNX model, from its inferred shapes, before it runs."""

from __future__ import annotations

import math

import onnx

from ..errors import PosecError
from ..passes.edit.edits import attribute
from ..passes.prepare.shapes import static_shape

# Numbers of all tensors together; they are not all alive at once.
MOST_NUMBERS = 2**30
# Numbers computed from constants: they are folded into the file.
MOST_CONSTANT = 2**26
# Multiplications and additions for one picture.
MOST_OPERATIONS = 2**40
_RANDOM = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
)
# Upper bounds on numbers read per number written: sorts, sums along an axis, interpolation.
_COSTLY = {"TopK": 64, "CumSum": 64, "LRN": 256, "Resize": 64, "Softmax": 16, "LogSoftmax": 16}


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
    """Return an estimate of the operations of a node, from the numbers that it writes and reads."""
    first = shapes.get(node.input[0], ()) if node.input else ()
    inputs = sum(math.prod(shapes.get(name, ())) for name in node.input if name)
    if node.op_type in ("Conv", "ConvTranspose") and len(node.input) > 1:
        weight = shapes.get(node.input[1], ())
        # A weight is applied at every position of the larger of input and output.
        places = max(size // max(weight[0], 1), math.prod(first[2:])) if weight else 0
        return math.prod(weight) * places
    if node.op_type in ("MatMul", "Gemm"):
        return size * (first[0 if attribute(node, "transA", 0) else -1] if first else 1)
    if node.op_type == "Einsum":
        return _einsum_operations(node, shapes)
    kernel = math.prod(attribute(node, "kernel_shape", [1]))
    return size * kernel + (size + inputs) * _COSTLY.get(node.op_type, 4)


def _einsum_operations(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Return the product of all sizes in the equation, the cost of nested loops."""
    sizes: dict[str, int] = {}
    for letters, name in zip(
        str(attribute(node, "equation", "")).split("->")[0].split(","), node.input, strict=False
    ):
        plain = letters.replace("...", "").replace(" ", "")
        sizes.update(zip(reversed(plain), reversed(shapes.get(name, ())), strict=False))
    return math.prod(sizes.values())
