from dataclasses import replace

import numpy as np
import pytest
from networks import spot_picture
from schemes import UINT8, int8_heads, with_scheme

import targets
from calibration import collect
from toolkit.errors import PosecError
from toolkit.ir.target import Job
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import head_layers, weighted_layers
from toolkit.passes.quantize.pipeline import lower_graph
from toolkit.verification.float_reference import FloatReference
from toolkit.verification.sensitivity import SensitivitySettings, measure_sensitivity

TARGET = with_scheme(targets.load("generic-cpu"), UINT8)
PICTURES = [spot_picture(people, 70 + people) for people in range(5)]


@pytest.fixture
def ranges(tiny_graph, people_pictures):
    return collect(tiny_graph, people_pictures)


def test_a_layer_with_a_wrong_range_is_ranked_first(tiny_graph, ranges):
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
    result = measure_sensitivity(
        tiny_graph,
        TARGET,
        replace(ranges, tensors={**ranges.tensors, **spoilt}),
        frames=PICTURES,
        progress=lambda *step: steps.append(step),
    )
    assert len(result.layers) == len(layers)
    near = {culprit.name, layers[5].name}
    assert {each.layer for each in result.layers[:2]} <= near | {layers[3].name}
    assert result.layers[0].int8_only.drift_mm > 3 * result.layers[2].int8_only.drift_mm
    assert steps[-1] == (1 + 2 * len(layers), 1 + 2 * len(layers))
    rows = result.rows(most=2)
    assert [row[0] for row in rows] == [
        "part",
        "all",
        *(f"head {head}" for head in head_layers(graph)),
        *(each.layer for each in result.layers[:2]),
    ]


def test_a_head_with_wrong_ranges_is_ranked_first(tiny_graph, ranges):
    head_tensors = {
        node.output[0]: (-900.0, 900.0)
        for node in prepare(tiny_graph).model.graph.node
        if node.name in head_layers(prepare(tiny_graph))["rotation"]
    }
    spoilt = replace(ranges, tensors={**ranges.tensors, **head_tensors})
    target = with_scheme(TARGET, int8_heads(UINT8))
    result = measure_sensitivity(
        tiny_graph, target, spoilt, frames=PICTURES, settings=SensitivitySettings(layers=False)
    )
    assert not result.layers
    assert min(result.heads, key=lambda name: result.heads[name].drift_mm) == "rotation"
    assert result.heads["rotation"].drift_mm < 0.5 * result.whole.drift_mm


def test_the_float_network_has_no_drift_from_itself(tiny_graph, ranges):
    graph, job = prepare(tiny_graph), Job(TARGET, "int8")
    reference = FloatReference(graph, PICTURES)
    same = reference.drift(reference.heads(graph))
    assert (same.drift_mm, same.lost, same.invented) == (0.0, (), ())
    assert same.people == 10
    integer = reference.heads(lower_graph(graph, job, ranges))
    assert reference.drift(integer).drift_mm > 0
    assert all(
        np.array_equal(a[name], b[name])
        for a, b in zip(integer, reference.heads(lower_graph(graph, job, ranges)), strict=True)
        for name in a
    )


def test_ranges_of_another_network_and_no_pictures_are_refused(tiny_graph, ranges):
    with pytest.raises(PosecError, match="belong to another network"):
        measure_sensitivity(tiny_graph, TARGET, replace(ranges, graph_sha256="0" * 64), frames=PICTURES)
    with pytest.raises(PosecError, match="no frames to measure drift on"):
        measure_sensitivity(tiny_graph, TARGET, ranges, frames=[])
