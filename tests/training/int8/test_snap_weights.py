"""Weights snapped to the int8 grid are unchanged by compilation."""

import numpy as np
import pytest
import torch

from toolkit.frontend.trace import checkpoint_folder
from toolkit.network.checkpoint import TRAINING_ONLY, load_checkpoint, save_checkpoint
from toolkit.network.checkpoint_files import read_files
from toolkit.network.network import KeypointNetwork
from toolkit.passes.quantize.qparams import to_int8, weight_scales
from toolkit.training.int8 import snap_weights as module
from toolkit.training.int8.snap_weights import snap_network, snap_to_grid


@pytest.mark.parametrize("shape", [(48, 1, 3, 3), (32, 64, 1, 1), (17, 24, 3, 3)])
def test_the_compiler_leaves_snapped_weights_unchanged(shape):
    weight = (
        torch.randn(shape, generator=torch.Generator().manual_seed(1))
        * torch.logspace(-3, 1, shape[0])[:, None, None, None]
    )
    snapped = snap_to_grid(weight)
    largest = weight.abs().flatten(1).amax(1)[:, None, None, None]
    assert ((snapped - weight).abs() <= 0.501 * largest / 127).all(), "half a step"
    assert not torch.allclose(snapped, weight, rtol=1e-4)
    values = snapped.numpy()
    scales = weight_scales(values, 0)
    compiled = to_int8(values, scales, 0) * scales.reshape(-1, 1, 1, 1)
    assert (np.abs(compiled - values) <= 1e-5 * largest.numpy()).all()


def test_channels_of_zeros_stay_zero():
    weight = torch.zeros(3, 8, 1, 1)
    weight[1] = torch.linspace(-1, 1, 8)[:, None, None]
    snapped = snap_to_grid(weight)
    assert torch.equal(snapped[0], weight[0])
    assert torch.equal(snapped[2], weight[2])


def test_only_the_backbone_and_the_key_point_head_are_snapped(tmp_path, capsys):
    torch.manual_seed(2)
    network = KeypointNetwork().eval()
    decoder = {"weight_0": np.zeros((48, 32), np.float32), "bias_0": np.ones(48, np.float32)}
    save_checkpoint(tmp_path / "moved", network, decoder, spec=network.spec())
    module.main(["--checkpoint", str(tmp_path / "moved"), "--out", str(tmp_path / "snapped")])
    assert "backbone.stem" in capsys.readouterr().out
    snapped = load_checkpoint(tmp_path / "snapped").network
    before, after = (
        network.state_dict(),
        {name: value.clone() for name, value in snapped.state_dict().items()},
    )
    changed = {
        name
        for name in after
        if not name.startswith(TRAINING_ONLY) and not torch.equal(before[name], after[name])
    }
    layers = {
        f"{name}.weight" for name, layer in network.named_modules() if isinstance(layer, torch.nn.Conv2d)
    }
    assert changed == {name for name in layers if name.startswith(("backbone.", "keypoint_head."))}
    assert snap_network(snapped)[0] == "backbone.stem"
    for name, again in snapped.state_dict().items():
        torch.testing.assert_close(
            again, after[name], rtol=0, atol=1e-6, msg=f"{name}: a second time changes nothing"
        )


def test_a_checkpoint_keeps_its_temporal_stage(tmp_path):
    network = KeypointNetwork().eval()
    shipped = read_files(checkpoint_folder("reference"))
    save_checkpoint(
        tmp_path / "moved", network, shipped.decoder, spec=network.spec(), temporal=shipped.temporal
    )
    module.main(["--checkpoint", str(tmp_path / "moved"), "--out", str(tmp_path / "snapped")])
    kept = read_files(tmp_path / "snapped").temporal
    assert shipped.temporal
    assert set(kept) == set(shipped.temporal)
    assert all((kept[name] == values).all() for name, values in shipped.temporal.items())
