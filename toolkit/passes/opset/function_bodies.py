"""Operators that ONNX defines as functions of others, replaced by the bodies of these functions."""

from __future__ import annotations

from typing import Any, NamedTuple

import onnx
from onnx import defs

from .tensors import Tensors


class Expansion(NamedTuple):
    """Nodes that replace a node, and the opset that they are written in."""

    nodes: list[onnx.NodeProto]
    opset: int


def expand(node: onnx.NodeProto, opset: int, tensors: Tensors) -> Expansion | None:
    """Return the body of an operator that ONNX defines as a function; None for any other operator."""
    schema = defs.get_schema(node.op_type, opset) if defs.has(node.op_type, opset) else None
    if schema is None:
        return None
    body = onnx.FunctionProto()
    if schema.context_dependent_function_opset_versions:
        version = min(schema.context_dependent_function_opset_versions)
        types = [
            tensors.values[name].type.SerializeToString() if name in tensors.values else b""
            for name in node.input
        ]
        if any(name and not kind for name, kind in zip(node.input, types, strict=True)):
            return None
        body.ParseFromString(
            schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        )
    elif schema.function_opset_versions:
        version = min(schema.function_opset_versions)
        body.ParseFromString(schema.get_function_with_opset_version(version))
    if not body.node:
        return None
    version = next((entry.version for entry in body.opset_import if entry.domain == ""), version)
    return Expansion(_instance(body, node, schema, tensors=tensors), version)


def _instance(
    body: onnx.FunctionProto, node: onnx.NodeProto, schema: Any, *, tensors: Tensors
) -> list[onnx.NodeProto]:
    """Return a function's nodes with its parameters replaced by a node's inputs, outputs and attributes."""
    names = dict(zip(body.input, [*node.input, *[""] * (len(body.input) - len(node.input))], strict=True))
    names |= dict(zip(body.output, node.output, strict=False))
    given = {stated.name: stated for stated in node.attribute}
    defaults = {name: entry.default_value for name, entry in schema.attributes.items()}
    made = []
    for inner in body.node:
        part = onnx.NodeProto()
        part.CopyFrom(inner)
        part.name = f"{node.name or node.output[0]}/{inner.op_type}"
        for names_of in (part.input, part.output):
            for position, name in enumerate(names_of):
                if name and name not in names:
                    names[name] = tensors.name(f"{node.output[0]}/{name}")
                names_of[position] = names.get(name, "")
        del part.attribute[:]
        for stated in inner.attribute:
            value = (
                given.get(stated.ref_attr_name, defaults.get(stated.ref_attr_name))
                if stated.ref_attr_name
                else stated
            )
            if value is None or value.type == onnx.AttributeProto.UNDEFINED:
                continue
            part.attribute.add().CopyFrom(value)
            part.attribute[-1].name = stated.name
        made.append(part)
    return made
