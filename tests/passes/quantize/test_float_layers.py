"""Layers that a scheme leaves in float, and why."""

import numpy as np
from schemes import (
    SYMMETRIC,
    int8_heads,
    with_exceptions,
)
from small_graphs import AFFINE, run

from toolkit.passes.edit.graph_index import head_layers, index_graph, layer_name, weighted_layers
from toolkit.passes.quantize.float_layers import float_layers, stays_float
from toolkit.passes.quantize.insert_qdq import insert_qdq


def test_depthwise_convolutions_stay_float_by_the_scheme(tiny):
    graph, ranges, _ = tiny
    integer, scheme = graph.copy(), with_exceptions(SYMMETRIC, float_depthwise=True)
    insert_qdq(integer, ranges, scheme)
    found = index_graph(graph.model)
    depthwise = {
        layer_name(node)
        for node in weighted_layers(graph.model)
        if found.array(node.input[1]).shape[1] == 1 and len(found.array(node.input[1])) > 1
    }
    assert depthwise
    assert depthwise <= set(float_layers(integer))
    assert {stays_float(graph, scheme)[name] for name in depthwise} == {
        "scheme 's8' leaves depthwise convolutions float"
    }
    assert len(float_layers(integer)) < len(weighted_layers(graph.model))


def test_float_layers_are_listed_with_their_reasons(tiny):
    graph, ranges, _ = tiny
    first = layer_name(weighted_layers(graph.model)[0])
    reasons = stays_float(graph, AFFINE, [first])
    assert reasons[first] == "kept float on request"
    assert reasons[head_layers(graph)["depth"][0]] == "among the last layers of head 'depth'"
    integer = graph.copy()
    insert_qdq(integer, ranges, AFFINE, keep_float=[first])
    assert set(float_layers(integer)) == {first, *(names[0] for names in head_layers(graph).values())}
    assert float_layers(graph) == [layer_name(node) for node in weighted_layers(graph.model)]


def test_heads_keep_their_names_where_they_are_integers(tiny):
    graph, ranges, frames = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, int8_heads(AFFINE, operators=(*AFFINE.operators, "Sigmoid", "Tanh")))
    assert integer.heads == graph.heads
    assert not float_layers(integer)
    levels = np.unique(run(integer.model, frames[0])["embedding"])
    assert len(levels) <= 256
    assert index_graph(integer.model).producers["embedding"].op_type == "DequantizeLinear"


def test_named_heads_may_be_integers_among_float_ones(tiny):
    graph, ranges, frames = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, with_exceptions(AFFINE, integer_heads=("offset", "depth")))
    last = {head: names[0] for head, names in head_layers(graph).items()}
    assert set(float_layers(integer)) == {last[head] for head in ("centre", "embedding", "rotation")}
    found = index_graph(integer.model)
    results = {node.name: node.output[0] for node in integer.model.graph.node}
    for head, reader in (("offset", "QuantizeLinear"), ("embedding", "Tanh")):
        assert [node.op_type for node in found.readers[results[last[head]]]] == [reader]
    assert all(len(np.unique(run(integer.model, frame)["offset"][0, 0])) > 3 for frame in frames)


def test_the_last_layers_of_heads_may_multiply_integers_and_write_floats(tiny):
    graph, ranges, frames = tiny
    errors = []
    for scheme in (int8_heads(AFFINE), with_exceptions(AFFINE, head_weights=True), AFFINE):
        integer = graph.copy()
        insert_qdq(integer, ranges, scheme)
        found = index_graph(integer.model)
        last = [
            node
            for node in integer.model.graph.node
            if node.op_type == "Conv" and any(node.name in names for names in head_layers(graph).values())
        ]
        assert len(last) == 5
        assert {
            found.producers[node.input[1]].op_type if node.input[1] in found.producers else ""
            for node in last
        } == ({""} if scheme is AFFINE else {"DequantizeLinear"})
        assert {reader.op_type for node in last for reader in found.readers[node.output[0]]} == (
            {"Sigmoid", "Tanh"} if scheme.exceptions.float_heads else {"QuantizeLinear"}
        )
        pairs = [(run(graph.model, frame), run(integer.model, frame)) for frame in frames]
        errors.append(
            np.mean([np.abs(wanted[name] - got[name]).mean() for wanted, got in pairs for name in wanted])
        )
    with_integers, weights_alone, floats = errors
    assert floats < weights_alone < with_integers
    assert float_layers(graph) == [node.name for node in weighted_layers(graph.model)]
