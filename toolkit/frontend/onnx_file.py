"""Read an untrusted ONNX file: external data is refused, nothing in it runs, and its sizes are bounded."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..errors import PosecError
from ..ir.onnx_constants import (
    MOST_ELEMENTS,
    UNREADABLE,
    check_constant,
    constants_of,
    inner_graphs,
    load_onnx,
)
from ..passes.prepare.float32 import widen_floats
from ..passes.prepare.fold_branches import fold_branches
from ..passes.prepare.shapes import infer, static_shape
from .onnx_bounds import check_sizes

MOST_NODES = 20_000
_DEFAULT_DOMAINS = ("", "ai.onnx")


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


def settle(model: onnx.ModelProto) -> onnx.ModelProto:
    """Check an untrusted model; return it with folded shapes, float32 floats and static output shapes.

    Works in place.

    Raises PosecError as `read_onnx` does.
    """
    try:
        return _settled(model)
    except PosecError:
        raise
    except UNREADABLE as error:  # names that are not UTF-8, and numbers that no field takes
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
    graphs = [model.graph, *inner_graphs(model.graph)]
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
