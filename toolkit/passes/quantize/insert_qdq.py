"""Write a scheme's integers into the graph, as QuantizeLinear and DequantizeLinear nodes that every runtime reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...errors import PosecError
from ...ir.graph import Graph
from ...ir.target import Scheme
from ..edit.edits import attribute, replace
from ..edit.graph_index import FUSED_ACTIVATIONS, JOINED, WEIGHT_AXIS, Links, head_layers, layer_name, links
from .assign_qparams import Pair, choose_integers, given_integers
from .qparams import Integers, to_int8, to_int32, weight_scales

# First opset whose QuantizeLinear has an axis.
_OPSET = 13
# Integer kernels of these need all operands to be maps.
_ELEMENTWISE = ("Add", "Sub", "Mul", "Concat")


def insert_qdq(
    graph: Graph, ranges: Mapping[str, Pair], scheme: Scheme, keep_float: Collection[str] = ()
) -> int:
    """Surround the operators of a scheme by Q/DQ; return how many operators compute in integers.

        x -> Conv(w, b) -> Relu -> y        x -> Q -> DQ -> Conv(DQ(int8 w), DQ(int32 b)) -> Relu -> Q -> DQ -> y

    Nothing stands between an operator and the Relu or Clip that alone reads it: integer kernels saturate for nothing.
    A tensor that is an integer already, such as a folded uint8 frame, gets no second Q.

    Args:
        graph: the float graph, its batch norms folded; changed in place.
        ranges: tensor name → (low, high).
        scheme: of the back end.
        keep_float: names of layers, see `layers.layer_name`, to leave float.

    Raises PosecError where the graph's opset is too old, a name of `keep_float` is unknown, or a range is missing.
    """
    opset = next((entry.version for entry in graph.model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < _OPSET:
        raise PosecError(
            f"int8 needs ONNX opset {_OPSET} or later, the graph has {opset}; export the network again"
        )
    reasons, found = stays_float(graph, scheme, keep_float), links(graph.model)
    operators = {
        layer_name(node): node
        for node in _operators(graph.model, scheme, found)
        if layer_name(node) not in reasons
    }
    reads = {
        (name, i)
        for name, node in operators.items()
        for i in found.data_inputs(node)
        if not _fused_operand(node, i, scheme, found)
    }
    heads = _head_layers(graph, scheme)
    results = (
        {found.result(node) for name, node in operators.items() if name not in heads}
        if scheme.outputs
        else set()
    )
    tensors = {
        name
        for name in results | {operators[layer].input[i] for layer, i in reads}
        if given_integers(name, found) is None
    }
    integers = choose_integers(graph, tensors, list(operators.values()), ranges, scheme, found)
    writer = _Writer(scheme, found, integers)
    for name in (value.name for value in graph.model.graph.input if value.name in tensors):
        writer.quantize(name, name)
    for node in graph.model.graph.node:
        layer = layer_name(node)
        for i, name in enumerate(node.input):
            if name in tensors and (name in results or (layer, i) in reads):
                node.input[i] = writer.dequantized(name)
        if layer in operators and node.op_type in WEIGHT_AXIS:
            writer.weights(node)
        writer.nodes.append(node)
        for i, name in enumerate(node.output):
            if name in tensors:
                node.output[i] = writer.quantize(name, f"{name}/float" if name in found.outputs else name)
    _replace(graph.model, writer)
    return len(operators)


def stays_float(graph: Graph, scheme: Scheme, keep_float: Collection[str] = ()) -> dict[str, str]:
    """Return the layers that `insert_qdq` leaves float, name → why, of a graph that has no Q/DQ yet.

    Raises PosecError where a name of `keep_float` is no layer of the graph.
    """
    found = links(graph.model)
    nodes = {layer_name(node): node for node in graph.model.graph.node if node.op_type != "Constant"}
    if unknown := sorted(set(keep_float) - set(nodes)):
        weighted = [name for name, node in nodes.items() if node.op_type in WEIGHT_AXIS]
        raise PosecError(
            f"no layer '{unknown[0]}' to keep float; the layers with weights are {', '.join(weighted)}"
        )
    heads, reasons = _head_layers(graph, scheme), {}
    for name, node in nodes.items():
        if name in keep_float:
            reasons[name] = "asked for"
        elif name in heads and not (scheme.head_weights and node.op_type in WEIGHT_AXIS):
            reasons[name] = f"among the last layers of head '{heads[name]}'"
        elif why := _obstacle(node, scheme, found):
            reasons[name] = why
    return reasons


def _head_layers(graph: Graph, scheme: Scheme) -> dict[str, str]:
    """Return the layers whose results a scheme leaves float for a head's sake, name → head."""
    heads = {
        head: names
        for head, names in head_layers(graph).items()
        if scheme.float_heads and head not in scheme.integer_heads
    }
    return {name: head for head, names in heads.items() for name in names}


def float_layers(graph: Graph) -> list[str]:
    """Return the names of the layers with weights that compute in float, of a graph with or without Q/DQ."""
    found = links(graph.model)
    layers = [node for node in graph.model.graph.node if node.op_type in WEIGHT_AXIS]
    floats = [
        node
        for node in layers
        if any(given_integers(_before_move(name, found), found) is None for name in node.input[:2])
    ]
    return [name for node in floats for name in layer_name(node).split(JOINED)]


def _before_move(tensor: str, found: Links) -> str:
    """Return the tensor that a Transpose, if it makes this one, reads: integers stay integers."""
    maker = found.producers.get(tensor)
    return str(maker.input[0]) if maker is not None and maker.op_type == "Transpose" else tensor


