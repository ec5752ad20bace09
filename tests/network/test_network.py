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
from toolkit.network.backbone import Halving
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.heads import cost
from toolkit.network.keypoints import JOINTS
from toolkit.network.network import REACHES_PX, KeypointNetwork
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


def test_a_halving_convolution_sees_what_tensorflows_same_padding_shows() -> None:
    """Output i of TensorFlow's SAME at an even size is of the inputs 2 i, 2 i + 1 and 2 i + 2."""
    layer, maps = Halving(1, 1), torch.zeros(1, 1, 4, 4)
    maps[0, 0, 2, 2] = 1.0
    with torch.no_grad():
        layer.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
        layer.bias.zero_()  # type: ignore[union-attr]
        assert layer(maps)[0, 0].tolist() == [[8.0, 6.0], [2.0, 0.0]]


@torch.no_grad()
def test_untrained_poses_are_the_lifts_alone(network: KeypointNetwork) -> None:
    fine, deep = network.trunk(torch.randn(1, 3, *SIZE))
    branches = network.reader(fine)
    latent = network.lift.latent(network.reader.ways(functional.avg_pool2d(branches["ways"], 2)))
    alone = {**network.poses(network.lift(latent)), "latent": latent}
    raw = network.raw_maps(fine, deep)
    assert set(raw) == {"centre", *alone}
    for name, values in alone.items():
        assert torch.equal(raw[name], values), name


@torch.no_grad()
def test_ways_are_told_at_every_scale_and_cut(network: KeypointNetwork) -> None:
    branch = torch.rand(1, 96, 3, 5)
    cells = functional.conv2d(branch, network.reader.ways.weight, 200 * torch.ones(2 * JOINTS))
    told = KeypointNetwork().reader.ways
    told.weight.copy_(network.reader.ways.weight)
    told.bias.fill_(200.0)  # type: ignore[union-attr]
    for scale, values in zip(REACHES_PX, told(branch).split(2 * JOINTS, 1), strict=True):
        torch.testing.assert_close(values, (4 * cells / scale).clamp(-1, 1))


def test_it_compiles_to_plain_layers_that_compute_the_same(network: KeypointNetwork, tmp_path: Path) -> None:
    spec = replace(network.spec(), input_size=SIZE)
    save_checkpoint(tmp_path / "network", network, decoder_arrays(PoseEmbedding()), spec)
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
    halving = [
        node
        for node in model.graph.node
        if attribute(node, "strides", [1, 1]) == [2, 2] and node.op_type == "Conv"
    ]
    assert [list(attribute(node, "pads", [])) for node in halving] == [[0, 0, 1, 1]] * 5
    assert halving[0].name == "/trunk/stem/Conv"
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
