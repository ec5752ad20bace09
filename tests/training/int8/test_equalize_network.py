from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolkit.errors import PosecError
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.network import KeypointNetwork
from toolkit.training.int8.channel_ranges import MAX_FACTOR, range_scale
from toolkit.training.int8.equalize import equalize, main

pytestmark = pytest.mark.torch
PICTURES = torch.randn(4, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def uneven_network() -> KeypointNetwork:
    """A network with unequal channel ranges, in which every part affects the outputs."""
    torch.manual_seed(0)
    network = KeypointNetwork().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(torch.exp(torch.randn(len(module.weight))).reshape(-1, 1, 1, 1))
                nn.init.normal_(module.weight, std=float(module.weight.std()) + 1e-2)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 2.0)
                nn.init.normal_(module.bias, std=0.3)
    return network


def spread(maps: Tensor) -> float:
    """The largest range of a channel relative to the median one."""
    ranges = maps.abs().amax((0, 2, 3))
    return float(ranges.max() / ranges.median())


@torch.no_grad()
def test_outputs_are_unchanged_and_ranges_become_equal() -> None:
    network = uneven_network()
    before, (fine, deep) = network(PICTURES), network.backbone(PICTURES)
    equalize(network, PICTURES.split(2))
    for name, values, wanted in zip(network.spec().head_names, network(PICTURES), before, strict=True):
        torch.testing.assert_close(values, wanted, atol=1e-3 * float(wanted.abs().max()), rtol=0, msg=name)
    even_fine, even_deep = network.backbone(PICTURES)
    for maps, wanted in ((even_fine, fine), (even_deep[0], deep[0])):
        assert spread(maps) < 0.75 * spread(wanted)
        assert spread(maps) < 1.3


@torch.no_grad()
def test_channels_before_a_relu6_fill_its_range() -> None:
    network = uneven_network()
    equalize(network, [PICTURES])
    stem = network.backbone.stem(PICTURES).clamp(min=0).amax((0, 2, 3))
    assert float(stem.min()) > 5  # 6 with a margin


def test_the_factor_of_silent_channels_is_bounded() -> None:
    assert range_scale(torch.tensor([12.0, 6.0, 0.0])).tolist() == pytest.approx([0.5, 1.0, 0.5 * MAX_FACTOR])


def test_no_pictures_are_refused() -> None:
    with pytest.raises(PosecError, match="no pictures"):
        equalize(KeypointNetwork(), [])


def test_a_checkpoint_is_equalized_from_pictures(tmp_path: Path) -> None:
    network, rng = uneven_network(), np.random.default_rng(0)
    save_checkpoint(tmp_path / "network", network, decoder_arrays(PoseEmbedding()), spec=network.spec())
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"pictures/{number}.png"), rng.integers(0, 256, (90, 120, 3), np.uint8))
    main(
        [
            "--checkpoint",
            str(tmp_path / "network"),
            "--pictures",
            str(tmp_path / "pictures"),
            "--most",
            "2",
            "--out",
            str(tmp_path / "even"),
        ]
    )
    assert not torch.equal(
        load_checkpoint(tmp_path / "even").network.get_parameter("backbone.last.weight"),
        network.backbone.last.weight,
    )
