"""Every rewrite: a graph where it applies, one where it must not, the count, and equal numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from checked_passes import apply, kinds
from networks import one_head_graph
from onnx import helper, numpy_helper

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, run_passes
from toolkit.passes.opset.lower_opset import lower_opset
from toolkit.passes.prepare.batch_norm import fold_batch_norm
from toolkit.passes.prepare.constants import inline_constants
from toolkit.passes.prepare.hard_swish import decompose_hard_swish
from toolkit.passes.prepare.identities import drop_identities
from toolkit.passes.prepare.names import name_tensors
from toolkit.passes.prepare.simplify import is_plain, simplify
from toolkit.passes.prepare.split_heads import split_heads

RANDOM = np.random.default_rng(3)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def conv(source: str, result: str, weights: str = "w", **attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, *weights.split()], [result], result, **attributes)


def norm(source: str, result: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node("BatchNormalization", [source, "g", "c", "m", "v"], [result], **attributes)


def norm_arrays(channels: int) -> dict[str, np.ndarray]:
    return {
        "g": array(channels),
        "c": array(channels),
        "m": array(channels),
        "v": np.abs(array(channels)) + 0.1,
    }


def test_constants_become_initializers_in_every_form():
    forms = [
        helper.make_node("Constant", [], ["low"], value_float=-0.1),
        helper.make_node("Constant", [], ["high"], value=numpy_helper.from_array(np.float32(0.2))),
    ]
    graph = one_head_graph([*forms, helper.make_node("Clip", ["frame", "low", "high"], ["y"])], {})
    assert apply(inline_constants, graph) == 2
    assert kinds(graph) == ["Clip"]
    assert apply(inline_constants, graph) == 0


def test_identities_are_removed_inside_and_before_a_head():
    nodes = [
        helper.make_node("Identity", ["frame"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Identity", ["b"], ["y"]),
    ]
    graph = one_head_graph(nodes, {})
    assert apply(drop_identities, graph) == 2
    assert [(node.op_type, list(node.input), list(node.output)) for node in graph.model.graph.node] == [
        ("Relu", ["frame"], ["y"])
    ]


def test_an_identity_between_batch_and_head_stays():
    assert apply(drop_identities, one_head_graph([helper.make_node("Identity", ["frame"], ["y"])], {})) == 0


def test_batch_norms_fold_into_their_convolutions():
    nodes = [conv("frame", "a"), norm("a", "b", epsilon=0.01), conv("b", "d", "u k"), norm("d", "y")]
    graph = one_head_graph(
        nodes, {"w": array(4, 3, 3, 3), "u": array(4, 4, 1, 1), "k": array(4), **norm_arrays(4)}
    )
    assert apply(fold_batch_norm, graph) == 2
    assert kinds(graph) == ["Conv", "Conv"]
    assert not {"g", "c", "m", "v", "w"} & {tensor.name for tensor in graph.model.graph.initializer}


def test_a_batch_norm_folds_into_depthwise_and_transposed_convolutions():
    nodes = [
        conv("frame", "a", group=3),
        norm("a", "b"),
        helper.make_node("ConvTranspose", ["b", "u"], ["d"]),
        norm("d", "y"),
    ]
    graph = one_head_graph(nodes, {"w": array(3, 1, 3, 3), "u": array(3, 3, 2, 2), **norm_arrays(3)})
    assert apply(fold_batch_norm, graph) == 2


@pytest.mark.parametrize("case", ["two readers", "no convolution", "shared weights"])
def test_a_batch_norm_stays_where_folding_would_change_other_results(case):
    arrays = {"w": array(3, 3, 1, 1), **norm_arrays(3)}
    if case == "two readers":
        graph = one_head_graph(
            [conv("frame", "a"), norm("a", "b"), helper.make_node("Add", ["a", "b"], ["y"])], arrays
        )
        assert apply(fold_batch_norm, graph) == 0
    elif case == "no convolution":
        assert apply(fold_batch_norm, one_head_graph([norm("frame", "y")], norm_arrays(3))) == 0
    else:  # the weights of another convolution must not change with them
        graph = one_head_graph(
            [
                conv("frame", "a"),
                norm("a", "b"),
                conv("frame", "d"),
                helper.make_node("Add", ["b", "d"], ["y"]),
            ],
            arrays,
        )
        assert apply(fold_batch_norm, graph) == 1


def slices(
    *cuts: tuple[int, int], axis: int = 1, step: int = 1
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    nodes, arrays = [], {"axes": np.asarray([axis]), "steps": np.asarray([step])}
    for number, (start, stop) in enumerate(cuts):
        arrays |= {f"s{number}": np.asarray([start]), f"e{number}": np.asarray([stop])}
        nodes.append(
            helper.make_node("Slice", ["a", f"s{number}", f"e{number}", "axes", "steps"], [f"p{number}"])
        )
    nodes.append(helper.make_node("Concat", [f"p{number}" for number in range(len(cuts))], ["y"], axis=axis))
    return nodes, arrays


def test_a_convolution_that_is_sliced_into_heads_is_split():
    nodes, arrays = slices((0, 1), (1, 4), (-2, 2**31 - 1))
    graph = one_head_graph(
        [conv("frame", "a", "w k"), *nodes], {"w": array(6, 3, 1, 1), "k": array(6), **arrays}
    )
    assert apply(split_heads, graph) == 1
    assert kinds(graph) == ["Conv", "Conv", "Conv", "Concat"]
    assert sorted(
        len(numpy_helper.to_array(t)) for t in graph.model.graph.initializer if t.name.startswith("w")
    ) == [1, 2, 3]


@pytest.mark.parametrize("how", [{"axis": 2}, {"step": 2}])
def test_a_convolution_sliced_along_another_axis_stays(how):
    nodes, arrays = slices((0, 2), (2, 4), **how)
    assert (
        apply(split_heads, one_head_graph([conv("frame", "a"), *nodes], {"w": array(6, 3, 1, 1), **arrays}))
        == 0
    )


def test_a_convolution_with_a_reader_of_all_channels_stays():
    nodes, arrays = slices((0, 3))
    nodes[-1] = helper.make_node("Add", ["a", "p0"], ["y"])
    assert (
        apply(split_heads, one_head_graph([conv("frame", "a"), *nodes], {"w": array(3, 3, 1, 1), **arrays}))
        == 0
    )


def test_hard_swish_is_decomposed_by_its_definition():
    graph = one_head_graph(
        [helper.make_node("HardSwish", ["frame"], ["a"], "n"), helper.make_node("Relu", ["a"], ["y"])],
        {},
        opset=14,
    )
    assert apply(decompose_hard_swish, graph) == 1
    assert kinds(graph) == ["HardSigmoid", "Mul", "Relu"]
    assert apply(decompose_hard_swish, graph) == 0
    assert apply(lower_opset, graph) > 0


def test_onnxsim_folds_constants():
    nodes = [
        conv("frame", "a"),
        helper.make_node("Neg", ["k"], ["n"]),
        helper.make_node("Add", ["a", "n"], ["y"]),
    ]
    graph = one_head_graph(nodes, {"w": array(2, 3, 1, 1), "k": array(1, 2, 1, 1)})
    assert not is_plain(graph.model)
    assert apply(simplify, graph) == 2
    assert kinds(graph) == ["Conv"]


def test_layers_and_activations_are_left_as_they_are(tiny_graph):
    inline_constants(tiny_graph)
    drop_identities(tiny_graph)
    assert is_plain(tiny_graph.model)
    before = tiny_graph.sha256
    assert apply(simplify, tiny_graph) == 0
    assert tiny_graph.sha256 == before


def test_names_follow_the_place_of_a_node_and_are_stable():
    nodes = [
        helper.make_node("Conv", ["frame", "onnx::Conv_7"], ["9"], "/stem/Conv"),
        helper.make_node("Clip", ["9", "10", "11"], ["12"]),
        helper.make_node("Clip", ["12", "10", "11"], ["13"], "/stem/Clip"),
        helper.make_node("Relu", ["13"], ["y"], "stem.Clip"),
    ]
    graph = one_head_graph(
        nodes, {"11": np.float32(1), "onnx::Conv_7": array(2, 3, 1, 1), "10": np.float32(-1)}
    )
    assert apply(name_tensors, graph) > 0
    found = [(node.name, list(node.input), list(node.output)) for node in graph.model.graph.node]
    assert found == [
        ("stem.Conv", ["frame", "stem.Conv.weight"], ["stem.Conv"]),
        ("y.Clip", ["stem.Conv", "y.Clip.low", "y.Clip.high"], ["y.Clip"]),
        ("stem.Clip", ["y.Clip", "y.Clip.low", "y.Clip.high"], ["stem.Clip"]),
        ("stem.Clip_2", ["stem.Clip"], ["y"]),
    ]
    assert [tensor.name for tensor in graph.model.graph.initializer] == [
        "stem.Conv.weight",
        "y.Clip.low",
        "y.Clip.high",
    ]
    before = graph.sha256
    assert apply(name_tensors, graph) == 0
    assert graph.sha256 == before


def test_a_pass_that_changes_a_head_is_caught(tiny_graph):
    def widen_centre(graph: Graph) -> int:
        graph.model.graph.output[0].type.tensor_type.shape.dim[2].dim_value += 1
        return 1

    with pytest.raises(PosecError, match="'widen_centre' changed the heads"):
        run_passes(tiny_graph, [widen_centre])


def test_a_pass_that_fails_is_named_with_those_before_it(tiny_graph):
    def stumble(graph: Graph) -> int:
        raise KeyError("nothing there")

    with pytest.raises(PosecError, match="'stumble' failed after inline_constants"):
        run_passes(tiny_graph, [inline_constants, stumble])
