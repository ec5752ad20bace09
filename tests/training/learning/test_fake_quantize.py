"""Fake quantization of activations: 256 values, straight-through gradients; and key-point distillation."""

from __future__ import annotations

import pytest
import torch

from toolkit.network.network import KeypointNetwork
from toolkit.training.learning.fake_quantize import STEPS, fake_quantize, int8_activations
from toolkit.training.learning.keypoint_distillation import KeypointTeacher

pytestmark = pytest.mark.torch
IMAGES = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def test_maps_are_rounded_to_even_steps_including_zero() -> None:
    maps = torch.linspace(-0.3, 2.0, 5001)
    near = fake_quantize(maps)
    step = 2.3 / STEPS
    assert float((near - maps).abs().max()) < 0.51 * step
    assert len(near.unique()) == STEPS + 1
    assert (near == 0).any()
    assert torch.equal(fake_quantize(near), near)


def test_gradients_pass_unchanged() -> None:
    maps = torch.randn(50, requires_grad=True)
    fake_quantize(maps).sum().backward()
    assert maps.grad is not None
    assert torch.equal(maps.grad, torch.ones(50))


@pytest.mark.parametrize(
    "maps", [torch.zeros(4), torch.tensor([1.0, float("inf")])], ids=["nothing", "infinite"]
)
def test_maps_without_a_finite_range_are_unchanged(maps: torch.Tensor) -> None:
    assert torch.equal(fake_quantize(maps), maps)


@torch.no_grad()
def test_all_layers_but_the_heads_read_quantized_maps() -> None:
    torch.manual_seed(0)
    network = KeypointNetwork().eval()
    read: dict[str, int] = {}
    before = network(IMAGES)
    with int8_activations(network):
        hooks = [
            # After the hooks that quantize: hooks run in the order of registration.
            module.register_forward_pre_hook(
                lambda _module, maps, name=name: read.update({name: len(maps[0].unique())})
            )
            for name, module in network.named_modules()
            if isinstance(module, torch.nn.Conv2d)
        ]
        near = network(IMAGES)
    for hook in hooks:
        hook.remove()
    assert {"backbone.stem", "backbone.blocks.12.depthwise", "heads.embedding"} <= set(read)
    for name, numbers in read.items():
        assert numbers <= STEPS + 1 or name.startswith("heads."), name
    assert read["heads.embedding"] > STEPS + 1
    assert any(not torch.equal(a, b) for a, b in zip(before, near, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, network(IMAGES), strict=True))
    with int8_activations(network, enabled=False):
        assert all(torch.equal(a, b) for a, b in zip(before, network(IMAGES), strict=True))


def test_distillation_measures_how_far_key_points_have_moved() -> None:
    torch.manual_seed(0)
    network = KeypointNetwork().eval()
    teacher = KeypointTeacher(network)
    fine = network.backbone(IMAGES)[0]
    assert float(teacher.loss(IMAGES, network.keypoint_head, fine).detach()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        network.keypoint_head.heatmap.weight.mul_(1.5)
        network.keypoint_head.offset.weight.mul_(1.5)
    loss = teacher.loss(IMAGES, network.keypoint_head, fine)
    loss.backward()
    assert float(loss.detach()) > 1e-4
    moved = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert {
        "keypoint_head.heatmap.weight",
        "keypoint_head.offset.weight",
        "backbone.levels.2.pointwise.weight",
    } <= moved
    assert all(parameter.grad is None for parameter in teacher.parameters())
