from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_people import batch_of, people_in_a_portrait, perfect_maps

from toolkit.errors import PosecError
from toolkit.network.checkpoint import load_checkpoint
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.heads import reference_spec
from toolkit.network.network import KeypointNetwork
from toolkit.training.learning.losses import pose_losses
from toolkit.training.learning.network_settings import NetworkTraining, read_settings, read_size
from toolkit.training.learning.targets import make_targets
from toolkit.training.learning.train_network import Hardware, main, train_network
from toolkit.training.pictures.photos import load_photos
from toolkit.training.run.runs import save_weights

pytestmark = pytest.mark.torch


def test_targets_peak_at_centres_and_share_cells_by_the_nearest(
    embedding: tuple[Path, PoseEmbedding],
) -> None:
    spec = reference_spec()
    people = people_in_a_portrait(embedding[1], 3)
    goals = np.array([[48.0, 62.0], [80.0, 62.0], [160.0, 100.0]], np.float32)
    people = replace(
        people, pelvis_px=people.pelvis_px + goals - people.centres_px, usable=np.array([True, True, False])
    )
    targets = make_targets(batch_of(people), spec, (32, 56))
    assert [tuple(cell) for cell in (targets.heat[0] == 1).nonzero().tolist()] == [(8, 6), (8, 10)]
    assert targets.ignored[0, 12, 20]
    assert not targets.ignored[0, 8, 6]
    totals = torch.zeros(3).index_put((targets.cells[:, 3],), targets.weights, accumulate=True)
    np.testing.assert_allclose(totals, [1, 1, 0], atol=1e-6)
    for _, row, column, person in targets.cells.tolist():
        distances = np.linalg.norm(goals[:2] / 8 - (column, row), axis=1)
        assert distances[person] == distances.min()


def test_losses_vanish_on_perfect_maps_and_only_there(embedding: tuple[Path, PoseEmbedding]) -> None:
    people = people_in_a_portrait(embedding[1])
    raw, labels = perfect_maps(people), batch_of(people)
    losses = pose_losses(raw, labels, reference_spec(), decode=embedding[1].decode)
    found = {name: float(value.detach()) for name, value in losses.items()}
    assert found.pop("rotation") == pytest.approx(0.01, abs=1e-3)
    assert max(found.values()) < 2e-3, found
    for name, maps in raw.items():
        worse = pose_losses(
            {**raw, name: maps + (8 if name == "centre" else 0.3)},
            labels,
            reference_spec(),
            decode=embedding[1].decode,
        )
        assert float(worse[name].detach()) > 2 * found.get(name, 0.01) + 1e-4, name


def test_without_fitted_poses_photographs_teach_by_their_key_points_alone(
    embedding: tuple[Path, PoseEmbedding],
) -> None:
    people = people_in_a_portrait(embedding[1])
    raw = {name: maps + 0.3 for name, maps in perfect_maps(people).items()}

    def losses(exact: bool) -> dict[str, float]:
        labels = batch_of(replace(people, exact=np.array([exact])))
        found = pose_losses(raw, labels, reference_spec(), decode=embedding[1].decode, fitted_pose_weight=0.0)
        return {name: float(value.detach()) for name, value in found.items()}

    known, unknown = losses(True), losses(False)
    for name in ("embedding", "rotation", "depth", "joints"):
        assert known[name] > 0.01
        assert unknown[name] == 0
    for name in ("centre", "offset", "projection", "auxiliary"):
        assert unknown[name] == known[name] > 0


def test_a_batch_without_people_teaches_that_it_is_empty(embedding: tuple[Path, PoseEmbedding]) -> None:
    people = people_in_a_portrait(embedding[1])
    losses = pose_losses(
        perfect_maps(people),
        batch_of(people.select(slice(0, 0))),
        reference_spec(),
        decode=embedding[1].decode,
    )
    assert set(losses) == {"centre"}
    assert float(losses["centre"]) > 1


