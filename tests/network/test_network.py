from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from toolkit.errors import PosecError
from toolkit.frontend.trace import trace
from toolkit.network.blocks import StridedConv2d
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.keypoints import JOINTS, OFFSET_SCALES_PX
from toolkit.network.network import KeypointNetwork, cost
from toolkit.passes.edit.edits import attribute

pytestmark = pytest.mark.torch
SIZE = (64, 96)


@pytest.fixture(scope="module")
def network() -> KeypointNetwork:
    torch.manual_seed(0)
    return KeypointNetwork().eval()


@torch.no_grad()
def test_maps_have_the_shapes_and_the_order_of_the_contract(network: KeypointNetwork) -> None:
    spec = replace(network.spec(), input_size=SIZE)
    maps = network(torch.randn(2, 3, *SIZE))
    for name, values in zip(spec.head_names, maps, strict=True):
        assert values.shape == (2, *spec.head_shape(name)[-3:]), name
        assert float(values.min()) >= spec.heads[name].low
        assert float(values.max()) <= spec.heads[name].high


def test_a_strided_convolution_pads_as_tensorflows_same() -> None:
    """Output i of TensorFlow's SAME at an even size is of the inputs 2 i, 2 i + 1 and 2 i + 2."""
    layer, maps = StridedConv2d(1, 1), torch.zeros(1, 1, 4, 4)
    maps[0, 0, 2, 2] = 1.0
    with torch.no_grad():
        layer.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
        layer.bias.zero_()  # type: ignore[union-attr]
        assert layer(maps)[0, 0].tolist() == [[8.0, 6.0], [2.0, 0.0]]


@torch.no_grad()
def test_untrained_poses_are_lifted_from_key_points_alone(network: KeypointNetwork) -> None:
    fine, deep = network.backbone(torch.randn(1, 3, *SIZE))
    branches = network.keypoint_head(fine)
    offsets = network.keypoint_head.regression(functional.avg_pool2d(branches["regression"], 2))
    latent = network.lifting_head.latent(offsets)
    alone = {**network.poses(network.lifting_head(latent)), "latent": latent}
    raw = network.raw_maps(fine, deep)
    assert set(raw) == {"centre", *alone}
    for name, values in alone.items():
        assert torch.equal(raw[name], values), name


@torch.no_grad()
def test_key_point_offsets_are_encoded_at_every_scale_and_clipped(network: KeypointNetwork) -> None:
    branch = torch.rand(1, 96, 3, 5)
    cells = functional.conv2d(branch, network.keypoint_head.regression.weight, 200 * torch.ones(2 * JOINTS))
    regression = KeypointNetwork().keypoint_head.regression
    regression.weight.copy_(network.keypoint_head.regression.weight)
    regression.bias.fill_(200.0)  # type: ignore[union-attr]
    for scale, values in zip(OFFSET_SCALES_PX, regression(branch).split(2 * JOINTS, 1), strict=True):
        torch.testing.assert_close(values, (4 * cells / scale).clamp(-1, 1))


def test_it_is_traced_to_plain_layers_with_equal_outputs(network: KeypointNetwork, tmp_path: Path) -> None:
    spec = replace(network.spec(), input_size=SIZE)
    save_checkpoint(tmp_path / "network", network, decoder_arrays(PoseEmbedding()), spec=spec)
    model = trace(tmp_path / "network").model
    kinds = {node.op_type for node in model.graph.node} - {"Constant", "Identity"}
    assert kinds == {
        "Conv",
        "Clip",
        "Relu",
        "Add",
        "Resize",
        "AveragePool",
        "Concat",
        "Tanh",
        "Sigmoid",
        "Mul",
    }
    strided = [
        node
        for node in model.graph.node
        if attribute(node, "strides", [1, 1]) == [2, 2] and node.op_type == "Conv"
    ]
    assert [list(attribute(node, "pads", [])) for node in strided] == [[0, 0, 1, 1]] * 5
    assert strided[0].name == "/backbone/stem/Conv"
    picture = np.random.default_rng(0).standard_normal((1, 3, *SIZE), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = load_checkpoint(tmp_path / "network").network(torch.from_numpy(picture))
    for found, values in zip(session.run(None, {"frame": picture}), wanted, strict=True):
        np.testing.assert_allclose(found, values, atol=1e-4)


def test_it_stays_within_its_budget(network: KeypointNetwork) -> None:
    products, parameters = cost(network, (256, 448))
    assert products < 2.2e9
    assert parameters < 5.1e6
    with pytest.raises(PosecError, match="multiples of 32, got 250x448"):
        cost(network, (250, 448))
