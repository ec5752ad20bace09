"""prepare(): the same heads, stable names, and nothing to do the second time."""

from __future__ import annotations

import numpy as np
import pytest
from networks import outputs_of, tiny_graph_of
from onnx import helper

from toolkit.errors import PosecError
from toolkit.passes import PREPARE, prepare


def test_a_prepared_graph_has_the_same_heads_and_is_another_object(tiny_graph):
    before = tiny_graph.sha256
    prepared = prepare(tiny_graph)
    assert tiny_graph.sha256 == before
    assert dict(prepared.history)["fold_batch_norm"] == 3
    assert dict(prepared.history)["drop_identities"] == 1
    assert [name for name, _ in prepared.history] == [step.__name__ for step in PREPARE]
    heads = outputs_of(tiny_graph.model)
    for name, values in outputs_of(prepared.model).items():
        np.testing.assert_allclose(values, heads[name], atol=1e-4)


def test_preparing_twice_changes_nothing(tiny_graph):
    once = prepare(tiny_graph)
    twice = prepare(once)
    assert twice.sha256 == once.sha256
    assert not any(count for _, count in twice.history[len(PREPARE) :])


def test_equal_networks_have_equal_names_and_bytes():
    first, second = tiny_graph_of(), tiny_graph_of()
    for node in second.model.graph.node:  # another exporter's numbering
        for field in (node.input, node.output):
            for position, name in enumerate(field):
                if name.startswith("t"):
                    field[position] = f"val_{name}"
    second.model.producer_name = "another exporter"
    assert prepare(first).sha256 == prepare(second).sha256


def test_other_weights_have_another_hash():
    assert prepare(tiny_graph_of(seed=1)).sha256 != prepare(tiny_graph_of(seed=2)).sha256


def test_a_rewrite_that_changes_numbers_is_caught(tiny_graph, monkeypatch):
    def halve(graph):
        node = next(node for node in graph.model.graph.node if "depth" in node.output)
        graph.model.graph.node.append(helper.make_node("Sigmoid", ["whole"], ["depth"], "halve"))
        node.output[0] = "whole"
        return 1

    monkeypatch.setattr("toolkit.passes.PREPARE", (*PREPARE, halve))
    with pytest.raises(PosecError, match="changed head 'depth'"):
        prepare(tiny_graph)
