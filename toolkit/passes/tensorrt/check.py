"""`tensorrt-check`: check a model against the rules of a TensorRT version, without TensorRT.

The rules are those of its ONNX parser and of its fusions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from ...errors import PosecError
from ...ir.graph import Graph, Pass
from ...ir.onnx_constants import check_constant, constants_of, load_onnx
from ..edit.edits import attribute
from ..edit.graph_index import GraphIndex, index_graph, layer_name
from .qdq_rules import QUANTIZERS, integer_findings
from .rules import Finding, Rules, rules_for

_TRANSFORMS = ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners")
# Operator → inputs that its importer requires to be constants.
_CONSTANT_INPUTS = {
    "Conv": (2,),
    "ConvTranspose": (2,),
    "Clip": (1, 2),
    "Resize": (2, 3),
    "Slice": (1, 2, 3, 4),
    "Reshape": (1,),
    "Pad": (1, 2),
}


def check(model: onnx.ModelProto, version: str) -> list[Finding]:
    """Return the rules of a TensorRT version that a model breaks, in the order of its nodes."""
    rules, graph_index = rules_for(version), index_graph(model)
    findings = [*_file(model, rules), *_external(model), *_types(model, rules)]
    for node in model.graph.node:
        findings += _operator(node, rules)
        findings += _arguments(node, rules, graph_index)
    return findings + list(integer_findings(model, rules, graph_index))


def check_file(path: str | Path, version: str) -> list[Finding]:
    """Return the findings of `check` for an ONNX file; external weights are a finding and are not read.

    Raises PosecError where the file is missing, too large, or no valid ONNX model.
    """
    rules, model = rules_for(version), load_onnx(Path(path))
    if outside := list(_external(model)):
        return [*_file(model, rules), *outside]
    try:
        for name, tensor in constants_of(model):
            check_constant(tensor, name)
        onnx.checker.check_model(model)
        return check(model, version)
    except PosecError as error:
        raise PosecError(f"'{path}': {error}") from error
    except Exception as error:
        # The checker raises several classes; a model that passes may lack inputs or have wrong attributes.
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PosecError(f"'{path}' is not a valid ONNX model: {why}; export the network again") from error


def tensorrt_check(*versions: str) -> Pass:
    """Return a pass that refuses graphs which these TensorRT versions cannot read; it rewrites nothing."""

    def tensorrt_check(graph: Graph) -> int:
        for version in versions:
            if findings := check(graph.model, version):
                more = f", and {len(findings) - 3} more" if len(findings) > 3 else ""
                raise PosecError(
                    f"TensorRT {version} cannot read this network: {'; '.join(map(str, findings[:3]))}{more}"
                )
        return 0

    return tensorrt_check


def _file(model: onnx.ModelProto, rules: Rules) -> Iterator[Finding]:
    for entry in model.opset_import:
        if entry.domain not in ("", "ai.onnx"):
            yield Finding(
                "domain", entry.domain, f"TensorRT {rules.version} reads only operators of the ONNX domain"
            )
        elif not rules.opset[0] <= entry.version <= rules.opset[1]:
            yield Finding(
                "opset",
                "model",
                f"opset {entry.version}; TensorRT {rules.version} reads {rules.opset[0]} to {rules.opset[1]}",
            )
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if not shape or min(shape) < 1:
            yield Finding(
                "dynamic shape", value.name, "an input without fixed sizes needs an optimization profile"
            )


def _external(model: onnx.ModelProto) -> Iterator[Finding]:
    for name, tensor in constants_of(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            yield Finding(
                "external data", name, "weights outside the file are lost when the file is parsed from memory"
            )


def _types(model: onnx.ModelProto, rules: Rules) -> Iterator[Finding]:
    readers = index_graph(model).readers
    for value in (*model.graph.input, *model.graph.output):
        kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if kind not in rules.types:
            yield Finding("type", value.name, f"TensorRT {rules.version} has no {kind}")
        elif kind == "UINT8":
            others = [node.op_type for node in readers.get(value.name, ()) if node.op_type != "Cast"] or (
                ["nothing"] if value in model.graph.output else []
            )
            if others:
                yield Finding(
                    "type", value.name, f"UINT8 may go only from an input into a Cast, here into {others[0]}"
                )
    zero_points = {
        node.input[2] for node in model.graph.node if node.op_type in QUANTIZERS and len(node.input) > 2
    }
    for tensor in model.graph.initializer:
        kind = TensorProto.DataType.Name(tensor.data_type)
        if tensor.name not in zero_points and (kind not in rules.types or kind == "UINT8"):
            yield Finding("type", tensor.name, f"TensorRT {rules.version} has no constants of {kind}")


def _operator(node: onnx.NodeProto, rules: Rules) -> Iterator[Finding]:
    if node.domain not in ("", "ai.onnx"):
        yield Finding("operator", layer_name(node), f"{node.domain}.{node.op_type} is not ONNX's own")
    elif node.op_type not in rules.operators:
        yield Finding("operator", layer_name(node), f"TensorRT {rules.version} has no {node.op_type}")


def _arguments(node: onnx.NodeProto, rules: Rules, graph_index: GraphIndex) -> Iterator[Finding]:
    """Yield broken assertions of an operator's importer on inputs and attributes."""
    where = layer_name(node)
    for position in _CONSTANT_INPUTS.get(node.op_type, ()):
        name = node.input[position] if position < len(node.input) else ""
        maker = graph_index.producers.get(name)
        # A finding on a dequantized bias is reported for its DequantizeLinear.
        if (
            name
            and name not in graph_index.constants
            and not (maker is not None and maker.op_type == "DequantizeLinear")
        ):
            yield Finding("constant input", where, f"input {position} of {node.op_type} must be a constant")
    if node.op_type == "Cast" and TensorProto.DataType.Name(attribute(node, "to", 0)) not in rules.types:
        yield Finding(
            "type",
            where,
            f"TensorRT {rules.version} casts to no {TensorProto.DataType.Name(attribute(node, 'to', 0))}",
        )
    if node.op_type in ("Conv", "ConvTranspose"):
        yield from _convolution(node, where, graph_index)
    if node.op_type == "Resize":
        yield from _resize(node, where, rules=rules, graph_index=graph_index)


