"""Read the graph of a TFLite file, without its library and without the weights.

Field numbers are those of TensorFlow's schema.fbs.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List

from ..graph import ModelFileError, ModelGraph, Node
from ..inputs import volume
from .flatbuffer import Buffer, Table
from .tflite_operators import OPERATORS, Operator

# Fields of a model.
_CODES, _SUBGRAPHS, _BUFFERS = 1, 2, 4
# Fields of a subgraph.
_TENSORS, _INPUTS, _OPERATORS = 0, 1, 3
# Fields of a tensor.
_SHAPE, _TYPE, _BUFFER, _VARIABLE, _SPARSITY, _SIGNATURE = 0, 1, 2, 5, 6, 7
# Fields of an operator.
_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPTIONS_TYPE, _OPTIONS = 0, 1, 2, 3, 4
# Fields of a buffer.
_DATA, _OFFSET = 0, 1
_FORMATS = {2: "i", 4: "q"}  # of TFLite's INT32 and INT64
_MOST_INTEGERS = 4096


def read_tflite_graph(content: Buffer) -> ModelGraph:
    """Return the graph of a TFLite file; tensors are named by their numbers.

    Raises ModelFileError where the content is not TFLite, or holds several graphs, operators that no export
    has, variables, sparse tensors, tensors without a fixed shape, or data outside its tables.
    """
    if content[4:8] != b"TFL3":
        raise ModelFileError("is not a TFLite model")
    try:
        return _graph(Table.root(content))
    except ModelFileError:
        raise
    except (ValueError, struct.error, OverflowError) as error:
        raise ModelFileError(f"cannot be read: {error}") from error


def _graph(model: Table) -> ModelGraph:
    subgraphs = model.tables(_SUBGRAPHS)
    if len(subgraphs) != 1:
        raise ModelFileError(
            f"holds {len(subgraphs)} graphs, an export of posec has one: no branches and loops"
        )
    (plain,) = subgraphs
    tensors, graph = plain.tables(_TENSORS), ModelGraph({}, {}, {}, [])
    inputs = set(plain.numbers(_INPUTS))
    buffers = model.tables(_BUFFERS)
    for number, tensor in enumerate(tensors):
        _add_tensor(graph, str(number), tensor, buffers=buffers, is_input=number in inputs)
    kinds = [_kind(code) for code in model.tables(_CODES)]
    for operator in plain.tables(_OPERATORS):
        code = operator.number(_CODE, "I")
        if code >= len(kinds):
            raise ModelFileError("has an operator without a code")
        graph.nodes.append(_node(operator, kinds[code], str(len(graph.nodes))))
    return graph


def _add_tensor(graph: ModelGraph, name: str, tensor: Table, *, buffers: List[Table], is_input: bool) -> None:
    shape, at = tensor.numbers(_SHAPE), tensor.number(_BUFFER, "I")
    if tensor.has(_SPARSITY) or tensor.number(_VARIABLE, "B"):
        raise ModelFileError("holds sparse or variable tensors, which posec never exports")
    if any(size < 0 for size in (*shape, *tensor.numbers(_SIGNATURE))):
        raise ModelFileError("holds a tensor without a fixed shape")
    if at >= len(buffers) or buffers[at].number(_OFFSET, "Q"):
        raise ModelFileError("holds data outside its tables, which posec never exports")
    _, length = buffers[at].span(_DATA)
    if is_input:
        graph.inputs[name] = shape
    elif length:
        graph.constants[name] = shape
        form = _FORMATS.get(tensor.number(_TYPE, "b"))
        if form and volume(shape) <= _MOST_INTEGERS:
            graph.values[name] = struct.unpack(f"<{volume(shape)}{form}", buffers[at].content_of(_DATA))


def _kind(code: Table) -> int:
    """Return the number of a built-in operator; later files state it in two fields."""
    return max(code.number(0, "b"), code.number(3, "i"))


def _node(operator: Table, kind: int, name: str) -> Node:
    known = OPERATORS.get(kind)
    if known is None:
        raise ModelFileError(f"holds TFLite's operator {kind}, which posec never exports")
    inputs, outputs = (
        tuple(str(number) if number >= 0 else "" for number in operator.numbers(field))
        for field in (_OPERATOR_INPUTS, _OPERATOR_OUTPUTS)
    )
    return Node(known.name, name, inputs, outputs, _attributes(operator, known))


def _attributes(operator: Table, known: Operator) -> Dict[str, Any]:
    options = operator.table(_OPTIONS)
    if known.options and options is not None and operator.number(_OPTIONS_TYPE, "B") != known.options:
        raise ModelFileError(f"holds {known.name} with the options of another operator")
    found: Dict[str, Any] = {}
    for name, (field, form) in known.attributes.items():
        if form == "list":
            found[name] = options.numbers(field) if options else ()
        else:
            found[name] = options.number(field, form) if options else 0
    return found
