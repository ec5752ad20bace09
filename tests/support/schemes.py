"""Quantization schemes for tests, and targets that use them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from toolkit.ir.scheme import Activations, Exceptions, Scheme, Weights
from toolkit.ir.target import Target

# Affine uint8 activations, as ONNX Runtime takes them.
UINT8 = Scheme("u8s8", ("Conv", "Add", "AveragePool", "Resize"), Activations("uint8", same_scale=("Resize",)))
# Symmetric int8 activations and float biases, as TensorRT takes them.
SYMMETRIC = Scheme(
    "s8",
    ("Conv", "Add"),
    Activations("int8", symmetric=True, quantize_results=False),
    Weights(per_channel=False, as_integers=False),
    "float32",
    Exceptions(fused_residual=True),
)


def int8_heads(scheme: Scheme, **changes: Any) -> Scheme:
    """Return a scheme without float heads, with other fields changed."""
    return replace(scheme, exceptions=replace(scheme.exceptions, float_heads=False), **changes)


def with_activations(scheme: Scheme, **changes: Any) -> Scheme:
    """Return a scheme with fields of its activations changed."""
    return replace(scheme, activations=replace(scheme.activations, **changes))


def with_weights(scheme: Scheme, **changes: Any) -> Scheme:
    """Return a scheme with fields of its weights changed."""
    return replace(scheme, weights=replace(scheme.weights, **changes))


def with_exceptions(scheme: Scheme, **changes: Any) -> Scheme:
    """Return a scheme with fields of its exceptions changed."""
    return replace(scheme, exceptions=replace(scheme.exceptions, **changes))


def with_scheme(target: Target, scheme: Scheme) -> Target:
    """Return a target whose back end quantizes by another scheme."""
    members = {**vars(target.backend), "scheme": lambda job: scheme}
    return replace(target, backend=SimpleNamespace(**members))
