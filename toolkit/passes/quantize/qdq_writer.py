"""QDQWriter: collects the nodes and constants of a graph with Q/DQ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...ir.scheme import Scheme
from ..edit.edits import replace
from ..edit.graph_index import WEIGHT_AXIS, GraphIndex
from .assign_qparams import given_qparams
from .qparams import QParams, to_int8, to_int32, weight_scales


@dataclass
class QDQWriter:
    """Collects nodes and constants; `write` puts them in place of those of the model.

    Attributes:
        scheme: of the back end.
        graph_index: of the float graph.
        qparams: tensor → scale and zero point.
        nodes: of the new graph, in order.
        constants: that are new, by name.
    """

    scheme: Scheme
    graph_index: GraphIndex
    qparams: Mapping[str, QParams]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def dequantized(self, tensor: str) -> str:
        """Return the name of a tensor behind its Q and DQ; heads keep theirs."""
        return tensor if tensor in self.graph_index.outputs else f"{tensor}/dequantized"

    def quantize(self, tensor: str, source: str) -> str:
        """Append Q and DQ of `source`, which holds the float values of `tensor`; return `source`."""
        scale, zero_point = self.qparams[tensor]
        names = [self._constant(f"{tensor}/scale", scale), self._constant(f"{tensor}/zero_point", zero_point)]
        integers = f"{tensor}/quantized"
        self.nodes.append(
            helper.make_node("QuantizeLinear", [source, *names], [integers], f"{tensor}/quantize")
        )
        self._dequantize(integers, names, self.dequantized(tensor))
        return source

    def quantize_constants(self, node: onnx.NodeProto) -> None:
        """Quantize a layer's weight and, where the scheme does so, its bias."""
        axis = WEIGHT_AXIS[node.op_type] if self.scheme.weights.per_channel else None
        weight = self.graph_index.array(node.input[1])
        bias = self.graph_index.array(node.input[2]) if self._has_int32_bias(node) else None
        source = node.input[0].removesuffix("/dequantized")
        given = self.qparams.get(source) or given_qparams(source, self.graph_index)
        assert given is not None, f"{source} of {node.name} is not quantized"
        input_scale = float(given.scale)
        scales = weight_scales(weight, axis, bias=bias, input_scale=input_scale)
        prefix = node.output[0]
        names = self._pair(f"{prefix}/weight", scales, np.int8)
        integers = f"{prefix}/weight_int8"
        if self.scheme.weights.as_integers:
            self._constant(integers, to_int8(weight, scales, axis))
        else:
            made = helper.make_node(
                "QuantizeLinear",
                [node.input[1], *names],
                [integers],
                f"{prefix}/weight_quantize",
                **_on(axis),
            )
            self.nodes.append(made)
        node.input[1] = self._dequantize(integers, names, f"{prefix}/weight", axis=axis)
        if bias is not None:
            scales = (scales.astype(np.float64) * input_scale).astype(np.float32)
            names = self._pair(f"{prefix}/bias", scales, np.int32)
            integers = self._constant(f"{prefix}/bias_int32", to_int32(bias, scales))
            node.input[2] = self._dequantize(integers, names, f"{prefix}/bias", axis=axis)

    def write(self, model: onnx.ModelProto) -> None:
        """Replace the nodes of a model, and its constants but for those that are still read."""
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
        replace(model.graph.node, self.nodes)
        replace(model.graph.initializer, [*kept, *self.constants.values()])

    def _pair(self, prefix: str, scales: np.ndarray, dtype: type) -> list[str]:
        zero_points: np.ndarray = np.zeros(scales.shape, dtype)
        return [
            self._constant(f"{prefix}_scale", scales),
            self._constant(f"{prefix}_zero_point", zero_points),
        ]

    def _constant(self, name: str, values: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def _dequantize(self, source: str, names: Iterable[str], result: str, *, axis: int | None = None) -> str:
        made = helper.make_node(
            "DequantizeLinear", [source, *names], [result], f"{result}/dequantize", **_on(axis)
        )
        self.nodes.append(made)
        return result

    def _has_int32_bias(self, node: onnx.NodeProto) -> bool:
        return (
            self.scheme.bias == "int32"
            and node.op_type == "Conv"
            and len(node.input) > 2
            and node.input[2] in self.graph_index.constants
        )


def _on(axis: int | None) -> dict[str, int]:
    return {} if axis is None else {"axis": axis}