def _convolution(node: onnx.NodeProto, where: str, graph_index: GraphIndex) -> Iterator[Finding]:
    if (
        len(node.input) > 2
        and node.input[2] in graph_index.constants
        and graph_index.constants[node.input[2]].data_type != TensorProto.FLOAT
    ):
        yield Finding("bias", where, "a bias must be float32")
    if node.input[1] in graph_index.constants:
        weight = graph_index.array(node.input[1])
        if weight.ndim not in (4, 5):
            yield Finding(
                "shape",
                where,
                f"a weight of {weight.ndim} axes; TensorRT convolves in two or three dimensions",
            )
        elif list(attribute(node, "kernel_shape", weight.shape[2:])) != list(weight.shape[2:]):
            yield Finding("shape", where, "kernel_shape differs from the weight's")


def _resize(node: onnx.NodeProto, where: str, *, rules: Rules, graph_index: GraphIndex) -> Iterator[Finding]:
    mode, transform = (
        attribute(node, "mode", "nearest"),
        attribute(node, "coordinate_transformation_mode", "half_pixel"),
    )
    if mode not in rules.resize_modes:
        yield Finding("resize", where, f"TensorRT {rules.version} has no {mode} interpolation")
    if transform not in _TRANSFORMS:
        yield Finding("resize", where, f"coordinates by {transform}; TensorRT has {', '.join(_TRANSFORMS)}")
    if (
        transform == "tf_half_pixel_for_nn"
        and attribute(node, "nearest_mode", "round_prefer_floor") != "round_prefer_floor"
    ):
        yield Finding("resize", where, "tf_half_pixel_for_nn goes with round_prefer_floor only")
    scales = (
        graph_index.array(node.input[2])
        if len(node.input) > 2 and node.input[2] in graph_index.constants
        else np.zeros(0)
    )
    if scales.size and mode != "nearest" and np.count_nonzero(scales != 1) > (2 if mode == "cubic" else 3):
        yield Finding("resize", where, f"{mode} interpolation of {np.count_nonzero(scales != 1)} axes")
