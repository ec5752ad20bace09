"""Read the graph of an ONNX file, without `onnx` and without the weights.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import struct

from ..graph import ModelFileError, ModelGraph, Node, Shape
from ..inputs import volume
from .protobuf import Buffer, Message

# Fields of a model.
_GRAPH, _TRAINING, _FUNCTIONS = 7, 20, 25
# Fields of a graph.
_NODES, _INITIALIZERS, _INPUTS, _SPARSE = 1, 5, 11, 15
# Fields of a node.
_NODE_INPUTS, _NODE_OUTPUTS, _NODE_NAME, _OPERATOR, _ATTRIBUTES, _DOMAIN = 1, 2, 3, 4, 5, 7
# Fields of an attribute.
_ATTRIBUTE_NAME, _TENSOR, _TENSORS, _KIND, _REFERENCE = 1, 5, 10, 20, 21
_SUBGRAPHS, _SPARSE_TENSORS = (6, 11), (22, 23)
# Kind of an attribute → method of `Message` that reads it, and its field.
_READERS = {1: ("number", 2), 2: ("integer", 3), 3: ("text", 4), 7: ("integers", 8)}
# Fields of a tensor.
_DIMENSIONS, _TYPE, _TENSOR_NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
# Type of a tensor → format of a number, the field that holds such numbers if `raw_data` does not, and the
# largest count that is read: sizes, axes and pads are short, scales have one number for each axis.
_SHORT = {7: ("q", 7, 4096), 6: ("i", 5, 4096), 1: ("f", 4, 16)}
_DEFAULT_DOMAINS = ("", "ai.onnx")


def read_onnx_graph(content: Buffer) -> ModelGraph:
    """Return the graph of an ONNX file.

    Raises ModelFileError where the content is not ONNX, is larger than the bounds of `Message`, or holds
    subgraphs, functions, operators of other domains, sparse tensors, or weights in other files.
    """
    try:
        return _graph(content)
    except ModelFileError:
        raise
    except (ValueError, struct.error) as error:
        raise ModelFileError(f"cannot be read: {error}") from error


def _graph(content: Buffer) -> ModelGraph:
    model = Message(content)
    plain = model.message(_GRAPH)
    if plain is None:
        raise ModelFileError("is not an ONNX model")
    if _TRAINING in model or _FUNCTIONS in model or _SPARSE in plain:
        raise ModelFileError("holds functions, training or sparse weights, which posec never exports")
    graph = ModelGraph({}, {}, {}, [])
    for tensor in plain.messages(_INITIALIZERS):
        _add_constant(graph, tensor, tensor.text(_TENSOR_NAME))
    for value in plain.messages(_INPUTS):
        if value.text(1) not in graph.constants:
            graph.inputs[value.text(1)] = _declared_shape(value)
    for node in plain.messages(_NODES):
        _add_node(graph, node)
    return graph


def _add_constant(graph: ModelGraph, tensor: Message, name: str) -> None:
    """Add the shape of a constant, and its numbers where they are few."""
    _check_inside(tensor)
    shape, kind = tuple(tensor.integers(_DIMENSIONS)), tensor.integer(_TYPE)
    if any(size < 0 for size in shape):
        raise ModelFileError(f"has a constant '{name:.60}' of negative size")
    graph.constants[name] = shape
    form, field, most = _SHORT.get(kind, ("", 0, -1))
    count = volume(shape)
    if count > most:
        return
    raw = tensor.content_of(_RAW)
    if raw or not count:
        graph.values[name] = struct.unpack(f"<{count}{form}", raw)
    elif kind == 1:
        graph.values[name] = struct.unpack(f"<{count}f", tensor.content_of(field))
    else:
        graph.values[name] = tuple(tensor.integers(field))


def _check_inside(tensor: Message) -> None:
    if _EXTERNAL in tensor or tensor.integer(_LOCATION):
        raise ModelFileError("has weights in another file, which no hash of the bundle covers")


def _declared_shape(value: Message) -> Shape:
    kind = value.message(2)
    tensor = kind.message(1) if kind else None
    shape = tensor.message(2) if tensor else None
    sizes = tuple(size.integer(1) for size in shape.messages(1)) if shape else (0,)
    if not all(size > 0 for size in sizes):
        raise ModelFileError(f"has an input '{value.text(1):.60}' without a fixed shape")
    return sizes


def _add_node(graph: ModelGraph, plain: Message) -> None:
    operator, attributes = plain.text(_OPERATOR), {}
    if plain.text(_DOMAIN) not in _DEFAULT_DOMAINS:
        raise ModelFileError(
            f"holds the operator {operator:.60} of another domain, which posec never exports"
        )
    outputs = tuple(plain.texts(_NODE_OUTPUTS))
    for attribute in plain.messages(_ATTRIBUTES):
        if any(field in attribute for field in (*_SUBGRAPHS, *_SPARSE_TENSORS, _REFERENCE)):
            raise ModelFileError(f"holds a graph inside {operator:.60}, which posec never exports")
        for tensor in (*attribute.messages(_TENSOR), *attribute.messages(_TENSORS)):
            _check_inside(tensor)
        reader, field = _READERS.get(attribute.integer(_KIND), ("", 0))
        attributes[attribute.text(_ATTRIBUTE_NAME)] = getattr(attribute, reader)(field) if reader else None
        if operator == "Constant" and _TENSOR in attribute:
            for tensor in attribute.messages(_TENSOR):
                _add_constant(graph, tensor, outputs[0] if outputs else "")
            return
    graph.nodes.append(
        Node(operator, plain.text(_NODE_NAME), tuple(plain.texts(_NODE_INPUTS)), outputs, attributes)
    )
