"""Bring a graph to the opset that every board reads."""

from __future__ import annotations

import onnx
from onnx import defs, helper

from ...errors import PosecError
from ...ir.graph import Graph

# TensorRT 8.2, the last for the first Jetson Nano, reads no later one; QuantizeLinear has an axis from here on.
OPSET = 13
# ONNX Runtime before 1.18 refuses later ones.
IR_VERSION = 8
_DEFAULT_DOMAINS = ("", "ai.onnx")


def lower_opset(graph: Graph) -> int:
    """State opset 13 and the default domain alone, and leave out what is not the network: notes, versions of exporters.

    1. An operator whose definition did not change since opset 13 stays as it is.
    2. One that changed stays too if the older definition has its attributes and inputs; an attribute that
       only the newer one has goes if it says what the older one does anyway (such as Resize's antialias = 0).
    3. Anything else is refused, such as a ReduceMean whose axes are an input.

    The definitions do not tell of new meanings under old attributes; `prepare` compares the numbers.
    Returns the number of operators of rule 2. Raises PosecError naming the first operator that needs a later opset.
    """
    model = graph.model
    stated = next((opset.version for opset in model.opset_import if opset.domain in _DEFAULT_DOMAINS), 0)
    if stated < OPSET:
        raise PosecError(
            f"the graph has ONNX opset {stated}, posec reads {OPSET} and later; export the network again"
        )
    count = sum(_lower(node, stated) for node in model.graph.node) if stated > OPSET else 0
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    for field in (
        "producer_name",
        "producer_version",
        "domain",
        "model_version",
        "doc_string",
        "metadata_props",
    ):
        model.ClearField(field)
    for part in (
        model.graph,
        *model.graph.node,
        *model.graph.initializer,
        *model.graph.input,
        *model.graph.output,
    ):
        part.ClearField("doc_string")
        if "metadata_props" in part.DESCRIPTOR.fields_by_name:
            part.ClearField("metadata_props")
    return count


def _lower(node: onnx.NodeProto, stated: int) -> bool:
    try:
        newer = defs.get_schema(node.op_type, stated)
        older = defs.get_schema(node.op_type, OPSET)
    except defs.SchemaError as error:
        raise PosecError(
            f"operator {node.op_type} ({node.name}) is not in ONNX opset {OPSET}; express it by others"
        ) from error
    if newer.since_version == older.since_version:
        return False
    if len(node.input) > older.max_input or len(node.input) < older.min_input:
        raise PosecError(
            f"{node.op_type} ({node.name}) takes {len(node.input)} inputs, opset {OPSET} has {older.max_input}; export again with it"
        )
    for stray in [found for found in node.attribute if found.name not in older.attributes]:
        default = newer.attributes[stray.name].default_value
        if default.type == onnx.AttributeProto.UNDEFINED or helper.get_attribute_value(
            stray
        ) != helper.get_attribute_value(default):
            raise PosecError(
                f"{node.op_type} ({node.name}) sets {stray.name}, which opset {OPSET} lacks; export the network again with it"
            )
        node.attribute.remove(stray)
    return True
