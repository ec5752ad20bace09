"""Name layers and tensors, for reports and for the ranges of calibration."""

from __future__ import annotations

import re

import onnx

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import numbered, replace

BATCH = "frame"
_PARTS = {
    "Conv": ("", "weight", "bias"),
    "ConvTranspose": ("", "weight", "bias"),
    "Gemm": ("", "weight", "bias"),
    "MatMul": ("", "weight"),
    "BatchNormalization": ("", "scale", "shift", "mean", "variance"),
    "Clip": ("", "low", "high"),
    "Resize": ("", "roi", "scales", "sizes"),
    "Reshape": ("", "shape"),
    "Slice": ("", "starts", "ends", "axes", "steps"),
}


@requires(Stage.TRACED)
def name_tensors(graph: Graph) -> int:
    """Name nodes by their place in the network, and tensors by the nodes that compute or read them.

        /stem/Conv: (x.1, onnx::Conv_423) -> 424  becomes  stem.Conv: (frame, stem.Conv.weight) -> stem.Conv

    1. A node keeps its name, with dots for slashes. Without one, it gets operator and position: `Conv_7`.
       If such a node belongs to one head only, it is named after the head: `rotation.Conv`.
    2. A result has its node's name. Constants are `<node>.weight`, `<node>.bias`, …, by their first reader.
    3. Heads keep their names; the input is `frame`.
    4. Constants are sorted by their readers and inferred shapes are removed: equal networks have equal bytes.

    The pass is idempotent. Returns the number of tensors renamed.
    """
    model = graph.model
    heads = [value.name for value in model.graph.output]
    names = {graph.input_name: BATCH, **{head: head for head in heads}}
    taken, order = {BATCH, *heads}, []
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node, name in zip(model.graph.node, _node_names(model), strict=True):
        node.name = name
        for position, tensor in enumerate(node.output):
            _give(names, taken, tensor=tensor, wanted=name if position == 0 else f"{name}.{position}")
        parts = _PARTS.get(node.op_type, ())
        for position, tensor in enumerate(node.input):
            if tensor in constants and tensor not in names:
                order.append(tensor)
                part = (
                    parts[position] if position < len(parts) and parts[position] else f"constant_{position}"
                )
                _give(names, taken, tensor=tensor, wanted=f"{name}.{part}")
    for node in model.graph.node:
        for field in (node.input, node.output):
            for position, tensor in enumerate(field):
                field[position] = names.get(tensor, tensor)
    replace(model.graph.initializer, [constants[tensor] for tensor in order])
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    model.graph.input[0].name = BATCH
    model.graph.name = graph.spec.name
    del model.graph.value_info[:]
    drop_notes(model)
    return sum(old != new for old, new in names.items())


def drop_notes(model: onnx.ModelProto) -> None:
    """Remove documentation, metadata, and the names and versions of exporters."""
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


def _give(names: dict[str, str], taken: set[str], *, tensor: str, wanted: str) -> None:
    if tensor and tensor not in names:
        names[tensor] = numbered(wanted, taken)
        taken.add(names[tensor])


def _node_names(model: onnx.ModelProto) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for place, (node, heads) in enumerate(zip(model.graph.node, _heads_made_from(model), strict=True)):
        wanted = node.name.strip("/").replace("/", ".") or f"{node.op_type}_{place}"
        if len(heads) == 1 and re.fullmatch(rf"{node.op_type}(_\d+)?", wanted):
            wanted = f"{min(heads)}.{node.op_type}"
        names.append(numbered(wanted, taken))
        taken.add(names[-1])
    return names


def _heads_made_from(model: onnx.ModelProto) -> list[set[str]]:
    """Return, for every node, the names of the outputs that depend on it."""
    reached = {output.name: {output.name} for output in model.graph.output}
    heads: list[set[str]] = []
    for node in reversed(model.graph.node):
        heads.append(set().union(*(reached.get(name, set()) for name in node.output)))
        for name in node.input:
            reached[name] = reached.get(name, set()) | heads[-1]
    return heads[::-1]
