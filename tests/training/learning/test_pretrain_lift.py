from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from captured import captured_poses, write_mocap
from movenet_file import write_movenet
from safetensors.torch import load_file, save_file

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.keypoints import JOINTS, OFFSET_SCALES_PX
from toolkit.network.network import KeypointNetwork
from toolkit.training.learning.pretrain_lift import (
    KeypointErrors,
    LiftTraining,
    draw_skeletons,
    lift_losses,
    train_lift,
)
from toolkit.training.learning.skeleton_points import FACE_POINTS
from toolkit.training.learning.train_network import read_network
from toolkit.training.run.runs import save_weights

pytestmark = pytest.mark.torch
SHORT = LiftTraining(minutes=0.05, scenes=20, warm_up=1, report_every=1)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """MoveNet's file, folder of motion capture, and the file of an embedding."""
    folder = tmp_path_factory.mktemp("material")
    torch.manual_seed(0)
    save_weights(folder / "embedding.safetensors", PoseEmbedding())
    return (
        write_movenet(folder, KeypointNetwork()),
        write_mocap(folder / "mocap", frames=20),
        folder / "embedding.safetensors",
    )


def test_encoded_offsets_decode_to_the_key_points() -> None:
    spec, generator = KeypointNetwork().spec(), torch.Generator().manual_seed(0)
    keypoints, label = draw_skeletons(
        torch.from_numpy(captured_poses(20)),
        40,
        spec,
        embedding=PoseEmbedding(),
        generator=generator,
        errors=KeypointErrors((0.0, 0.0), 1.0, 0.0),
    )
    offsets, cells_px, _ = keypoints
    assert len(offsets) == len(cells_px) > 20
    torch.testing.assert_close((cells_px - spec.cell_origin_px) % spec.stride, torch.zeros_like(cells_px))
    farthest = (
        offsets[:, -2 * JOINTS :].unflatten(1, (2, JOINTS)).transpose(1, 2)[:, FACE_POINTS:]
        * OFFSET_SCALES_PX[-1]
    )
    wanted = (label["keypoints_px"] - cells_px[:, None]).clamp(-OFFSET_SCALES_PX[-1], OFFSET_SCALES_PX[-1])
    torch.testing.assert_close(farthest, wanted, atol=1e-3, rtol=0)
    assert float(offsets.abs().max()) <= 1


def test_a_lifting_head_learns_and_the_network_starts_from_it(
    tmp_path: Path, material: tuple[Path, Path, Path]
) -> None:
    out = tmp_path / "lift.safetensors"
    train_lift(replace(SHORT, minutes=0.15), *material[:2], embedding_path=material[2], out=out)
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert lines[-1]["joints"] < 0.8 * lines[0]["joints"]
    assert not out.with_suffix(".state").exists()
    network = read_network(out)
    assert isinstance(network, KeypointNetwork)
    assert network.lifting_head.from_features.weight.count_nonzero() == 0
    weights = load_file(out)
    del weights["lifting_head.mlp.0.weight"]
    save_file(weights, tmp_path / "less.safetensors")
    with pytest.raises(PosecError, match=r"missing \['lifting_head.mlp.0.weight'\]"):
        read_network(tmp_path / "less.safetensors")


def test_an_interrupted_run_resumes(
    tmp_path: Path, material: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "lift.safetensors"
    with monkeypatch.context() as killed:
        killed.setattr("toolkit.training.run.runs.Run.finish", lambda *_: None)
        train_lift(SHORT, *material[:2], embedding_path=material[2], out=out)
    state = torch.load(out.with_suffix(".state"), weights_only=True)
    assert state["step"] >= 1
    with pytest.raises(PosecError, match="belongs to a run with"):
        train_lift(replace(SHORT, learning_rate=1.0), *material[:2], embedding_path=material[2], out=out)
    train_lift(replace(SHORT), *material[:2], embedding_path=material[2], out=out)
    assert not out.with_suffix(".state").exists()


def test_a_lifting_head_learns_to_close_the_cycle_on_request() -> None:
    torch.manual_seed(0)
    network, embedding = KeypointNetwork(), PoseEmbedding().requires_grad_(False)
    spec, generator = network.spec(), torch.Generator().manual_seed(0)
    people = draw_skeletons(
        torch.from_numpy(captured_poses(20)), 20, spec, embedding=embedding, generator=generator
    )
    assert "cycle" not in lift_losses(network, people, spec, decode=embedding.decode)
    learned = [*network.lifting_head.parameters(), *network.heads.parameters()]
    optimizer, figures = torch.optim.Adam(learned, 2e-3), []
    for _ in range(12):
        loss = lift_losses(network, people, spec, decode=embedding.decode, cycle=True)["cycle"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        figures.append(float(loss.detach()))
    assert figures[-1] < 0.8 * figures[0]
