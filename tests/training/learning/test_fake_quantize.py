"""A network that computes as int8 would: few numbers, gradients that pass, and no trace of it afterwards."""

from __future__ import annotations

import pytest
import torch

from toolkit.network.network import KeypointNetwork
from toolkit.training.learning.fake_quantize import STEPS, computing_in_integers, rounded
from toolkit.training.learning.keypoint_distillation import KeypointAnchor

pytestmark = pytest.mark.torch
IMAGES = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def test_maps_are_rounded_to_even_steps_and_zero_stays() -> None:
    maps = torch.linspace(-0.3, 2.0, 5001)
    near = rounded(maps)
    step = 2.3 / STEPS
    assert float((near - maps).abs().max()) < 0.51 * step
    assert len(near.unique()) == STEPS + 1
    assert (near == 0).any()
    assert torch.equal(rounded(near), near)


def test_gradients_pass_what_is_rounded() -> None:
    maps = torch.randn(50, requires_grad=True)
    rounded(maps).sum().backward()
    assert maps.grad is not None
    assert torch.equal(maps.grad, torch.ones(50))


@pytest.mark.parametrize(
    "maps", [torch.zeros(4), torch.tensor([1.0, float("inf")])], ids=["nothing", "infinite"]
)
def test_what_has_no_range_stays(maps: torch.Tensor) -> None:
    assert torch.equal(rounded(maps), maps)


@torch.no_grad()
def test_all_layers_but_the_heads_last_read_few_numbers() -> None:
    torch.manual_seed(0)
    network = KeypointNetwork().eval()
    read: dict[str, int] = {}
    before = network(IMAGES)
    with computing_in_integers(network):
        hooks = [
            # After the hooks that round: they come in the order in which they were given.
            module.register_forward_pre_hook(
                lambda _module, maps, name=name: read.update({name: len(maps[0].unique())})
            )
            for name, module in network.named_modules()
            if isinstance(module, torch.nn.Conv2d)
        ]
        near = network(IMAGES)
    for hook in hooks:
        hook.remove()
    assert {"trunk.stem", "trunk.blocks.12.depthwise", "heads.embedding"} <= set(read)
    for name, numbers in read.items():
        assert numbers <= STEPS + 1 or name.startswith("heads."), name
    assert read["heads.embedding"] > STEPS + 1
    assert any(not torch.equal(a, b) for a, b in zip(before, near, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, network(IMAGES), strict=True))
    with computing_in_integers(network, on=False):
        assert all(torch.equal(a, b) for a, b in zip(before, network(IMAGES), strict=True))


def test_an_anchor_costs_what_key_points_have_moved() -> None:
    torch.manual_seed(0)
    network = KeypointNetwork().eval()
    anchor = KeypointAnchor(network)
    fine = network.trunk(IMAGES)[0]
    assert float(anchor(IMAGES, network, fine).detach()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        network.reader.heat.weight.mul_(1.5)
        network.reader.offset.weight.mul_(1.5)
    loss = anchor(IMAGES, network, fine)
    loss.backward()
    assert float(loss.detach()) > 1e-4
    moved = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert {"reader.heat.weight", "reader.offset.weight", "trunk.levels.2.pointwise.weight"} <= moved
    assert all(parameter.grad is None for parameter in anchor.parameters())
