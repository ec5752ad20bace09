from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from captured import captured_poses, write_mocap
from safetensors.torch import load_file

from toolkit.errors import PosecError
from toolkit.network.checkpoint import save_checkpoint
from toolkit.network.embedding import PoseEmbedding, decoder_arrays
from toolkit.network.map_network import JointNetwork, MapNetwork
from toolkit.network.pose_network import PoseNetwork, reference_spec
from toolkit.training.network_run import NetworkRun
from toolkit.training.network_settings import NetworkTraining
from toolkit.training.people import BODY_KEYPOINTS
from toolkit.training.runs import save_weights
from toolkit.training.train_joint import first_network, skeleton_source
from toolkit.training.train_maps import MapTraining, join, read_map_network, synthetic_batch, train_maps
from toolkit.training.train_votes import Pool, VotesTraining, around_centres, train_votes

pytestmark = pytest.mark.torch
SHORT = MapTraining(minutes=0.01, batch=2, real=0, report_every=1, save_every_s=0.0)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of motion capture and the file of an embedding."""
    folder = tmp_path_factory.mktemp("material")
    torch.manual_seed(0)
    save_weights(folder / "embedding.safetensors", PoseEmbedding())
    return write_mocap(folder / "mocap", frames=20), folder / "embedding.safetensors"


def test_a_map_network_is_trained_and_voted(tmp_path: Path, material: tuple[Path, Path]) -> None:
    out = tmp_path / "maps.safetensors"
    train_maps(SHORT, *material, out)
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert all(line["centre"] > 0 for line in lines)
    before = load_file(out)
    settings = VotesTraining(minutes=0.005, batch=4, real=0, replay=2, cells=64, report_every=2)
    train_votes(settings, out, *material, tmp_path / "votes.safetensors")
    after = load_file(tmp_path / "votes.safetensors")
    assert torch.equal(before["map_branch.reduce.0.weight"], after["map_branch.reduce.0.weight"])
    assert torch.equal(before["settle.votes.windows.0.weight"], after["settle.votes.windows.0.weight"])
    assert not torch.equal(before["settle.votes.enter.0.weight"], after["settle.votes.enter.0.weight"])


def test_an_interrupted_run_goes_on(tmp_path: Path, material: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "maps.safetensors"
    finish = "toolkit.training.runs.Run.finish"
    with monkeypatch.context() as killed:
        killed.setattr(finish, lambda *_: None)
        train_maps(SHORT, *material, out)
    state = torch.load(out.with_suffix(".state"), weights_only=True)
    assert state["clock"]["spent_s"] > 0
    train_maps(SHORT, *material, out)
    assert not out.with_suffix(".state").exists()
    torch.save(state, out.with_suffix(".state"))
    with pytest.raises(PosecError, match="belongs to a run with"):
        train_maps(replace(SHORT, learning_rate=1.0), *material, out)


def test_other_files_are_no_map_network(tmp_path: Path) -> None:
    with pytest.raises(PosecError, match="does not hold a map network"):
        read_map_network(tmp_path / "missing.safetensors")
    save_weights(tmp_path / "picture.safetensors", PoseNetwork())
    with pytest.raises(PosecError, match="holds more than a map network"):
        read_map_network(tmp_path / "picture.safetensors")


def test_readings_are_those_of_the_cells_around_each_centre() -> None:
    spec, generator = reference_spec(), torch.Generator().manual_seed(0)
    maps, labels = synthetic_batch(torch.from_numpy(captured_poses(20)), 6, spec, PoseEmbedding(), generator)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(28.0), indexing="ij")
    places = torch.stack([columns, rows]).expand(6, 2, 16, 28) * 16
    (found,), label, cells_px = around_centres(lambda _: [places], (maps, labels))
    assert torch.equal(found, cells_px)
    inside = ((label["centres_px"] < torch.tensor([432.0, 240.0])) & (label["centres_px"] > 0)).all(1)
    assert inside.any()
    assert (found - label["centres_px"])[inside].abs().max() <= 16
    pool = Pool(2)
    for mark in (1.0, 2.0, 3.0):
        pool.add(([torch.full((5, 3), mark)], {"px_per_m": torch.full((5,), mark)}, torch.full((5, 2), mark)))
    sums, label, cells_px = pool.draw(80, generator)
    assert torch.equal(sums[0][:, 0], label["px_per_m"])
    assert torch.equal(cells_px[:, 1], label["px_per_m"])
    assert set(label["px_per_m"].tolist()) == {2.0, 3.0}


def test_a_join_learns_from_pictures_and_skeletons(material: tuple[Path, Path]) -> None:
    network = JointNetwork()
    network.take_over(MapNetwork())
    run = NetworkRun(NetworkTraining(pictures=8, batch=2), network, None, "cpu")
    assert sum(parameter.numel() for parameter in network.reader.parameters()) <= sum(parameter.numel() for parameter in run.trunk)
    skeletons = skeleton_source(*material, count=2, seed=3)
    assert torch.equal(skeletons(5)[0], skeletons(5)[0])
    assert not torch.equal(skeletons(5)[0], skeletons(6)[0])
    larger = skeleton_source(*material, count=2, seed=3, spec=replace(reference_spec(), input_size=(384, 640)))
    assert larger(5)[0].shape[2:] == (24, 40)
    spec = reference_spec()
    batch = {"image": torch.randint(0, 255, (2, *spec.input_size, 3), dtype=torch.uint8), **skeletons(1)[1]}
    assert batch["keypoints_px"].shape[2] == BODY_KEYPOINTS
    adapter = network.adapter.weight.clone()
    figures = run.learn(batch, spec, PoseEmbedding().decode, skeletons(2))
    assert figures["norm"] > 0
    assert not torch.equal(adapter, network.adapter.weight)
    doubled = join([skeletons(1), skeletons(2)])
    assert len(doubled[0]) == len(doubled[1]["status"]) == 4


def test_a_join_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, decoder = JointNetwork(), decoder_arrays(PoseEmbedding())
    save_checkpoint(tmp_path / "joined", network, decoder, replace(network.spec(), input_size=(384, 640)))
    found, spec = first_network(tmp_path / "joined", None, None, tmp_path / "posenet.tflite")
    assert spec.input_size == (384, 640)
    assert torch.equal(found.adapter.weight, network.adapter.weight)
    save_checkpoint(tmp_path / "picture", PoseNetwork(), decoder, reference_spec())
    with pytest.raises(PosecError, match="architecture 'picture', needed: 'picture and maps'"):
        first_network(tmp_path / "picture", None, None, tmp_path / "posenet.tflite")
    with pytest.raises(PosecError, match="give the two or the one"):
        first_network(tmp_path / "joined", tmp_path / "picture.safetensors", None, tmp_path / "posenet.tflite")