def test_gradients_reach_every_trainable_parameter(embedding: tuple[Path, PoseEmbedding]) -> None:
    torch.manual_seed(0)
    network = KeypointNetwork().train()
    network.backbone.freeze()
    with torch.no_grad():
        for zero in (
            network.context.merge,
            network.lifting_head.from_features,
        ):  # at their zero start, what is before them has no gradient yet
            zero.weight.normal_(std=0.05)
    people = people_in_a_portrait(embedding[1])
    raw = network.raw_maps(*network.backbone(torch.randn(1, 3, 256, 448)))
    losses = pose_losses(raw, batch_of(people), network.spec(), decode=embedding[1].decode)
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in network.named_parameters():
        # MobileNetV2 is frozen; heat and offsets of key points are judged by the anchor alone.
        unused = ("keypoint_head.heatmap", "keypoint_head.offset", "keypoint_head.branches.offset")
        if name.startswith(("backbone.stem", "backbone.blocks.", "backbone.last", *unused)):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_a_run_learns_is_kept_and_goes_on(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    torch.manual_seed(0)
    save_weights(tmp_path / "start.safetensors", KeypointNetwork())
    photos = load_photos(material[0], material[1], "ship", bodies=material[2])
    config = NetworkTraining(
        init=str(tmp_path / "start.safetensors"),
        pictures=4,
        batch=2,
        warm_up=1,
        report_every=1,
        save_every_s=0,
    )
    train_network(config, photos, embedding[0], out=tmp_path / "out", hardware=Hardware(workers=0))
    train_network(
        replace(config, pictures=6), photos, embedding[0], out=tmp_path / "out", hardware=Hardware(workers=0)
    )
    lines = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [2, 4, 6]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    kept = load_checkpoint(tmp_path / "out/checkpoint").network.state_dict()
    start = KeypointNetwork().state_dict()
    assert any(not torch.equal(kept[name], start[name]) for name in kept if name.startswith("heads."))
    with pytest.raises(PosecError, match="delete it or give another output"):
        train_network(
            replace(config, learning_rate=1.0),
            photos,
            embedding[0],
            out=tmp_path / "out",
            hardware=Hardware(workers=0),
        )
    with pytest.raises(PosecError, match=r"posec train lift.*give --init"):
        train_network(
            replace(config, init=""), photos, embedding[0], out=tmp_path / "new", hardware=Hardware(workers=0)
        )
    with pytest.raises(PosecError, match="one of them must be 0"):
        train_network(
            replace(config, minutes=1.0),
            photos,
            embedding[0],
            out=tmp_path / "out",
            hardware=Hardware(workers=0),
        )


@pytest.mark.parametrize("backbone_rate", [0.0, 1e-4])
def test_a_network_that_reads_key_points_learns_pictures(
    tmp_path: Path,
    material: tuple[Path, Path, Path],
    embedding: tuple[Path, PoseEmbedding],
    backbone_rate: float,
) -> None:
    torch.manual_seed(0)
    start = KeypointNetwork()
    save_weights(tmp_path / "start.safetensors", start)
    photos = load_photos(material[0], material[1], "ship", bodies=material[2])
    config = NetworkTraining(
        init=str(tmp_path / "start.safetensors"),
        pictures=4,
        batch=2,
        warm_up=1,
        report_every=1,
        save_every_s=0,
        backbone_rate=backbone_rate,
        int8_share=0.5,
    )
    train_network(config, photos, embedding[0], out=tmp_path / "out", hardware=Hardware(workers=0))
    network, _, spec, _ = load_checkpoint(tmp_path / "out/checkpoint")
    assert (spec.cell_origin_px, spec.keypoints) == (2.0, start.spec().keypoints)
    kept, first = network.state_dict(), start.state_dict()
    assert not torch.equal(kept["fine_projection.0.weight"], first["fine_projection.0.weight"])
    assert torch.equal(kept["backbone.stem.weight"], first["backbone.stem.weight"])
    assert torch.equal(kept["backbone.blocks.16.project.weight"], first["backbone.blocks.16.project.weight"])
    for name in (
        "backbone.levels.0.side.weight",
        "keypoint_head.regression.weight",
        "keypoint_head.heatmap.weight",
    ):
        assert torch.equal(kept[name], first[name]) == (backbone_rate == 0), name


def test_a_network_learns_at_the_given_size(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    save_weights(tmp_path / "start.safetensors", KeypointNetwork())
    options = {
        "data": material[0],
        "labels": material[1],
        "bodies": material[2],
        "embedding": embedding[0],
        "out": tmp_path / "out",
        "init": tmp_path / "start.safetensors",
        "workers": 0,
        "threads": 1,
        "size": "96x160",
    }
    (tmp_path / "short.toml").write_text("[network]\npictures = 2\nbatch = 2\ninput_size = [64, 64]\n")
    main(
        [
            "--config",
            str(tmp_path / "short.toml"),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ]
    )
    assert load_checkpoint(tmp_path / "out/checkpoint").spec.input_size == (96, 160)
    assert read_settings(tmp_path / "short.toml").input_size == (64, 64)


@pytest.mark.parametrize(
    "text", ["384", "384x", "x640", "384x650", "0x640", "-32x640", "384x640x3", "384 x 640"]
)
def test_sizes_that_the_network_cannot_take_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"multiples of 32|write HEIGHTxWIDTH"):
        read_size(text)


def test_processes_learn_one_network_together(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    save_weights(tmp_path / "start.safetensors", KeypointNetwork())
    config = tmp_path / "config.toml"
    config.write_text("[network]\npictures = 8\nbatch = 2\nwarm_up = 1\nreport_every = 1\nsave_every_s = 0\n")
    options = {
        "config": config,
        "data": material[0],
        "labels": material[1],
        "bodies": material[2],
        "embedding": embedding[0],
        "init": tmp_path / "start.safetensors",
        "out": tmp_path / "out",
        "threads": 1,
        "workers": 0,
    }
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "toolkit.training.learning.train_network",
    ]
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([*launch, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [(line["step"], line["pictures"]) for line in lines] == [(1, 4), (2, 8)]
    assert isinstance(load_checkpoint(tmp_path / "out/checkpoint").network, KeypointNetwork)


def test_the_reference_configuration_is_read(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "toolkit/training/configs/reference.toml"
    settings = read_settings(path)
    assert settings.loss_weights["rotation"] == 0.5
    assert settings.mixture.empty == 0.15
    (tmp_path / "odd.toml").write_text("[network]\nlearning_speed = 1.0\n")
    with pytest.raises(PosecError, match="learning_speed"):
        read_settings(tmp_path / "odd.toml")