def _operators(model: onnx.ModelProto, scheme: Scheme, found: Links) -> list[onnx.NodeProto]:
    """Return the nodes of the scheme's types, but for activations that the operator before them takes in, and what moves integers."""

    def taken_in(node: onnx.NodeProto) -> bool:
        maker = found.producers.get(node.input[0])
        if maker is None or node.op_type not in FUSED_ACTIVATIONS or maker.op_type in FUSED_ACTIVATIONS:
            return False
        return maker.op_type in scheme.operators and found.result(maker) == node.output[0]

    def moves_integers(node: onnx.NodeProto) -> bool:
        return any(reader.op_type == "DequantizeLinear" for reader in found.readers.get(node.output[0], []))

    return [
        node
        for node in model.graph.node
        if node.op_type in scheme.operators and not taken_in(node) and not moves_integers(node)
    ]


def _obstacle(node: onnx.NodeProto, scheme: Scheme, found: Links) -> str:
    """Return why a node cannot compute in integers, or an empty string."""
    if (
        node.op_type in ("QuantizeLinear", "DequantizeLinear", *FUSED_ACTIVATIONS)
        and node.op_type not in scheme.operators
    ):
        return ""
    if node.op_type not in scheme.operators:
        return f"scheme '{scheme.name}' has no integer {node.op_type}"
    if node.op_type in WEIGHT_AXIS and node.input[1] not in found.constants:
        return "its weights are not constant"
    if (
        scheme.float_depthwise
        and node.op_type == "Conv"
        and attribute(node, "group", 1) > 1
        and found.array(node.input[1]).shape[1] == 1
    ):
        return f"scheme '{scheme.name}' leaves depthwise convolutions float"
    if node.op_type in _ELEMENTWISE and len(found.data_inputs(node)) < len(node.input):
        return "an operand is constant"
    return ""


def _fused_operand(node: onnx.NodeProto, index: int, scheme: Scheme, found: Links) -> bool:
    """Return whether an Add takes this operand from a convolution that the runtime fuses it with."""
    if not scheme.fused_residual or node.op_type != "Add":
        return False
    fused = [i for i, name in enumerate(node.input)
             if name in found.producers and found.producers[name].op_type in WEIGHT_AXIS and len(found.readers[name]) == 1]  # fmt: skip
    return bool(fused) and index == fused[0]


@dataclass
class _Writer:
    """Collects the nodes and constants of the graph to be."""

    scheme: Scheme
    found: Links
    integers: Mapping[str, Integers]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def dequantized(self, tensor: str) -> str:
        return tensor if tensor in self.found.outputs else f"{tensor}/dequantized"

    def quantize(self, tensor: str, source: str) -> str:
        """Append Q and DQ of `source`, which holds the values that `tensor` had; return `source`."""
        scale, zero_point = self.integers[tensor]
        names = [self.constant(f"{tensor}/scale", scale), self.constant(f"{tensor}/zero_point", zero_point)]
        self.nodes.append(
            helper.make_node(
                "QuantizeLinear", [source, *names], [f"{tensor}/quantized"], f"{tensor}/quantize"
            )
        )
        self.dequantize(f"{tensor}/quantized", names, self.dequantized(tensor), None)
        return source

    def dequantize(self, source: str, names: Iterable[str], result: str, axis: int | None) -> str:
        attributes = {} if axis is None else {"axis": axis}
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear", [source, *names], [result], f"{result}/dequantize", **attributes
            )
        )
        return result

    def weights(self, node: onnx.NodeProto) -> None:
        """Quantize a layer's weight and, where the scheme and its input's scale allow, its bias."""
        weight, axis = (
            self.found.array(node.input[1]),
            WEIGHT_AXIS[node.op_type] if self.scheme.per_channel else None,
        )
        bias = self.found.array(node.input[2]) if self.scheme.quantize_bias and self._has_bias(node) else None
        source = node.input[0].removesuffix("/dequantized")
        given = self.integers.get(source) or given_integers(source, self.found)
        assert given is not None, f"{source} of {node.name} is no integer"
        scales = weight_scales(weight, axis, bias, float(given[0]))
        prefix = node.output[0]
        names = [
            self.constant(f"{prefix}/weight_scale", scales),
            self.constant(f"{prefix}/weight_zero_point", np.zeros(scales.shape, np.int8)),
        ]
        if self.scheme.weights_as_integers:
            integer = self.constant(f"{prefix}/weight_int8", to_int8(weight, scales, axis))
        else:
            integer = f"{prefix}/weight_int8"
            attributes = {} if axis is None else {"axis": axis}
            self.nodes.append(
                helper.make_node(
                    "QuantizeLinear",
                    [node.input[1], *names],
                    [integer],
                    f"{prefix}/weight_quantize",
                    **attributes,
                )
            )
        node.input[1] = self.dequantize(integer, names, f"{prefix}/weight", axis)
        if bias is not None:
            scales = (scales.astype(np.float64) * float(given[0])).astype(np.float32)
            names = [
                self.constant(f"{prefix}/bias_scale", scales),
                self.constant(f"{prefix}/bias_zero_point", np.zeros(scales.shape, np.int32)),
            ]
            integer = self.constant(f"{prefix}/bias_int32", to_int32(bias, scales))
            node.input[2] = self.dequantize(integer, names, f"{prefix}/bias", axis)

    def _has_bias(self, node: onnx.NodeProto) -> bool:
        return node.op_type == "Conv" and len(node.input) > 2 and node.input[2] in self.found.constants


def _replace(model: onnx.ModelProto, writer: _Writer) -> None:
    used = {name for node in writer.nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    replace(model.graph.node, writer.nodes)
    replace(model.graph.initializer, [*kept, *writer.constants.values()])
