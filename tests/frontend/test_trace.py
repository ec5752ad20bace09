"""trace(): checkpoints of every kind become the same graph, and wrong ones are refused in a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil

import numpy as np
import onnx
import pytest
from networks import outputs_of, tiny_decoder, tiny_model, tiny_spec, toml, write_checkpoint
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from toolkit.errors import PosecError
from toolkit.frontend.trace import trace
from toolkit.passes import prepare
from toolkit.passes.opset.lower_opset import OPSET
from toolkit.runtime.pose import HEADS


def rewrite_spec(folder, **changes):
    """Change top-level fields of a checkpoint's spec.toml; `checkpoint` is merged."""
    plain = tiny_spec().to_dict()
    about = {"network": "model.onnx", "licence": "made by the tests", **changes.pop("checkpoint", {})}
    (folder / "spec.toml").write_text(toml({**plain, **changes, "checkpoint": about}))


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    """A checkpoint that a test may spoil."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")


def test_an_onnx_checkpoint_is_traced(tiny_checkpoint):
    graph = trace(tiny_checkpoint)
    assert graph.heads["embedding"] == ("embedding", (1, 8, 8, 12))
    assert (graph.frame.dtype, graph.frame.layout, graph.frame.normalized) == ("float32", "NCHW", True)
    assert graph.licence == "made by the tests"
    assert set(graph.decoder) == set(tiny_decoder())
    wanted = outputs_of(tiny_model())
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_array_equal(values, wanted[name])


def test_outputs_get_the_names_of_the_heads_even_where_those_are_mixed_up(folder):
    model, spec = tiny_model(), tiny_spec()
    swapped = {"centre": "depth", "depth": "centre", "offset": "out_7"}
    for values in [field for node in model.graph.node for field in (node.input, node.output)]:
        for position, name in enumerate(values):
            values[position] = swapped.get(name, name)
    for output in model.graph.output:
        output.name = swapped.get(output.name, output.name)
    model.graph.output.append(
        helper.make_tensor_value_info("t3", TensorProto.FLOAT, None)
    )  # an output that is no head
    onnx.save(onnx.shape_inference.infer_shapes(model), str(folder / "model.onnx"))
    heads = {
        name: dataclasses.replace(head, tensor=swapped.get(name, name)) for name, head in spec.heads.items()
    }
    rewrite_spec(folder, heads={name: vars(head) for name, head in heads.items()})
    graph = trace(folder)
    assert [output.name for output in graph.model.graph.output] == list(HEADS)
    wanted = outputs_of(tiny_model())
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_array_equal(values, wanted[name])


def without(name):
    def change(folder):
        (folder / name).unlink()

    return change


def spoiled_model(edit):
    def change(folder):
        model = tiny_model()
        edit(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return change


def head(name, **changes):
    heads = {key: vars(value) for key, value in tiny_spec().heads.items()}
    return lambda folder: rewrite_spec(folder, heads={**heads, name: {**heads[name], **changes}})


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def of_a_domain(model):
    model.graph.node[3].domain = "ai.somebody"
    model.opset_import.append(helper.make_opsetid("ai.somebody", 1))


def control_flow(model):
    model.graph.node.append(helper.make_node("Loop", ["", "frame"], ["z"], body=model.graph))


def short_weights(model):
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def huge_weights(model):
    model.graph.initializer[0].dims[0] = 2**40


def dynamic_batch(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def huge_tensor(model):
    model.graph.initializer.append(helper.make_tensor("vast", TensorProto.INT64, [2], [2**20, 2**20]))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["vast"], ["bomb"]))


CASES = {
    "no spec": (without("spec.toml"), "no checkpoint .*known: reference"),
    "no network": (without("model.onnx"), "no model.onnx in .*correct `network`"),
    "no decoder": (without("pose.safetensors"), "no pose.safetensors"),
    "no TOML": (lambda folder: (folder / "spec.toml").write_text("name = ["), "spec.toml"),
    "unknown kind": (
        lambda folder: rewrite_spec(folder, checkpoint={"network": "model.pth"}),
        r"known: \*\.safetensors, \*\.pt2, \*\.onnx",
    ),
    "a path that leaves": (
        lambda folder: rewrite_spec(folder, checkpoint={"network": "../model.onnx"}),
        "must lie beside",
    ),
    "a missing head": (
        head("offset", tensor="offsets"),
        "head 'offset' should be output 'offsets'; the model has centre, offset",
    ),
    "one output twice": (head("offset", tensor="depth"), "five heads need five outputs"),
    "other channels": (head("embedding", channels=9), "9"),
    "other size": (lambda folder: rewrite_spec(folder, input_size=[128, 96]), r"\(1, 3, 128, 96\)"),
    "other stride": (lambda folder: rewrite_spec(folder, stride=16), "head 'centre' must have shape"),
    "not ONNX": (lambda folder: (folder / "model.onnx").write_bytes(b"no model" * 10), "not an ONNX model"),
    "empty": (lambda folder: (folder / "model.onnx").write_bytes(b""), "model.onnx"),
    "weights elsewhere": (spoiled_model(external), "in another file"),
    "operators of its own": (spoiled_model(of_a_domain), "domain 'ai.somebody'"),
    "control flow": (spoiled_model(control_flow), "operator Loop .* is control flow"),
    "short weights": (spoiled_model(short_weights), "do not fill"),
    "huge weights": (spoiled_model(huge_weights), "too large"),
    "dynamic batch": (spoiled_model(dynamic_batch), r"\(batch, 3, 64, 96\)"),
    "two inputs": (spoiled_model(second_input), "'mask'"),
    "a huge tensor inside": (spoiled_model(huge_tensor), "'bomb' has shape .* more than"),
    "no decoder at all": (
        lambda folder: (folder / "pose.safetensors").write_bytes(b"\x00" * 64),
        "pose.safetensors",
    ),
    "a decoder that does not fit": (
        lambda folder: save_file(
            {"weight_0": np.zeros((48, 9), np.float32), "bias_0": np.zeros(48, np.float32)},
            folder / "pose.safetensors",
        ),
        "9 numbers into 48",
    ),
    "a changed file": (
        lambda folder: rewrite_spec(
            folder, checkpoint={"sha256": {"model.onnx": hashlib.sha256(b"another").hexdigest()}}
        ),
        "copy the checkpoint again",
    ),
}


@pytest.mark.parametrize(("change", "words"), CASES.values(), ids=CASES)
def test_an_invalid_checkpoint_is_refused_with_the_reason(change, words, folder):
    change(folder)
    with pytest.raises(PosecError, match=words) as caught:
        trace(folder)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(PosecError, match="no checkpoint 'referenz'; known: reference"):
        trace("referenz")


def test_a_graph_of_one_size_is_not_traced_at_another(tiny_checkpoint):
    with pytest.raises(PosecError, match="is a graph for pictures of 64x96"):
        trace(f"{tiny_checkpoint}@128x96")


def test_a_folder_may_be_named_like_a_size(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "network@128x96")
    assert trace(folder).spec.input_size == (64, 96)


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_newer_opsets_come_down(opset, tmp_path):
    graph = prepare(trace(write_checkpoint(tmp_path / "new", model=tiny_model(opset=opset))))
    assert graph.model.opset_import[0].version == OPSET
