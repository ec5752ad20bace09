"""Repair what rounding the weights does to the mean of a layer's output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ...ir.graph import Graph
from ...ir.target import Scheme
from ..edit.edits import add_array, attribute, sweep
from ..edit.graph_index import WEIGHT_AXIS, layer_name, links
from .insert_qdq import stays_float
from .qparams import to_int8, weight_scales


def correct_biases(
    graph: Graph, means: Mapping[str, Sequence[float]], scheme: Scheme, keep_float: Collection[str] = ()
) -> int:
    """Shift the bias of each layer that will be quantized by what its rounded weights would do to its mean output.

        y = conv(x, w) + b        becomes        y = conv(x, w) + b + sum(w - rounded(w)) * mean(x)

    The rounding errors of a channel's weights seldom add up to zero, and x is positive after a rectifier, so every output
    of the channel is off by about the same (Nagel et al., ICCV 2019, section 4.2, with means that were measured).

    Args:
        graph: the float graph, before `insert_qdq`; changed in place.
        means: tensor name → mean of each channel; a layer is left alone whose input is not there.
        scheme, keep_float: as for `insert_qdq`.

    Returns the number of layers corrected.
    """
    found, left, count = links(graph.model), stays_float(graph, scheme, keep_float), 0
    for node in graph.model.graph.node:
        before = node.input[2] if len(node.input) > 2 else ""
        known = node.input[0] in means and (not before or before in found.constants)
        if node.op_type != "Conv" or layer_name(node) in left or not known:
            continue
        weight, axis = found.array(node.input[1]), WEIGHT_AXIS["Conv"] if scheme.per_channel else None
        scales = weight_scales(weight, axis)
        rounded = to_int8(weight, scales, axis) * (scales if axis is None else scales.reshape(-1, 1, 1, 1))
        lost = (weight.astype(np.float64) - rounded).sum((2, 3))
        mean = np.asarray(means[node.input[0]]).reshape(attribute(node, "group", 1), 1, -1)
        shift = (lost.reshape(len(mean), -1, mean.shape[2]) * mean).sum(2).ravel()
        if not shift.any():
            continue
        bias = found.array(before) if before else np.zeros(len(weight))
        del node.input[2:]
        # A new name: another layer may read the old bias.
        node.input.append(
            add_array(graph.model, f"{node.output[0]}.corrected_bias", (bias + shift).astype(np.float32))
        )
        count += 1
    if count:
        sweep(graph.model)
    return count
