"""Edits of an ONNX model: new constants, replaced uses, removal of dead nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value, strings as str, or `default`."""
    for stated in node.attribute:
        if stated.name == name:
            value = helper.get_attribute_value(stated)
            return value.decode() if isinstance(value, bytes) else value
    return default


def add_array(model: onnx.ModelProto, name: str, values: np.ndarray) -> str:
    """Add a constant and return its name, which is `name`, numbered where that is taken."""
    name = fresh_name(model, name)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
    return name


def fresh_name(model: onnx.ModelProto, name: str) -> str:
    """Return `name`, or `name_2`, `name_3`, … if a tensor has that name."""
    taken = {tensor for node in model.graph.node for tensor in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in (*model.graph.initializer, *model.graph.input, *model.graph.output)}
    return numbered(name, taken)


def numbered(name: str, taken: set[str]) -> str:
    """Return `name`, or `name_2`, `name_3`, … where it is in `taken`."""
    if name not in taken:
        return name
    return next(
        candidate for count in range(2, len(taken) + 3) if (candidate := f"{name}_{count}") not in taken
    )


def replace_uses(model: onnx.ModelProto, old: str, new: str) -> None:
    """Make every node that reads tensor `old` read `new`."""
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new


def remove_dead_nodes(model: onnx.ModelProto) -> int:
    """Remove nodes and constants that no output depends on; return the number of nodes removed."""
    graph = model.graph
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    removed = len(graph.node) - len(kept)
    if removed:
        replace(graph.node, kept[::-1])
    if any(tensor.name not in needed for tensor in graph.initializer):
        replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    return removed


def replace(field: Any, items: list) -> None:
    """Replace the items of a repeated field of a model; the new items may be some of the old ones."""
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
