"""A network with layers like the reference network's, which take most of the time: 90 million MACs."""

from __future__ import annotations

import numpy as np
from arm64_pictures import SIZE
from networks import tiny_spec
from small_networks import WIDTH, network_about, node

from toolkit.ir.graph import Graph

CHANNELS, BLOCKS = 128, 3


def working_graph() -> Graph:
    """Return a network of residual blocks, each a depthwise 3x3 and a 1x1 convolution, on maps of 32x56."""
    random, last = np.random.default_rng(0), "wide"
    arrays = {
        "widen": random.normal(0, 0.5, (CHANNELS, WIDTH, 1, 1)),
        "narrow": random.normal(0, 0.1, (WIDTH, CHANNELS, 1, 1)),
    }
    nodes = [node("Conv", "before widen", last)]
    for block in range(BLOCKS):
        arrays[f"depthwise{block}"] = random.normal(0, 0.3, (CHANNELS, 1, 3, 3))
        arrays[f"pointwise{block}"] = random.normal(0, 0.1, (CHANNELS, CHANNELS, 1, 1))
        nodes += [
            node("Conv", f"{last} depthwise{block}", f"a{block}", pads=[1] * 4, group=CHANNELS),
            node("Relu", f"a{block}", f"b{block}"),
            node("Conv", f"b{block} pointwise{block}", f"c{block}"),
            node("Add", f"{last} c{block}", f"d{block}"),
            node("Relu", f"d{block}", f"e{block}"),
        ]
        last = f"e{block}"
    nodes.append(node("Conv", f"{last} narrow", "after"))
    for number, step in enumerate(nodes):
        step.name += str(number)
    return network_about(
        nodes, {name: values.astype(np.float32) for name, values in arrays.items()}, tiny_spec(SIZE)
    )
