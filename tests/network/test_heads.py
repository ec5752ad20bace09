from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.network.checkpoint import load_checkpoint, save_checkpoint, to_toml
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.heads import reference_spec, to_units
from toolkit.network.network import KeypointNetwork

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def network() -> KeypointNetwork:
    torch.manual_seed(0)
    return KeypointNetwork().eval()


@pytest.fixture(scope="module")
def decoder() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return decoder_arrays(PoseEmbedding())


def test_maps_reach_the_ranges_of_the_contract_and_never_leave_them() -> None:
    heads = reference_spec().heads
    for sign, bound in ((-1e3, "low"), (1e3, "high")):
        maps = to_units({name: torch.full((1, head.channels), sign) for name, head in heads.items()})
        assert {name: float(getattr(maps, name)[0, 0]) for name in heads} == {
            name: getattr(head, bound) for name, head in heads.items()
        }


def test_a_new_context_branch_adds_nothing(network: KeypointNetwork) -> None:
    maps = torch.randn(1, 128, 4, 6)
    with torch.no_grad():
        assert torch.equal(network.context(maps), maps)


def test_a_checkpoint_comes_back_as_it_went(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    spec = network.spec()
    save_checkpoint(tmp_path / "net", network, decoder, spec, licence="Apache-2.0")
    save_checkpoint(tmp_path / "net", network, decoder, spec, licence="Apache-2.0")
    loaded = load_checkpoint(tmp_path / "net")
    assert loaded.spec == spec
    assert {path.name for path in tmp_path.iterdir()} == {"net"}
    np.testing.assert_equal(loaded.decoder, decoder)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected, found = network(images), loaded.network(images)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not any(
        name.startswith("auxiliary") for name in load_file(tmp_path / "net" / "network.safetensors")
    )
    assert (
        tomllib.loads((tmp_path / "net" / "spec.toml").read_text())["checkpoint"]["licence"] == "Apache-2.0"
    )


def test_an_edited_contract_is_read(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, network.spec())
    text = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(
        text.replace("centre_threshold = 0.3", "centre_threshold = 0.45")
    )
    assert load_checkpoint(tmp_path / "net").spec.centre_threshold == 0.45


@pytest.mark.parametrize("name", ["spec.toml", "network.safetensors", "pose.safetensors"])
def test_damaged_and_missing_files_are_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray], name: str
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, network.spec())
    path = tmp_path / "net" / name
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(PosecError, match=name):
        load_checkpoint(tmp_path / "net")
    path.unlink()
    with pytest.raises(PosecError, match=f"no {name}"):
        load_checkpoint(tmp_path / "net")


def test_weights_of_another_network_are_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, network.spec())
    spec = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(spec[: spec.index("[checkpoint.sha256]")])
    weights = load_file(tmp_path / "net" / "network.safetensors")
    del weights["heads.depth.bias"]
    save_file({**weights, "heads.speed.bias": torch.zeros(1)}, tmp_path / "net" / "network.safetensors")
    with pytest.raises(PosecError, match=r"missing: \['heads.depth.bias'\], unknown: \['heads.speed.bias'\]"):
        load_checkpoint(tmp_path / "net")


@pytest.mark.parametrize("stated", ["picture", "picture and maps", None])
def test_networks_that_posec_no_longer_has_are_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray], stated: str | None
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, network.spec())
    path, line = tmp_path / "net" / "spec.toml", 'architecture = "picture and key points"\n'
    assert line in path.read_text()
    path.write_text(path.read_text().replace(line, f'architecture = "{stated}"\n' if stated else ""))
    with pytest.raises(
        PosecError,
        match=f"architecture '{stated or 'picture'}', which posec no longer has: use the shipped network",
    ):
        load_checkpoint(tmp_path / "net")
    assert (
        main(
            [
                "export",
                str(tmp_path / "net"),
                "--target",
                "generic-cpu",
                "--precision",
                "float32",
                "-o",
                str(tmp_path / "out"),
            ]
        )
        != 0
    )
    assert not (tmp_path / "out").exists()


def test_an_architecture_that_is_not_known_is_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, network.spec())
    path = tmp_path / "net" / "spec.toml"
    path.write_text(path.read_text().replace('"picture and key points"', '"sound"'))
    with pytest.raises(PosecError, match="architecture 'sound'; known: picture and key points"):
        load_checkpoint(tmp_path / "net")


def test_a_decoder_of_another_embedding_is_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    narrow = {**decoder, "weight_0": decoder["weight_0"][:, :8]}
    with pytest.raises(PosecError, match="turns 8 numbers into 48, the spec needs 32 into 48"):
        save_checkpoint(tmp_path / "net", network, narrow, network.spec())
    assert not (tmp_path / "net").exists()


def test_nothing_but_a_checkpoint_is_replaced(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PosecError, match="is no checkpoint"):
        save_checkpoint(tmp_path, network, decoder, network.spec())
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_toml_survives_reading() -> None:
    table = {
        "text": 'quote " slash \\ ümlaut 🙂 \x7f\n',
        "flag": True,
        "many": [1, 2.5, "x"],
        "in": {"a b": {"deep": -1e-9}, "empty": {}},
    }
    assert tomllib.loads(to_toml(table)) == table
