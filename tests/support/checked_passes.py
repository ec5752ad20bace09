"""Passes that must keep the numbers of a graph."""

from __future__ import annotations

import numpy as np
import onnx
from networks import outputs_of

from toolkit.ir.graph import Graph, Pass


def kinds(graph: Graph) -> list[str]:
    return [node.op_type for node in graph.model.graph.node]


def apply(step: Pass, graph: Graph) -> int:
    """Run a pass and check the model and its outputs; return the count, 0 only for unchanged nodes."""
    before, bytes_before = outputs_of(graph.model), graph.copy()
    count = step(graph)
    onnx.checker.check_model(graph.model, full_check=True)
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_allclose(values, before[name], atol=2e-5)
    if count == 0:
        assert kinds(graph) == kinds(bytes_before)
    return count
