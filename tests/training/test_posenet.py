from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import tflite
import torch
from labelled_people import batch_of, people_in_a_portrait

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.keypoint_network import KeypointNetwork
from toolkit.network.pose_network import PoseNetwork, reference_spec
from toolkit.network.trunk import Trunk, convolutions
from toolkit.training.anchor import OUTPUT_ORDER, PoseNetAnchor
from toolkit.training.network_run import NetworkRun
from toolkit.training.network_settings import NetworkTraining
from toolkit.training.posenet import load_trunk

pytestmark = pytest.mark.torch
ZERO_POINT = 120


def write_posenet(path: Path, outputs: tuple[int, ...] = OUTPUT_ORDER[::-1]) -> tuple[Path, list[np.ndarray]]:
    """A uint8 .tflite of the layers of PoseNet with random weights, and those weights as floats in torch's order of axes."""
    rng = np.random.default_rng(0)
    layers = [(tuple(conv.weight.shape), conv.groups > 1) for conv in convolutions(Trunk())]
    layers += [((count, 384, 1, 1), False) for count in outputs]
    builder = flatbuffers.Builder(1 << 22)
    buffers, tensors, operators, weights = [], [], [], []

    def add_tensor(stored: np.ndarray, kind: int, scale: float, zero_point: int) -> int:
        data = builder.CreateNumpyVector(stored.ravel().view(np.uint8))
        tflite.BufferStart(builder)
        tflite.BufferAddData(builder, data)
        buffers.append(tflite.BufferEnd(builder))
        shape = builder.CreateNumpyVector(np.array(stored.shape, np.int32))
        scales = builder.CreateNumpyVector(np.array([scale], np.float32))
        zeros = builder.CreateNumpyVector(np.array([zero_point], np.int64))
        tflite.QuantizationParametersStart(builder)
        tflite.QuantizationParametersAddScale(builder, scales)
        tflite.QuantizationParametersAddZeroPoint(builder, zeros)
        quantization = tflite.QuantizationParametersEnd(builder)
        tflite.TensorStart(builder)
        tflite.TensorAddShape(builder, shape)
        tflite.TensorAddType(builder, kind)
        tflite.TensorAddBuffer(builder, len(buffers) - 1)
        tflite.TensorAddQuantization(builder, quantization)
        tensors.append(tflite.TensorEnd(builder))
        return len(tensors) - 1

    for shape, depthwise in layers:
        stored = rng.integers(0, 256, [shape[axis] for axis in ((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))], np.uint8)
        scale = 0.02 / np.sqrt(np.prod(shape[1:]))
        weights.append(((stored.astype(np.float64) - ZERO_POINT) * scale).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)))
        weight = add_tensor(stored, tflite.TensorType.UINT8, scale, ZERO_POINT)
        bias = add_tensor(rng.integers(-9, 9, shape[0], np.int32), tflite.TensorType.INT32, 0.01, 0)
        inputs = builder.CreateNumpyVector(np.array([0, weight, bias], np.int32))
        tflite.OperatorStart(builder)
        tflite.OperatorAddOpcodeIndex(builder, int(depthwise))
        tflite.OperatorAddInputs(builder, inputs)
        operators.append(tflite.OperatorEnd(builder))

    codes = []
    for code in (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D):
        tflite.OperatorCodeStart(builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, code)
        tflite.OperatorCodeAddBuiltinCode(builder, code)
        codes.append(tflite.OperatorCodeEnd(builder))

    def vector(offsets: list[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    tensor_vector, operator_vector = vector(tensors), vector(operators)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensor_vector)
    tflite.SubGraphAddOperators(builder, operator_vector)
    graphs, code_vector, buffer_vector = vector([tflite.SubGraphEnd(builder)]), vector(codes), vector(buffers)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, code_vector)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, buffer_vector)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path, weights


@pytest.fixture(scope="module")
def posenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    return write_posenet(tmp_path_factory.mktemp("posenet") / "posenet.tflite")


def test_the_trunk_holds_the_dequantized_weights(posenet: tuple[Path, list[np.ndarray]]) -> None:
    path, weights = posenet
    for conv, weight in zip(convolutions(load_trunk(path)), weights, strict=False):
        np.testing.assert_allclose(conv.weight.detach().numpy(), weight, atol=1e-7)
        assert conv.bias is not None
        assert 0.01 < conv.bias.abs().max() < 0.1


def test_the_anchor_rests_on_its_own_trunk_and_pulls_elsewhere(posenet: tuple[Path, list[np.ndarray]]) -> None:
    anchor, trunk = PoseNetAnchor(posenet[0]), load_trunk(posenet[0])
    skip, deep = trunk(torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    assert float(anchor(skip, deep).detach()) == pytest.approx(0, abs=1e-6)
    moved = anchor(skip, deep * 1.5 + 0.1)
    assert float(moved.detach()) > 1e-4
    moved.backward()
    assert all(parameter.grad is None for parameter in anchor.parameters())
    assert trunk.blocks[-1].pointwise.weight.grad.any()


@pytest.mark.parametrize("exact", [True, False], ids=["rendered", "photographed"])
def test_a_step_holds_photographs_to_posenet_and_nothing_else(posenet: tuple[Path, list[np.ndarray]], exact: bool) -> None:
    torch.manual_seed(0)
    embedding = PoseEmbedding().eval()
    people = replace(people_in_a_portrait(embedding), exact=np.array([exact]))
    batch = {"image": torch.randint(0, 255, (1, 64, 96, 3), dtype=torch.uint8), **batch_of(people)}
    run = NetworkRun(NetworkTraining(pictures=2, batch=1, anchor=1.0), PoseNetwork(), PoseNetAnchor(posenet[0]), "cpu")
    assert ("anchor" in run.learn(batch, replace(reference_spec(), input_size=(64, 96)), embedding.decode)) is not exact


def test_other_files_are_refused(tmp_path: Path, posenet: tuple[Path, list[np.ndarray]]) -> None:
    (tmp_path / "text.tflite").write_text("not a model")
    with pytest.raises(PosecError, match="not a TensorFlow Lite file"):
        load_trunk(tmp_path / "text.tflite")
    with pytest.raises(PosecError, match="no PoseNet weights"):
        load_trunk(tmp_path / "missing.tflite")
    other, _ = write_posenet(tmp_path / "other.tflite", outputs=(17, 34, 64))
    with pytest.raises(PosecError, match=r"outputs of \[17, 34, 64\] channels"):
        PoseNetAnchor(other)


def test_a_trunk_of_another_kind_is_not_held_to_posenet(posenet: tuple[Path, list[np.ndarray]]) -> None:
    with pytest.raises(PosecError, match="of another kind; give no --trunk, or anchor = 0"):
        NetworkRun(NetworkTraining(pictures=2, anchor=1.0), KeypointNetwork(), PoseNetAnchor(posenet[0]), "cpu")
