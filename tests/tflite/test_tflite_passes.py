"""Passes before TFLite: float islands are counted, average pools become convolutions; no conversion here."""

from __future__ import annotations

import numpy as np
import pytest
from networks import outputs_of, spot_picture, tiny_graph_of, tiny_spec
from small_networks import WIDTH, network_about, node

import calibration
import targets
from toolkit.compiler.build import plan
from toolkit.errors import PosecError
from toolkit.ir.graph import Stage
from toolkit.passes.lower.average_pool_to_conv import convert_average_pools
from toolkit.passes.lower.drop_redundant_clips import drop_redundant_clips

PI5 = targets.load("raspberry-pi-5")
PICTURES = [spot_picture(people, seed=people) for people in range(1, 5)]


def planned(graph, keep_float=()):
    return dict(
        plan(graph, PI5, "int8", ranges=calibration.collect(graph, PICTURES), keep_float=keep_float)["passes"]
    )


def test_heads_that_read_one_map_are_one_island():
    passes = planned(tiny_graph_of())
    assert passes["fuse_head_convs"] == 5
    assert passes["check_float_islands"] == 1
    assert passes["convert_average_pools"] == 1


def test_layers_kept_float_are_expected_islands():
    graph = network_about(
        [node("Conv", "before w", "x"), node("Conv", "x w", "after")],
        {"w": np.ones((WIDTH, WIDTH, 1, 1), np.float32)},
    )
    graph.model.graph.node[1].name = "first"
    assert planned(graph)["check_float_islands"] == 1
    assert planned(graph, ["first"])["check_float_islands"] == 2


LONE = {
    "an operator without integers": [node("HardSigmoid", "before", "soft"), node("Conv", "soft w", "after")],
    "a sum with a constant": [node("Add", "before one", "more"), node("Conv", "more w", "after")],
}


@pytest.mark.parametrize("nodes", LONE.values(), ids=LONE)
def test_an_unexpected_float_island_is_refused(nodes):
    graph = network_about(
        nodes, {"w": np.ones((WIDTH, WIDTH, 1, 1), np.float32), "one": np.float32(1).reshape(1)}
    )
    name = nodes[0].op_type
    with pytest.raises(
        PosecError,
        match=rf"int8 would leave '{name}' \({name}\) in float, between integer layers.*--keep-float stem",
    ):
        planned(graph)
    assert planned(graph, ["stem"])["check_float_islands"] == 2


def test_channels_of_different_means_are_floats_only():
    graph = tiny_graph_of(tiny_spec(mean=(123.675, 116.28, 103.53)))
    with pytest.raises(PosecError, match="TFLite int8 needs one whole number as the mean"):
        planned(graph)
    assert plan(graph, PI5, "float32")["input"]["dtype"] == "float32"


HALF, TWICE = (
    node("AveragePool", "before", "half", kernel_shape=[2, 2], strides=[2, 2]),
    {"scales": np.array([1, 1, 2, 2], np.float32)},
)
WIDE = node("Resize", "half - scales", "after", mode="nearest")


def test_an_average_pool_becomes_a_convolution():
    graph = network_about([HALF, WIDE], TWICE, stage=Stage.PREPARED)
    wanted = outputs_of(graph.model)
    assert convert_average_pools(graph) == 1
    assert "AveragePool" not in {step.op_type for step in graph.model.graph.node}
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_allclose(values, wanted[name], atol=1e-6)


def test_a_pool_with_padding_stays():
    graph = network_about(
        [node("AveragePool", "before", "after", kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        {},
        stage=Stage.PREPARED,
    )
    assert convert_average_pools(graph) == 0


CLIPS = {
    "where the integers end": ((0.0, 1.0), 1 / 255, -128, 1),
    "beyond their end": ((-2.0, 2.0), 1 / 255, -128, 1),
    "at both ends": ((-1.0, 1.0), 1 / 128, 0, 1),
    "amid the integers": ((0.0, 0.5), 1 / 255, -128, 0),
}


@pytest.mark.parametrize(("limits", "scale", "zero_point", "dropped"), CLIPS.values(), ids=CLIPS)
def test_a_clip_is_removed_where_integers_saturate_at_its_limits(limits, scale, zero_point, dropped):
    nodes = [
        node("Clip", "before low high", "clipped"),
        node("QuantizeLinear", "clipped scale zero", "integers"),
        node("DequantizeLinear", "integers scale zero", "after"),
    ]
    arrays = {
        "low": np.float32(limits[0]),
        "high": np.float32(limits[1]),
        "scale": np.float32(scale),
        "zero": np.int8(zero_point),
    }
    graph = network_about(
        nodes, {name: np.asarray(value) for name, value in arrays.items()}, stage=Stage.QUANTIZED
    )
    wanted = outputs_of(graph.model)
    assert drop_redundant_clips(graph) == dropped
    assert ("Clip" in {step.op_type for step in graph.model.graph.node}) != bool(dropped)
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_array_equal(values, wanted[name])
