from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.network.checkpoint import FORMER_PREFIXES, load_checkpoint, save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.network import KeypointNetwork
from toolkit.network.toml_writer import to_toml
from toolkit.training.learning.train_network import read_network

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def network() -> KeypointNetwork:
    torch.manual_seed(0)
    return KeypointNetwork().eval()


@pytest.fixture(scope="module")
def decoder() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return decoder_arrays(PoseEmbedding())


def test_a_checkpoint_is_read_as_it_was_written(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    spec = network.spec()
    save_checkpoint(tmp_path / "net", network, decoder, spec=spec, licence="Apache-2.0")
    save_checkpoint(tmp_path / "net", network, decoder, spec=spec, licence="Apache-2.0")
    loaded = load_checkpoint(tmp_path / "net")
    assert loaded.spec == spec
    assert {path.name for path in tmp_path.iterdir()} == {"net"}
    np.testing.assert_equal(loaded.decoder, decoder)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected, actual = network(images), loaded.network(images)
    assert all(torch.equal(a, b) for a, b in zip(expected, actual, strict=True))
    assert not any(
        name.startswith("auxiliary") for name in load_file(tmp_path / "net" / "network.safetensors")
    )
    assert (
        tomllib.loads((tmp_path / "net" / "spec.toml").read_text())["checkpoint"]["licence"] == "Apache-2.0"
    )


def test_an_edited_specification_is_read(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, spec=network.spec())
    text = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(
        text.replace("centre_threshold = 0.3", "centre_threshold = 0.45")
    )
    assert load_checkpoint(tmp_path / "net").spec.centre_threshold == 0.45


@pytest.mark.parametrize("name", ["spec.toml", "network.safetensors", "pose.safetensors"])
def test_damaged_and_missing_files_are_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray], name: str
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, spec=network.spec())
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
    save_checkpoint(tmp_path / "net", network, decoder, spec=network.spec())
    spec = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(spec[: spec.index("[checkpoint.sha256]")])
    weights = load_file(tmp_path / "net" / "network.safetensors")
    del weights["heads.depth.bias"]
    save_file({**weights, "heads.speed.bias": torch.zeros(1)}, tmp_path / "net" / "network.safetensors")
    with pytest.raises(PosecError, match=r"missing: \['heads.depth.bias'\], unknown: \['heads.speed.bias'\]"):
        load_checkpoint(tmp_path / "net")


def former_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights with the names that earlier versions wrote."""
    former = {}
    for name, tensor in weights.items():
        old, new = next(
            ((old, new) for old, new in FORMER_PREFIXES.items() if name.startswith(new)), ("", "")
        )
        former[old + name.removeprefix(new)] = tensor
    return former


def test_weights_under_former_names_are_read(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, spec=network.spec())
    spec = (tmp_path / "net" / "spec.toml").read_text()
    (tmp_path / "net" / "spec.toml").write_text(spec[: spec.index("[checkpoint.sha256]")])
    path = tmp_path / "net" / "network.safetensors"
    former = former_names(load_file(path))
    starts = {"trunk", "reader", "near", "far", "lift", "blocks", "context", "heads"}
    assert {name.partition(".")[0] for name in former} == starts
    for name in (
        "trunk.levels.0.side.weight",
        "reader.branches.person.0.weight",
        "reader.ways.weight",
        "lift.think.2.bias",
    ):
        assert name in former
    save_file(former, path)
    for read in (load_checkpoint(tmp_path / "net").network, read_network(path)):
        weights = read.state_dict()
        for name, tensor in network.state_dict().items():
            assert name.startswith("auxiliary.") or torch.equal(weights[name], tensor), name


@pytest.mark.parametrize("stated", ["picture", "picture and maps", None])
def test_former_architectures_are_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray], stated: str | None
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, spec=network.spec())
    path, line = tmp_path / "net" / "spec.toml", 'architecture = "picture and key points"\n'
    assert line in path.read_text()
    path.write_text(path.read_text().replace(line, f'architecture = "{stated}"\n' if stated else ""))
    with pytest.raises(
        PosecError,
        match=f"architecture '{stated or 'picture'}', which posec no longer supports; "
        "use the shipped 'reference'",
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


def test_an_unknown_architecture_is_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    save_checkpoint(tmp_path / "net", network, decoder, spec=network.spec())
    path = tmp_path / "net" / "spec.toml"
    path.write_text(path.read_text().replace('"picture and key points"', '"sound"'))
    with pytest.raises(PosecError, match="architecture 'sound'; known: picture and key points"):
        load_checkpoint(tmp_path / "net")


def test_a_decoder_of_another_embedding_is_refused(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    narrow = {**decoder, "weight_0": decoder["weight_0"][:, :8]}
    with pytest.raises(PosecError, match="turns 8 numbers into 48, the spec needs 32 into 48"):
        save_checkpoint(tmp_path / "net", network, narrow, spec=network.spec())
    assert not (tmp_path / "net").exists()


def test_a_folder_without_a_checkpoint_is_not_replaced(
    tmp_path: Path, network: KeypointNetwork, decoder: dict[str, np.ndarray]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PosecError, match="is not a checkpoint"):
        save_checkpoint(tmp_path, network, decoder, spec=network.spec())
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_written_toml_is_read_unchanged() -> None:
    table = {
        "text": 'quote " slash \\ ümlaut 🙂 \x7f\n',
        "flag": True,
        "many": [1, 2.5, "x"],
        "in": {"a b": {"deep": -1e-9}, "empty": {}},
    }
    assert tomllib.loads(to_toml(table)) == table
