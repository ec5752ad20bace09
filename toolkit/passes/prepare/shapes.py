"""Shapes and element types of a model's tensors, as ONNX infers them."""

from __future__ import annotations

import onnx


def infer(model: onnx.ModelProto, *, strict: bool = False) -> onnx.GraphProto:
    """Return the graph with inferred types and shapes, whatever the file states for inner tensors.

    With `strict`, raises the errors of `onnx.shape_inference`.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(
        bare, check_type=strict, strict_mode=strict, data_prop=True
    ).graph


def static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return tensor name → shape, of all tensors with static shapes, constants included."""
    inferred = infer(model)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        if (shape := static_shape(value)) is not None:
            shapes[value.name] = shape
    return shapes


def static_shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """Return a tensor's shape, or None where it is not static."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return None
    if not all(dimension.HasField("dim_value") for dimension in kind.shape.dim):
        return None
    return tuple(dimension.dim_value for dimension in kind.shape.dim)


def element_types(graph: onnx.GraphProto) -> dict[str, int]:
    """Return tensor name → element type, of an inferred graph; constants included."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.output, *graph.value_info)
    } | types
