"""Thinned networks: channels that say nothing go without a trace, and checkpoints keep the shape."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toolkit.errors import PosecError
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.network import KeypointNetwork
from toolkit.network.shape import BLOCKS, REFERENCE, REMOVABLE, NetworkShape
from toolkit.training.search.thinning import UNITS, fit, measure_moments, rank_channels, shape_of, thin, width

pytestmark = pytest.mark.torch
SIZE = (64, 96)
FULL = {unit: width(REFERENCE, unit) for unit in UNITS}


@pytest.fixture(scope="module")
def network():
    """A network whose block 2 has its odd channels equal to the even ones before them."""
    torch.manual_seed(0)
    made = KeypointNetwork().eval()
    block = made.backbone.blocks[2]
    with torch.no_grad():
        for layer in (block.expand, block.depthwise):
            for values in (layer.weight, layer.bias):
                values[1::2] = values[::2]
    return made


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def moments(network, pictures):
    return measure_moments(network, [pictures])


@torch.no_grad()
def test_repeated_channels_are_left_out_without_a_trace(network, pictures, moments):
    half = {**FULL, "block 2": FULL["block 2"] // 2}
    thinner = thin(network, moments, shape_of(half))
    assert thinner.backbone.blocks[2].expand.weight.shape[0] == half["block 2"]
    for one, other in zip(network(pictures), thinner(pictures), strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


@torch.no_grad()
def test_a_block_without_channels_passes_its_input_on(network, pictures, moments):
    shape = shape_of({**FULL, **{f"block {number}": 0 for number in REMOVABLE}})
    thinner = thin(network, moments, shape)
    maps = torch.randn(1, BLOCKS[REMOVABLE[0]][0], 4, 4)
    assert torch.equal(thinner.backbone.blocks[REMOVABLE[0]](maps), maps)
    assert thinner(pictures).centre.shape == (2, 1, 8, 12)


def test_channels_are_ranked_by_the_error_after_the_fit():
    """Two channels carry the signal, two repeat the first: of the three equal ones one is needed."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1000, generator=generator, dtype=torch.float64)
    rows = torch.stack([one, one, other, one, torch.ones(1000, dtype=torch.float64)])
    second, weight = rows @ rows.T / 1000, torch.tensor([[1.0, 1.0, 0.5, 1.0]], dtype=torch.float64)
    order = rank_channels(weight, second, least=0).tolist()
    assert sorted(order) == [0, 1, 2, 3]
    assert 2 in order[:2]
    (first,) = set(order[:2]) - {2}
    fitted, addition = fit(weight, second, [first, 2])
    assert fitted[0, 0] == pytest.approx(3.0, rel=1e-3)
    assert fitted[0, 1] == pytest.approx(0.5, rel=1e-2)
    assert float(addition) == pytest.approx(0.0, abs=1e-3)


def test_a_checkpoint_keeps_the_shape(network, moments, tmp_path):
    shape = shape_of({**FULL, "block 5": 0, "block 9": 96, "last": 320, "latent": 128, "lifting": 64})
    thinner = thin(network, moments, shape)
    spec = replace(network.spec(), input_size=SIZE)
    save_checkpoint(tmp_path / "thin", thinner, decoder_arrays(PoseEmbedding()), spec=spec)
    loaded = load_checkpoint(tmp_path / "thin").network
    assert NetworkShape.of(loaded.state_dict()) == shape
    images = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        for one, other in zip(loaded(images), thinner(images), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": REFERENCE.hidden[:-1]},
        {"hidden": (*REFERENCE.hidden[:3], 0, *REFERENCE.hidden[4:])},  # block 3 halves the maps
        {"last": 1281},
        {"latent": 0},
    ],
)
def test_impossible_shapes_are_refused(change):
    with pytest.raises(ValueError, match=r"channels|blocks"):
        replace(REFERENCE, **change)


def test_weights_of_an_impossible_shape_are_refused(network, tmp_path):
    wide = KeypointNetwork().eval()
    wide.backbone.last = torch.nn.Conv2d(480, 2000, 1)
    wide.backbone.top = torch.nn.Conv2d(2000, 64, 1)
    save_checkpoint(tmp_path / "wide", wide, decoder_arrays(PoseEmbedding()), spec=wide.spec())
    with pytest.raises(PosecError, match="last has 2000 channels, possible are 1 to 1280"):
        load_checkpoint(tmp_path / "wide")


def test_the_reference_has_the_shape_that_it_states():
    assert NetworkShape.of(KeypointNetwork().state_dict()) == REFERENCE
    assert len(REMOVABLE) == 10
