"""Load an untrusted ONNX file, and check the constants in it; nothing is folded, and nothing runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from ..errors import PosecError
from ..runtime.files.plain_files import read_plain

LARGEST_BYTES = 512 * 2**20
# Numbers in one tensor: a batch of 4096 x 4096 pixels in 16 channels.
MOST_ELEMENTS = 2**28
# Exceptions of protobuf and numpy for bytes that are no model.
UNREADABLE = (
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


def load_onnx(path: Path) -> onnx.ModelProto:
    """Return the model of a file unchanged. Raises PosecError where it is missing, too large or not ONNX."""
    content = read_plain(
        path, most_bytes=LARGEST_BYTES, error=PosecError, advice="give the path of an ONNX file"
    )
    try:
        model = onnx.load_model_from_string(content)
    except UNREADABLE as error:
        raise PosecError(f"'{path}' is not an ONNX model; export the network again") from error
    if not model.graph.node or not model.graph.output:
        raise PosecError(
            f"'{path}' is not an ONNX model: it has no nodes or no outputs; export the network again"
        )
    return model


def constants_of(model: onnx.ModelProto) -> list[tuple[str, TensorProto]]:
    """Return (name, tensor) of every constant: weights, and tensors among the attributes of nodes."""
    graphs = [model.graph, *inner_graphs(model.graph)]
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
    except UNREADABLE as error:
        raise PosecError(
            f"the values of constant '{name}' do not fill its shape {tuple(tensor.dims)}; export it again"
        ) from error
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise PosecError(
            f"constant '{name}' holds NaN; the network did not finish its training, export another checkpoint"
        )


def inner_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside the attributes of nodes, at any depth."""
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if _holds_graph(attribute) else ():
                yield inner
                yield from inner_graphs(inner)


def _holds_graph(attribute: onnx.AttributeProto) -> bool:
    return bool(attribute.graphs) or attribute.HasField("g")
