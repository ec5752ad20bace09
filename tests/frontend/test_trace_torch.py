"""Checkpoints that need torch: weights of the reference architecture, and programs of torch.export."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from networks import toml
from safetensors.numpy import save_file

from toolkit.errors import PosecError
from toolkit.frontend.trace import trace
from toolkit.passes import prepare
from toolkit.passes.opset.lower_opset import OPSET
from toolkit.runtime.pose import HEADS

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
SIZE = (64, 96)
CHANNELS = {"centre": 1, "offset": 2, "embedding": 32, "rotation": 6, "depth": 1}


@pytest.fixture(scope="module")
def spec():
    from toolkit.network.heads import reference_spec

    return dataclasses.replace(reference_spec(), input_size=SIZE)


@pytest.fixture(scope="module")
def decoder(spec):
    random = np.random.default_rng(0)
    return {
        "weight_0": random.normal(0, 1, (3 * len(spec.skeleton.bones), 32)).astype(np.float32),
        "bias_0": np.zeros(48, np.float32),
    }


def assert_heads(graph, wanted):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    heads = session.run(list(HEADS), {graph.input_name: np.zeros((1, 3, *SIZE), np.float32)})
    for name, values in zip(HEADS, heads, strict=True):
        np.testing.assert_allclose(values, wanted[name].detach().numpy(), atol=1e-5, err_msg=name)


def test_weights_of_the_reference_architecture(decoder, tmp_path):
    from toolkit.network.checkpoint import save_checkpoint
    from toolkit.network.network import KeypointNetwork

    torch.manual_seed(1)
    network = KeypointNetwork().eval()
    spec = dataclasses.replace(network.spec(), input_size=SIZE)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # away from the identity
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    save_checkpoint(tmp_path / "weights", network, decoder, spec=spec, licence="none")
    graph = prepare(trace(tmp_path / "weights"))
    assert_heads(graph, network(torch.zeros(1, 3, *SIZE))._asdict())
    assert graph.model.opset_import[0].version == OPSET
    assert graph.model.graph.node[0].name == "backbone.stem.Conv"


@pytest.fixture(scope="module")
def weights(decoder, tmp_path_factory):
    """An untrained network as a checkpoint."""
    from toolkit.network.checkpoint import save_checkpoint
    from toolkit.network.network import KeypointNetwork

    folder = tmp_path_factory.mktemp("weights") / "checkpoint"
    network = KeypointNetwork()
    save_checkpoint(folder, network, decoder, spec=dataclasses.replace(network.spec(), input_size=SIZE))
    return folder


def test_weights_are_traced_at_another_size(weights):
    graph = trace(f"{weights}@128x64")
    assert graph.spec.input_size == (128, 64)
    assert graph.heads["centre"][1] == (1, 1, 16, 8)


@pytest.mark.parametrize("size", ["100x64", "0x64", "64x8192"])
def test_sizes_that_the_network_cannot_take_are_refused(size, weights):
    with pytest.raises(PosecError, match="multiples of 32, up to 4096"):
        trace(f"{weights}@{size}")


class Small(torch.nn.Module):
    """Five heads of one layer; returns them by name, in an order of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 8, 8), torch.nn.BatchNorm2d(8), torch.nn.Hardswish()
        )
        self.heads = torch.nn.ModuleDict(
            {
                name: torch.nn.Conv2d(8, CHANNELS[name], 1)
                for name in ("depth", "rotation", "centre", "embedding", "offset")
            }
        )

    def forward(self, images):
        features = self.stem(images)
        return {name: torch.tanh(head(features)) for name, head in self.heads.items()}


class SmallTuple(Small):
    """Returns the heads in the order of HEADS."""

    def forward(self, images):
        heads = super().forward(images)
        return tuple(heads[name] for name in HEADS)


def write_program(folder, module, spec, decoder):
    folder.mkdir()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, *SIZE),)), folder / "model.pt2")
    save_file(decoder, folder / "pose.safetensors")
    (folder / "spec.toml").write_text(toml({**spec.to_dict(), "checkpoint": {"network": "model.pt2"}}))
    return folder


@pytest.mark.parametrize("returning", [Small, SmallTuple])
def test_a_saved_program(returning, spec, decoder, tmp_path):
    module = returning().eval()
    graph = prepare(trace(write_program(tmp_path / "program", module, spec, decoder)))
    assert graph.model.opset_import[0].version == OPSET
    assert_heads(graph, Small.forward(module, torch.zeros(1, 3, *SIZE)))
