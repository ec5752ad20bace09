"""The prepared tiny network with ranges and frames."""

import numpy as np
import pytest
from networks import tiny_graph_of
from small_graphs import observed

from toolkit.ir.graph import Graph
from toolkit.passes import prepare
from toolkit.runtime.preprocess import to_batch


@pytest.fixture(scope="module")
def tiny() -> tuple[Graph, dict, list[np.ndarray]]:
    graph = prepare(tiny_graph_of())
    random = np.random.default_rng(3)
    frames = [
        to_batch(random.integers(0, 256, (64, 96, 3)).astype(np.uint8), graph.spec, graph.frame)[0]
        for _ in range(4)
    ]
    return graph, observed(graph.model, frames), frames
