"""Scheme: how one back end quantizes to int8, as data; and the table of operators by back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Activations:
    """Quantization of the maps between layers.

    Attributes:
        dtype: "uint8" (affine) or "int8".
        symmetric: zero point 0; needs int8.
        quantize_results: quantize the results of quantized operators even where all readers are float.
            Integer kernels of ONNX Runtime and TFLite need that; others write floats.
        same_scale: operator types that need one scale for input and output, such as pooling and resizing.
        fixed: operator type → (scale, zero point) of its result that the runtime prescribes.
    """

    dtype: str
    symmetric: bool = False
    quantize_results: bool = True
    same_scale: tuple[str, ...] = ()
    fixed: Mapping[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """Quantization of weights, always symmetric int8.

    Attributes:
        per_channel: one scale per output channel, else one per tensor.
        as_integers: stored as int8 → DequantizeLinear, else as float → QuantizeLinear → DequantizeLinear.
    """

    per_channel: bool = True
    as_integers: bool = True


@dataclass(frozen=True)
class Exceptions:
    """Layers that a scheme leaves in float although it has integer operators of their type.

    Attributes:
        float_heads: the last weighted layer of every head and all behind it.
        integer_heads: names of heads that `float_heads` does not apply to.
        head_weights: with `float_heads`, the last weighted layer of a head has int8 operands, a float result.
        float_depthwise: depthwise convolutions, where the runtime computes them no faster in integers.
        fused_residual: the operand of an Add that a convolution writes, where the runtime fuses the two.
    """

    float_heads: bool = True
    integer_heads: tuple[str, ...] = ()
    head_weights: bool = False
    float_depthwise: bool = False
    fused_residual: bool = False


@dataclass(frozen=True)
class Scheme:
    """How a back end quantizes.

    Attributes:
        name: short, for the plan and the report, such as "u8s8-per-channel".
        operators: operator types that compute in integers.
        activations, weights: quantization of maps and of weights.
        bias: "int32" behind a DequantizeLinear, or "float32".
        exceptions: layers of these types that stay float.
        fuse_conv_sums: a sum of convolutions is computed as one, see `passes.quantize.fuse_conv_sums`.
            Runtimes that fuse sums by themselves gain nothing.
    """

    name: str
    operators: tuple[str, ...]
    activations: Activations
    weights: Weights = Weights()
    bias: str = "int32"
    exceptions: Exceptions = Exceptions()
    fuse_conv_sums: bool = False

    def for_training(self) -> Scheme:
        """Return the scheme with float weights in front of Q/DQ and float biases, for their gradients."""
        return replace(self, weights=replace(self.weights, as_integers=False), bias="float32")


def operator_table(schemes: Mapping[str, Scheme]) -> list[list[str]]:
    """Return the table operator × back end, its header first.

    Args:
        schemes: back end → scheme.

    A cell is "float", "int8", "int8, one scale" (of input and output) or "int8, fixed scale" (prescribed).
    """
    operators = dict.fromkeys(kind for scheme in schemes.values() for kind in scheme.operators)
    rows = [["operator", *schemes]]
    return rows + [
        [kind, *(_cell(kind, scheme) for scheme in schemes.values())] for kind in sorted(operators)
    ]


def _cell(kind: str, scheme: Scheme) -> str:
    if kind not in scheme.operators:
        return "float"
    if kind in scheme.activations.fixed:
        return "int8, fixed scale"
    return "int8, one scale" if kind in scheme.activations.same_scale else "int8"
