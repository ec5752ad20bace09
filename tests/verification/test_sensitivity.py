from dataclasses import replace

import numpy as np
import pytest
from networks import spot_picture

from calibration import collect
from toolkit.errors import PosecError
from toolkit.ir.target import Scheme
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import head_layers, weighted_layers
from toolkit.verification.sensitivity import blame
from toolkit.verification.simulation import Judge, quantized

SCHEME = Scheme(
    "u8s8", "uint8", False, True, True, True, ("Conv", "Add", "AveragePool", "Resize"), ("Resize",)
)
PICTURES = [spot_picture(people, 70 + people) for people in range(5)]


@pytest.fixture
def ranges(tiny_graph, people_pictures):
    return collect(tiny_graph, people_pictures)


def test_a_layer_whose_range_was_spoilt_is_named(tiny_graph, ranges):
    graph = prepare(tiny_graph)
    layers = [
        node for node in weighted_layers(graph.model) if node.name not in sum(head_layers(graph).values(), ())
    ]
    culprit = layers[4]
    # Far too wide a range leaves its output a handful of integers.
    spoilt = dict.fromkeys((culprit.output[0],), (-4000.0, 4000.0))
    found = [node.output[0] for node in graph.model.graph.node if culprit.output[0] in node.input]
    spoilt |= dict.fromkeys(found, (0.0, 4000.0))
    steps: list[tuple[int, int]] = []
    result = blame(
        tiny_graph,
        replace(ranges, tensors={**ranges.tensors, **spoilt}),
        SCHEME,
        PICTURES,
        progress=lambda *step: steps.append(step),
    )
    assert len(result.layers) == len(layers)
    near = {culprit.name, layers[5].name}
    assert {each.layer for each in result.layers[:2]} <= near | {layers[3].name}
    assert result.layers[0].alone.drift_mm > 3 * result.layers[2].alone.drift_mm
    assert steps[-1] == (1 + 2 * len(layers), 1 + 2 * len(layers))
    rows = result.rows(most=2)
    assert [row[0] for row in rows] == [
        "part",
        "all",
        *(f"head {head}" for head in head_layers(graph)),
        *(each.layer for each in result.layers[:2]),
    ]


def test_a_head_of_integers_is_named(tiny_graph, ranges):
    head_tensors = {
        node.output[0]: (-900.0, 900.0)
        for node in prepare(tiny_graph).model.graph.node
        if node.name in head_layers(prepare(tiny_graph))["rotation"]
    }
    spoilt = replace(ranges, tensors={**ranges.tensors, **head_tensors})
    result = blame(tiny_graph, spoilt, replace(SCHEME, float_heads=False), PICTURES, layers=False)
    assert not result.layers
    assert min(result.heads, key=lambda name: result.heads[name].drift_mm) == "rotation"
    assert result.heads["rotation"].drift_mm < 0.5 * result.whole.drift_mm


def test_the_judge_finds_no_fault_with_the_float_network_itself(tiny_graph, ranges):
    graph = prepare(tiny_graph)
    judge = Judge(graph, PICTURES)
    same = judge.drift(judge.heads(graph))
    assert (same.drift_mm, same.lost, same.invented) == (0.0, (), ())
    assert same.people == 10
    integer = judge.heads(quantized(graph, ranges, SCHEME))
    assert judge.drift(integer).drift_mm > 0
    assert all(
        np.array_equal(a[name], b[name])
        for a, b in zip(integer, judge.heads(quantized(graph, ranges, SCHEME)), strict=True)
        for name in a
    )


def test_ranges_of_another_network_and_no_pictures_are_refused(tiny_graph, ranges):
    with pytest.raises(PosecError, match="belong to another network"):
        blame(tiny_graph, replace(ranges, graph_sha256="0" * 64), SCHEME, PICTURES)
    with pytest.raises(PosecError, match="no frames to judge on"):
        blame(tiny_graph, ranges, SCHEME, [])
