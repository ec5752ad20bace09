"""Name the outputs of an imported model after the heads, and check its input."""

from __future__ import annotations

import dataclasses

import onnx
from onnx import TensorProto

from ..errors import PosecError
from ..passes.edit.edits import fresh_name, remove_dead_nodes
from ..runtime.pose import PoseSpec


def name_heads(model: onnx.ModelProto, spec: PoseSpec) -> PoseSpec:
    """Rename outputs to the heads of `spec`, in place, and drop others; return the spec with the new names.

    Raises PosecError where the spec names an output that the model lacks, or one output twice.
    """
    outputs = {value.name: value for value in model.graph.output}
    wanted = {head: spec.heads[head].tensor for head in spec.head_names}
    for head, tensor in wanted.items():
        if tensor not in outputs:
            raise PosecError(
                f"head '{head}' should be output '{tensor}'; the model has {', '.join(outputs)}; "
                f"correct [heads.{head}] in spec.toml"
            )
    if len(set(wanted.values())) < len(wanted):
        count = "seven" if spec.keypoints else "five"
        raise PosecError(
            f"{count} heads need {count} outputs, the spec names {', '.join(wanted.values())}; "
            "correct [heads] in spec.toml"
        )
    kept = [outputs[wanted[head]] for head in spec.head_names]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    remove_dead_nodes(model)
    renamed = {tensor: head for head, tensor in wanted.items()}
    # An inner tensor with the name of a head is renamed.
    renamed |= {head: fresh_name(model, f"{head}.inner") for head in spec.head_names if head not in renamed}
    _rename(model, renamed)
    heads = {head: dataclasses.replace(spec.heads[head], tensor=head) for head in spec.head_names}
    return dataclasses.replace(spec, heads=heads)


def check_batch(model: onnx.ModelProto, spec: PoseSpec) -> None:
    """Drop constant inputs; raise PosecError unless one float32 (1, 3, H, W) of the spec remains."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    expected = [1, 3, *spec.input_size]
    found = [
        (
            value.name,
            [d.dim_value for d in value.type.tensor_type.shape.dim],
            value.type.tensor_type.elem_type,
        )
        for value in inputs
    ]
    if len(found) != 1 or found[0][1] != expected or found[0][2] != TensorProto.FLOAT:
        listed = "; ".join(
            f"'{name}' {tuple(shape)} of {TensorProto.DataType.Name(kind)}" for name, shape, kind in found
        )
        raise PosecError(
            f"the model must take one float32 batch of shape {tuple(expected)}, it takes {listed}; "
            "correct input_size or export again"
        )
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)


def _rename(model: onnx.ModelProto, renamed: dict[str, str]) -> None:
    for node in model.graph.node:
        for field in (node.input, node.output):
            for position, name in enumerate(field):
                field[position] = renamed.get(name, name)
    for named in (*model.graph.output, *model.graph.initializer, *model.graph.value_info, *model.graph.input):
        named.name = renamed.get(named.name, named.name)
