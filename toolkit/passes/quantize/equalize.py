"""Even out the channels between two convolutions, so that one integer scale serves them all."""

from __future__ import annotations

import numpy as np
import onnx

from ...ir.graph import Graph
from ..edit.edits import add_array, attribute, sweep
from ..edit.graph_index import Links, links
from .qparams import are_integers

# f(s x) = s f(x) for s > 0.
_HOMOGENEOUS = ("Relu", "LeakyRelu")
_MOST_SWEEPS = 50
_DEAD = 1e-9
# Channels that differ by less, in powers of two of s, gain nothing that could be measured.
_UNEVEN = 2.5


def equalize(graph: Graph) -> int:
    """Scale each channel between two convolutions so that what makes it and what reads it have weights of like size.

        x -> Conv(w, b) -> Relu -> Conv(v) -> y
        x -> Conv(s w, s b) -> Relu -> Conv(v / s) -> y        s = sqrt(max|v| / max|w|), per channel

    Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019.

    1. Between the two may stand a Relu, a LeakyRelu or nothing; a ReLU6 does not scale.
    2. Each has constant weights; the first one's result, and the activation's, have no other reader and are no head.
    3. The second one has one group, or one per channel.
    4. Pairs whose channels differ by less than a factor of six in s stay: trained as one, they are even enough.
    5. Pairs whose weights are integers already, of one step per channel, stay: scaled, they would be no integers any more, and who made
       them so may have evened out what weights alone do not tell, the ranges of the maps between.
    6. s is a power of two: the float network computes the same bits as before. Pairs that share a convolution are
       visited until nothing changes.

    Returns the number of pairs that were changed.
    """
    changed: set[str] = set()
    for _ in range(_MOST_SWEEPS):
        found, moved = links(graph.model), False
        for first in [node for node in graph.model.graph.node if node.op_type == "Conv"]:
            second = _second(first, found)
            if second is not None and _balance(graph.model, first, second, links(graph.model)):
                changed.add(first.output[0])
                moved = True
        if not moved:
            break
    sweep(graph.model)
    return len(changed)


def _second(first: onnx.NodeProto, found: Links) -> onnx.NodeProto | None:
    """Return the convolution that alone reads `first`, through an activation that scales, or None."""
    reader = _only_reader(first.output[0], found)
    if reader is not None and reader.op_type in _HOMOGENEOUS:
        reader = _only_reader(reader.output[0], found)
    if reader is None or reader.op_type != "Conv":
        return None
    constant = all(name in found.constants for name in (*first.input[1:], reader.input[1]))
    if not constant or reader.input[0] in found.constants:
        return None
    weight = found.constants[reader.input[1]]
    return (
        reader
        if attribute(reader, "group", 1) == 1 or tuple(weight.dims[:2]) == (attribute(reader, "group", 1), 1)
        else None
    )


def _only_reader(tensor: str, found: Links) -> onnx.NodeProto | None:
    readers = found.readers.get(tensor, [])
    return readers[0] if len(readers) == 1 and tensor not in found.outputs else None


def _balance(model: onnx.ModelProto, first: onnx.NodeProto, second: onnx.NodeProto, found: Links) -> bool:
    """Scale the channels between two convolutions; return whether any had to be."""
    weight, following = found.array(first.input[1]), found.array(second.input[1])
    if are_integers(weight, 0) and are_integers(following, 0):
        return False
    channel = 1 if attribute(second, "group", 1) == 1 else 0
    made = np.abs(weight).max(axis=(1, 2, 3))
    read = np.abs(following).max(axis=(1 - channel, 2, 3))
    alive = (made > _DEAD) & (read > _DEAD)
    exponent = np.zeros(len(made), np.float32)
    exponent[alive] = np.log2(read[alive] / made[alive]) / 2
    if not alive.any() or np.ptp(exponent[alive]) < _UNEVEN:
        return False
    scale = np.exp2(np.rint(exponent))
    first.input[1] = add_array(model, first.input[1], weight * scale.reshape(-1, 1, 1, 1))
    if len(first.input) > 2:
        first.input[2] = add_array(model, first.input[2], found.array(first.input[2]) * scale)
    second.input[1] = add_array(
        model, second.input[1], following / scale.reshape((1, -1, 1, 1) if channel else (-1, 1, 1, 1))
    )
    return True
