"""Correct the biases of layers for the mean error of their rounded weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ...ir.graph import Graph, Stage, requires
from ...ir.scheme import Scheme
from ..edit.edits import add_array, attribute, remove_dead_nodes
from ..edit.graph_index import WEIGHT_AXIS, index_graph, layer_name
from .float_layers import stays_float
from .qparams import to_int8, weight_scales


@requires(Stage.PREPARED)
def correct_biases(
    graph: Graph, means: Mapping[str, Sequence[float]], scheme: Scheme, *, keep_float: Collection[str] = ()
) -> int:
    """Add to the bias of each layer that will be quantized the mean error of its rounded weights.

        y = conv(x, w) + b        becomes        y = conv(x, w) + b + sum(w - rounded(w)) * mean(x)

    The rounding errors of a channel's weights seldom add up to zero, and x is positive behind a ReLU.
    So every output of the channel is off by about the same amount.
    Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019,
    section 4.2; here with measured means.

    Args:
        graph: the prepared float graph; changed in place.
        means: tensor name → mean of each channel; layers without those of their input stay as they are.
        scheme, keep_float: as for `insert_qdq`.

    Returns the number of layers corrected.
    """
    graph_index, left, count = index_graph(graph.model), stays_float(graph, scheme, keep_float), 0
    for node in graph.model.graph.node:
        before = node.input[2] if len(node.input) > 2 else ""
        known = node.input[0] in means and (not before or before in graph_index.constants)
        if node.op_type != "Conv" or layer_name(node) in left or not known:
            continue
        weight, axis = (
            graph_index.array(node.input[1]),
            WEIGHT_AXIS["Conv"] if scheme.weights.per_channel else None,
        )
        scales = weight_scales(weight, axis)
        rounded = to_int8(weight, scales, axis) * (scales if axis is None else scales.reshape(-1, 1, 1, 1))
        lost = (weight.astype(np.float64) - rounded).sum((2, 3))
        mean = np.asarray(means[node.input[0]]).reshape(attribute(node, "group", 1), 1, -1)
        shift = (lost.reshape(len(mean), -1, mean.shape[2]) * mean).sum(2).ravel()
        if not shift.any():
            continue
        bias = graph_index.array(before) if before else np.zeros(len(weight))
        del node.input[2:]
        # A new name: another layer may read the old bias.
        node.input.append(
            add_array(graph.model, f"{node.output[0]}.corrected_bias", (bias + shift).astype(np.float32))
        )
        count += 1
    if count:
        remove_dead_nodes(graph.model)
    return count
