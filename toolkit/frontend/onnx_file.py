"""Read an ONNX file from outside: nothing beside it is opened, nothing in it is run, and its sizes are bounded."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from ..errors import PosecError

LARGEST_BYTES = 512 * 2**20
MOST_NODES = 20_000
# Numbers in one tensor: a batch of 4096 x 4096 pixels in 16 channels.
MOST_ELEMENTS = 2**28


def read_onnx(path: Path) -> onnx.ModelProto:
    """Return the model of a file, its constants complete and its shapes static.

    Raises PosecError where the file is too large, is not ONNX, keeps weights elsewhere, has operators of its own or control
    flow, or where a tensor is huge or has no fixed shape.
    """
    if not path.is_file():
        raise PosecError(f"no network file '{path}'; correct `network` in the checkpoint's spec.toml")
    if path.stat().st_size > LARGEST_BYTES:
        raise PosecError(
            f"'{path}' has {path.stat().st_size >> 20} MB, posec reads up to {LARGEST_BYTES >> 20} MB"
        )
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError as error:
        raise PosecError(f"'{path}' is not an ONNX model; export the network again") from error
    try:
        check_contents(model)
    except PosecError as error:
        raise PosecError(f"'{path}': {error}") from error
    return model


def check_contents(model: onnx.ModelProto) -> None:
    """Raise PosecError where a model is not plain, static ONNX; see `read_onnx`."""
    _check_nodes(model)
    for tensor in _constants(model):
        _check_constant(tensor)
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        ValueError,
        RuntimeError,
    ) as error:
        raise PosecError(
            f"not a valid ONNX model: {str(error).strip().splitlines()[0]}; export the network again"
        ) from error
    for value in (*inferred.graph.input, *inferred.graph.output):
        _check_static(value)
    for value in inferred.graph.value_info:
        if math.prod(dimension.dim_value for dimension in value.type.tensor_type.shape.dim) > MOST_ELEMENTS:
            raise PosecError(f"tensor '{value.name}' has more than {MOST_ELEMENTS} numbers")


def _check_nodes(model: onnx.ModelProto) -> None:
    if len(model.graph.node) > MOST_NODES:
        raise PosecError(f"{len(model.graph.node)} nodes, posec reads up to {MOST_NODES}")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise PosecError(
                f"operator {node.op_type} is of domain '{node.domain}'; export with standard ONNX operators alone"
            )
        if any(attribute.type in (attribute.GRAPH, attribute.GRAPHS) for attribute in node.attribute):
            raise PosecError(
                f"operator {node.op_type} ({node.name}) is control flow; export a network without branches and loops"
            )
    if model.functions or model.graph.sparse_initializer or model.graph.quantization_annotation:
        raise PosecError("functions, sparse weights or quantization inside; export the plain float network")


def _constants(model: onnx.ModelProto) -> list[TensorProto]:
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    inside = [
        tensor
        for attribute in attributes
        for tensor in ([attribute.t] if attribute.type == attribute.TENSOR else attribute.tensors)
    ]
    return [*model.graph.initializer, *inside]


def _check_constant(tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise PosecError(
            f"the values of '{tensor.name}' are in another file; export with external_data=False"
        )
    if any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > MOST_ELEMENTS:
        raise PosecError(f"constant '{tensor.name}' has shape {tuple(tensor.dims)}, too large or negative")
    try:
        numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise PosecError(
            f"the values of constant '{tensor.name}' do not fill its shape {tuple(tensor.dims)}"
        ) from error


def _check_static(value: onnx.ValueInfoProto) -> None:
    shape = [dimension.dim_value if dimension.HasField("dim_value") else dimension.dim_param or "?"
             for dimension in value.type.tensor_type.shape.dim]  # fmt: skip
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise PosecError(
            f"'{value.name}' has shape ({', '.join(map(str, shape))}); export with static shapes, one picture at a time"
        )
