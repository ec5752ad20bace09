"""Read an untrusted ONNX file: external data is refused, nothing in it runs, and its sizes are bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from ..errors import PosecError
from ..passes.prepare.float32 import widen_floats
from ..passes.prepare.fold_branches import fold_branches
from ..passes.prepare.shapes import infer, static_shape
from ..runtime.files.plain_files import read_plain
from .onnx_bounds import check_sizes

LARGEST_BYTES = 512 * 2**20
MOST_NODES = 20_000
# Numbers in one tensor: a batch of 4096 x 4096 pixels in 16 channels.
MOST_ELEMENTS = 2**28
_DEFAULT_DOMAINS = ("", "ai.onnx")
# Exceptions of protobuf and numpy for bytes that are no model.
_UNREADABLE = (
    DecodeError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    RecursionError,
)


def read_onnx(path: Path) -> onnx.ModelProto:
    """Return the model of a file in float32, with complete constants and static shapes.

    Raises PosecError where the file is too large or not ONNX, has external weights, custom operators or
    control flow, or a tensor that is huge or has no fixed shape.
    """
    model = load_onnx(path)
    try:
        return settle(model)
    except PosecError as error:
        raise PosecError(f"'{path}': {error}") from error


def load_onnx(path: Path) -> onnx.ModelProto:
    """Return the model of a file unchanged. Raises PosecError where it is missing, too large or not ONNX."""
    content = read_plain(
        path, most_bytes=LARGEST_BYTES, error=PosecError, advice="give the path of an ONNX file"
    )
    try:
        model = onnx.load_model_from_string(content)
    except _UNREADABLE as error:
        raise PosecError(f"'{path}' is not an ONNX model; export the network again") from error
    if not model.graph.node or not model.graph.output:
        raise PosecError(
            f"'{path}' is not an ONNX model: it has no nodes or no outputs; export the network again"
        )
    return model


def settle(model: onnx.ModelProto) -> onnx.ModelProto:
    """Check an untrusted model; return it with folded shapes, float32 floats and static output shapes.

    Works in place.

    Raises PosecError as `read_onnx` does.
    """
    try:
        return _settled(model)
    except PosecError:
        raise
    except _UNREADABLE as error:  # names that are not UTF-8, and numbers that no field takes
        raise _invalid(error) from error


def _settled(model: onnx.ModelProto) -> onnx.ModelProto:
    check_contents(model)
    fold_branches(model)
    _check_no_branches(model)
    widen_floats(model)
    inferred = _inferred(model)
    for value in (*inferred.input, *inferred.output):
        _check_static(value)
    check_sizes(inferred, MOST_ELEMENTS)
    outputs = {value.name: value for value in inferred.output}
    for value in model.graph.output:
        value.CopyFrom(outputs[value.name])
    return model


def check_contents(model: onnx.ModelProto) -> None:
    """Raise PosecError where a model is not plain ONNX with complete constants."""
    _check_nodes(model)
    for name, tensor in constants_of(model):
        check_constant(tensor, name)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise _invalid(error) from error


def _inferred(model: onnx.ModelProto) -> onnx.GraphProto:
    """Return the graph with every shape inferred; symbolic sizes of the file are dropped."""
    for value in model.graph.output:
        for dimension in value.type.tensor_type.shape.dim:
            dimension.ClearField("dim_param")
    try:
        return infer(model, strict=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise _invalid(error) from error


def _invalid(error: Exception) -> PosecError:
    why = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return PosecError(f"not a valid ONNX model: {why}; export the network again")


def _check_nodes(model: onnx.ModelProto) -> None:
    graphs = [model.graph, *_branches(model.graph)]
    nodes = [node for graph in graphs for node in graph.node]
    if len(nodes) > MOST_NODES:
        raise PosecError(f"{len(nodes)} nodes, posec reads up to {MOST_NODES}")
    if not any(entry.domain in _DEFAULT_DOMAINS for entry in model.opset_import):
        raise PosecError("the model states no ONNX opset; export the network again")
    for node in nodes:
        if node.domain not in _DEFAULT_DOMAINS:
            raise PosecError(
                f"operator {node.op_type} is of domain '{node.domain}'; "
                "export with standard ONNX operators alone"
            )
        if node.op_type != "If" and _has_graph(node):
            raise _control_flow(node)
        if (
            node.op_type in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
            or "Integer" in node.op_type
        ):
            raise PosecError(
                f"operator {node.op_type} ({node.name}) is quantization; export the float network"
            )
    if model.functions or any(graph.sparse_initializer or graph.quantization_annotation for graph in graphs):
        raise PosecError("functions, sparse weights or quantization inside; export the plain float network")


def _check_no_branches(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if _has_graph(node):
            raise _control_flow(node)


def _has_graph(node: onnx.NodeProto) -> bool:
    return any(attribute.type in (attribute.GRAPH, attribute.GRAPHS) for attribute in node.attribute)


def _control_flow(node: onnx.NodeProto) -> PosecError:
    return PosecError(
        f"operator {node.op_type} ({node.name}) is control flow; export a network without branches and loops"
    )


def _branches(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside the attributes of nodes, at any depth."""
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if _holds_graph(attribute) else ():
                yield inner
                yield from _branches(inner)


def _holds_graph(attribute: onnx.AttributeProto) -> bool:
    return bool(attribute.graphs) or attribute.HasField("g")


def constants_of(model: onnx.ModelProto) -> list[tuple[str, TensorProto]]:
    """Return (name, tensor) of every constant: weights, and tensors among the attributes of nodes."""
    graphs = [model.graph, *_branches(model.graph)]
    weights = [(tensor.name, tensor) for graph in graphs for tensor in graph.initializer]
    inside: list[tuple[str, TensorProto]] = []
    for node in (node for graph in graphs for node in graph.node):
        name = node.output[0] if node.output else node.op_type
        for attribute in node.attribute:
            single = attribute.type == attribute.TENSOR
            inside += [(name, tensor) for tensor in ([attribute.t] if single else attribute.tensors)]
    return [*weights, *inside]


def check_constant(tensor: TensorProto, name: str) -> None:
    """Raise PosecError where a constant's values are in another file, too many, or do not fill its shape."""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise PosecError(f"the values of '{name}' are in another file; export with external_data=False")
    if any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > MOST_ELEMENTS:
        raise PosecError(f"constant '{name}' has shape {tuple(tensor.dims)}, too large or negative")
    try:
        values = numpy_helper.to_array(tensor)
    except _UNREADABLE as error:
        raise PosecError(
            f"the values of constant '{name}' do not fill its shape {tuple(tensor.dims)}; export it again"
        ) from error
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise PosecError(
            f"constant '{name}' holds NaN; the network did not finish its training, export another checkpoint"
        )


def _check_static(value: onnx.ValueInfoProto) -> None:
    shape = static_shape(value)
    if shape and all(size > 0 for size in shape):
        return
    dimensions = value.type.tensor_type.shape.dim
    sizes = [
        str(each.dim_value) if each.HasField("dim_value") else each.dim_param or "?" for each in dimensions
    ]
    raise PosecError(
        f"'{value.name}' has shape ({', '.join(sizes)}); export with static shapes, one picture at a time"
    )
