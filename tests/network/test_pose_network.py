from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from toolkit.errors import PosecError
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint, to_toml
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.pose_network import PoseNetwork, cost, reference_spec, to_units
from toolkit.runtime.pose import HEADS

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def network() -> PoseNetwork:
    torch.manual_seed(0)
    return PoseNetwork()


@pytest.fixture(scope="module")
def decoder() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return decoder_arrays(PoseEmbedding())


def test_maps_have_the_shapes_and_the_order_of_the_contract(network: PoseNetwork) -> None:
    spec = reference_spec()
    with torch.no_grad():
        maps = network.eval()(torch.zeros(2, 3, 64, 96))
    assert maps._fields == HEADS
    assert [tuple(head.shape) for head in maps] == [(2, spec.heads[name].channels, 8, 12) for name in HEADS]


def test_maps_reach_the_ranges_of_the_contract_and_never_leave_them() -> None:
    heads = reference_spec().heads
    for sign, bound in ((-1e3, "low"), (1e3, "high")):
        maps = to_units({name: torch.full((1, head.channels), sign) for name, head in heads.items()})
        assert {name: float(getattr(maps, name)[0, 0]) for name in heads} == {name: getattr(head, bound) for name, head in heads.items()}


def test_the_reference_network_stays_within_its_budget(network: PoseNetwork) -> None:
    products, parameters = cost(network, (256, 448))
    assert products <= 1.5e9
    assert parameters <= 4e6
    with pytest.raises(PosecError, match="multiples of 32, got 250x448"):
        cost(network, (250, 448))


def test_a_new_context_branch_adds_nothing(network: PoseNetwork) -> None:
    maps = torch.randn(1, 160, 4, 6)
    with torch.no_grad():
        assert torch.equal(network.context(maps), maps)


def test_cells_see_the_input_around_their_own_pixel() -> None:
    """A bright pixel at input (x, y) moves the trunk's maps most at the cell of that pixel: cell i is centred on pixel 8 * i."""
    trunk = PoseNetwork().trunk.eval()
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.fill_(1 / parameter[0].numel() if parameter.dim() > 1 else 0)
        spot = torch.zeros(1, 3, 64, 96)
        spot[..., 32, 48] = 1.0
        response = (trunk(spot)[0] - trunk(torch.zeros_like(spot))[0]).sum((0, 1))
    assert divmod(int(response.argmax()), response.shape[1]) == (32 // 8, 48 // 8)


def test_a_checkpoint_comes_back_as_it_went(tmp_path: Path, network: PoseNetwork, decoder: dict[str, np.ndarray]) -> None:
    spec = reference_spec()
    save_checkpoint(tmp_path / "net", network, decoder, spec, licence="Apache-2.0")
    save_checkpoint(tmp_path / "net", network, decoder, spec, licence="Apache-2.0")
    loaded = load_checkpoint(tmp_path / "net")
    assert loaded.spec == spec
    assert {path.name for path in tmp_path.iterdir()} == {"net"}
    np.testing.assert_equal(loaded.decoder, decoder)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected, found = network.eval()(images), loaded.network(images)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not any(name.startswith("auxiliary") for name in load_file(tmp_path / "net" / "network.safetensors"))
    assert tomllib.loads((tmp_path / "net" / "spec.toml").read_text())["checkpoint"]["licence"] == "Apache-2.0"


def test_an_edited_contract_is_read(tmp_path: Path, network: PoseNetwork, decoder: dict[str, np.ndarray]) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, reference_spec())
    text = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(text.replace("centre_threshold = 0.3", "centre_threshold = 0.45"))
    assert load_checkpoint(tmp_path / "net").spec.centre_threshold == 0.45


@pytest.mark.parametrize("name", ["spec.toml", "network.safetensors", "pose.safetensors"])
def test_damaged_and_missing_files_are_refused(tmp_path: Path, network: PoseNetwork, decoder: dict[str, np.ndarray], name: str) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, reference_spec())
    path = tmp_path / "net" / name
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(PosecError, match=name):
        load_checkpoint(tmp_path / "net")
    path.unlink()
    with pytest.raises(PosecError, match=f"no {name}"):
        load_checkpoint(tmp_path / "net")


def test_weights_of_another_network_are_refused(tmp_path: Path, network: PoseNetwork, decoder: dict[str, np.ndarray]) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, reference_spec())
    spec = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(spec[: spec.index("[checkpoint.sha256]")])
    weights = load_file(tmp_path / "net" / "network.safetensors")
    del weights["heads.depth.bias"]
    save_file({**weights, "heads.speed.bias": torch.zeros(1)}, tmp_path / "net" / "network.safetensors")
    with pytest.raises(PosecError, match=r"missing: \['heads.depth.bias'\], unknown: \['heads.speed.bias'\]"):
        load_checkpoint(tmp_path / "net")


def test_a_decoder_of_another_embedding_is_refused(tmp_path: Path, network: PoseNetwork, decoder: dict[str, np.ndarray]) -> None:
    narrow = {**decoder, "weight_0": decoder["weight_0"][:, :8]}
    with pytest.raises(PosecError, match="turns 8 numbers into 48, the spec needs 32 to 48"):
        save_checkpoint(tmp_path / "net", network, narrow, reference_spec())
    assert not (tmp_path / "net").exists()


def test_nothing_but_a_checkpoint_is_replaced(tmp_path: Path, network: PoseNetwork, decoder: dict[str, np.ndarray]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PosecError, match="is no checkpoint"):
        save_checkpoint(tmp_path, network, decoder, reference_spec())
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_toml_survives_reading() -> None:
    table = {"text": 'quote " slash \\ ümlaut 🙂 \x7f\n', "flag": True, "many": [1, 2.5, "x"], "in": {"a b": {"deep": -1e-9}, "empty": {}}}
    assert tomllib.loads(to_toml(table)) == table
