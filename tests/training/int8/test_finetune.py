"""Quantization-aware training of a tiny network: less drift, with integers that the export keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import one_head_graph, outputs_of, spot_picture, tiny_graph_of, write_checkpoint
from onnx import helper, numpy_helper
from schemes import with_scheme, with_weights

import calibration
import targets
from toolkit.commands.train_quantized import main
from toolkit.errors import PosecError
from toolkit.frontend.trace import trace
from toolkit.ir.target import Job
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import index_graph, layer_name, weighted_layers
from toolkit.passes.quantize.float_layers import stays_float
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.passes.quantize.pipeline import lower_graph
from toolkit.passes.quantize.qparams import to_int8, weight_scales
from toolkit.training.int8.finetune import QATSettings, finetune
from toolkit.training.int8.torch_graph import TorchGraph
from toolkit.training.run.runs import RunFiles
from toolkit.verification.float_reference import FloatReference

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
PLAIN = targets.load("generic-cpu")
# One scale for all channels of a weight: that is where a tiny network suffers enough for training to show.
SCHEME = with_weights(PLAIN.backend.scheme(Job(PLAIN, "int8")), per_channel=False)
TARGET = with_scheme(PLAIN, SCHEME)
PICTURES = [spot_picture(seed % 5, seed=seed) for seed in range(40)]
SETTINGS = QATSettings(steps=100, learning_rate=1e-4, threads=1)


@pytest.fixture(scope="module")
def finetuned():
    graph = tiny_graph_of()
    return finetune(graph, TARGET, calibration.collect(graph, PICTURES), frames=PICTURES, settings=SETTINGS)


@pytest.mark.parametrize("integers", [False, True], ids=["float", "int8"])
def test_the_torch_graph_has_the_outputs_of_the_graph(integers):
    graph = prepare(tiny_graph_of())
    ranges = calibration.collect(graph, PICTURES[:5])
    if integers:
        insert_qdq(graph, ranges.tensors, SCHEME.for_training())
    noise = np.random.default_rng(0).normal(0, 0.6, (1, 3, *graph.spec.input_size)).astype(np.float32)
    with torch.no_grad():
        replayed = TorchGraph(graph)(torch.from_numpy(noise))
    for name, (tensor, _) in graph.heads.items():
        # The middle of an integer may be rounded either way, and what follows differs by a step or two.
        np.testing.assert_allclose(
            replayed[name].numpy(), outputs_of(graph.model)[tensor], atol=0.05 if integers else 1e-4
        )


@pytest.mark.parametrize("pads", [[0, 0, 1, 1], [1, 0, 2, 3]])
def test_convolutions_with_asymmetric_padding_are_supported(pads):
    rng = np.random.default_rng(0)
    weight, noise = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3, 3, 3), (1, 3, 16, 16))
    )
    graph = one_head_graph(
        [helper.make_node("Conv", ["frame", "w"], ["y"], "halving", strides=[2, 2], pads=pads)], {"w": weight}
    )
    heads = {name: replace(head, tensor="y") for name, head in graph.spec.heads.items()}
    graph = replace(graph, spec=replace(graph.spec, heads=heads))
    with torch.no_grad():
        replayed = TorchGraph(graph)(torch.from_numpy(noise))["centre"].numpy()
    wanted = onnxruntime.InferenceSession(graph.model.SerializeToString()).run(None, {"frame": noise})[0]
    np.testing.assert_allclose(replayed, wanted, atol=1e-4)


def test_weights_on_an_int8_grid_keep_their_grid():
    """Their largest value is not 127 steps, so a newly chosen grid would round them a second time."""
    graph = prepare(tiny_graph_of())
    for node in weighted_layers(graph.model):
        weight = index_graph(graph.model).array(node.input[1])
        step = np.abs(weight).max() / 100
        constant = next(tensor for tensor in graph.model.graph.initializer if tensor.name == node.input[1])
        constant.CopyFrom(
            numpy_helper.from_array((np.rint(weight / step) * step).astype(np.float32), constant.name)
        )
    integer = graph.copy()
    insert_qdq(
        integer,
        calibration.collect(graph, PICTURES[:5]).tensors,
        SCHEME.for_training(),
    )
    found = index_graph(integer.model)
    names = [
        node.input[0]
        for node in integer.model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] in found.constants
    ]
    assert len(names) > 5
    learned = TorchGraph(integer, names).quantized_constants()
    for name in names:
        np.testing.assert_allclose(learned[name].numpy(), found.array(name), rtol=1e-4, atol=1e-6)


def test_the_loss_of_int8_falls(finetuned):
    assert finetuned.loss_after < 0.9 * finetuned.loss_before


def test_the_trained_weights_are_on_the_int8_grid(finetuned):
    found, left = index_graph(finetuned.graph.model), stays_float(finetuned.graph, SCHEME)
    layers = [node for node in weighted_layers(finetuned.graph.model) if layer_name(node) not in left]
    assert len(layers) > 5
    changed = 0
    for node in layers[1:]:  # the frame is folded into the first
        weight, before = (
            found.array(node.input[1]),
            index_graph(prepare(tiny_graph_of()).model).array(node.input[1]),
        )
        scale = weight_scales(weight, None)
        np.testing.assert_allclose(to_int8(weight, scale, None) * scale, weight, rtol=1e-4, atol=1e-6)
        changed += not np.array_equal(weight, before)
    assert changed == len(layers) - 1


def test_the_drift_of_people_falls(finetuned):
    graph, judged = prepare(tiny_graph_of()), [spot_picture(seed % 5, seed=300 + seed) for seed in range(10)]
    reference, job = FloatReference(graph, judged), Job(TARGET, "int8")
    trained = prepare(finetuned.graph)
    ranges = calibration.collect(trained, PICTURES)
    drift = reference.drift(reference.heads(lower_graph(trained, job, ranges)))
    plain = reference.drift(reference.heads(lower_graph(graph, job, calibration.collect(graph, PICTURES))))
    assert (drift.lost, drift.invented) == ((), ())
    assert drift.drift_mm < 0.75 * plain.drift_mm


def test_the_command_writes_a_checkpoint_that_can_be_traced(tmp_path, capsys):
    import cv2

    write_checkpoint(tmp_path / "tiny")
    (tmp_path / "frames").mkdir()
    for index, picture in enumerate(PICTURES[:6]):
        cv2.imwrite(str(tmp_path / "frames" / f"{index}.png"), picture)
    calibration.collect(trace(tmp_path / "tiny"), PICTURES[:6]).save(tmp_path / "ranges.json")
    main(
        [
            str(tmp_path / "tiny"),
            "--calibration",
            str(tmp_path / "ranges.json"),
            "--frames",
            str(tmp_path / "frames"),
            "--steps",
            "10",
            "--held",
            "2",
            "--threads",
            "1",
            "--out",
            str(tmp_path / "finished"),
        ]
    )
    assert '"step": 10' in capsys.readouterr().out
    assert not (tmp_path / "finished.state").exists()
    graph = trace(tmp_path / "finished")
    assert graph.spec == trace(tmp_path / "tiny").spec
    assert graph.licence == "made by the tests"
    assert sorted(path.name for path in (tmp_path / "finished").iterdir()) == [
        "model.onnx",
        "pose.safetensors",
        "spec.toml",
    ]


def test_an_interrupted_training_resumes_with_equal_weights(tmp_path):
    graph, settings = tiny_graph_of(), QATSettings(steps=20, report_every=10, learning_rate=1e-4, threads=1)
    ranges = calibration.collect(graph, PICTURES[:12])

    def weights(files=None, progress=lambda step, figures: None):
        result = finetune(
            graph, TARGET, ranges, frames=PICTURES[:12], settings=settings, files=files, progress=progress
        )
        model = result.graph.model
        return {tensor.name: tensor.SerializeToString() for tensor in model.graph.initializer}

    def killed(step, figures):
        if step == 20:
            raise KeyboardInterrupt

    whole, files = weights(), RunFiles.beside(tmp_path / "network")
    with pytest.raises(KeyboardInterrupt):
        weights(files, killed)
    assert files.state.exists()
    with pytest.raises(PosecError, match="belongs to a run with"):
        finetune(graph, TARGET, ranges, frames=PICTURES[:12], settings=replace(settings, seed=1), files=files)
    steps = []
    assert weights(files, lambda step, figures: steps.append(step)) == whole
    assert steps == [20]
    assert not files.state.exists()


def test_unusable_inputs_are_refused(tiny_graph):
    ranges = calibration.collect(tiny_graph, PICTURES[:5])
    with pytest.raises(PosecError, match="3 frames, 8 of them held out; give at least 12"):
        finetune(tiny_graph, TARGET, ranges, frames=PICTURES[:3], settings=SETTINGS)
    with pytest.raises(PosecError, match="belong to another network"):
        finetune(
            tiny_graph, TARGET, replace(ranges, graph_sha256="0" * 64), frames=PICTURES, settings=SETTINGS
        )
    graph = prepare(tiny_graph)
    node = next(node for node in graph.model.graph.node if node.op_type == "Relu")
    node.CopyFrom(helper.make_node("Softsign", list(node.input), list(node.output), node.name))
    onnx.checker.check_model(graph.model)
    with pytest.raises(PosecError, match="Softsign cannot be trained"):
        TorchGraph(graph)
