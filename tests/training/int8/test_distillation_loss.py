"""The self-distillation loss of quantization-aware training: weighted by people, in metres of joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import tiny_graph_of, with_keypoints

from toolkit.runtime.decoding.kinematics import (
    decode_embeddings,
    forward_kinematics,
    layers,
    rotation_from_6d,
)

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from toolkit.training.int8 import distillation_loss as module  # noqa: E402
from toolkit.training.int8.distillation_loss import JOINT_WEIGHT, distillation_loss  # noqa: E402

GRAPH = tiny_graph_of()


def heads(spec, people: bool = True) -> dict:
    """Return heads of one person in cell (3, 5), or of no people."""
    made = {
        name: torch.zeros(1, head.channels, *spec.head_shape(name)[1:]) for name, head in spec.heads.items()
    }
    if people:
        made["centre"][0, 0, 3, 5] = 0.9
    made["rotation"][:] = torch.tensor([0.0, -1, 0, 1, 0, 0])[:, None, None]
    made["embedding"] += torch.linspace(-0.5, 0.5, spec.embedding_size)[:, None, None]
    return made


def changed(name: str, cell: tuple[int, int], by: float, spec=GRAPH.spec, people: bool = True) -> dict:
    made = heads(spec, people)
    made[name][0, :, cell[0], cell[1]] += by
    return made


def test_equal_heads_have_no_loss_and_no_gradient():
    mine = {name: values.requires_grad_() for name, values in heads(GRAPH.spec).items()}
    loss = distillation_loss(mine, heads(GRAPH.spec), GRAPH)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-7)
    assert all(float(values.grad.abs().max()) < 1e-5 for values in mine.values() if values.grad is not None)


@pytest.mark.parametrize("name", ["offset", "embedding", "rotation", "depth"])
def test_heads_are_weighted_by_people(name):
    at_person = distillation_loss(changed(name, (3, 5), 0.1), heads(GRAPH.spec), GRAPH)
    elsewhere = distillation_loss(changed(name, (6, 1), 0.1), heads(GRAPH.spec), GRAPH)
    assert float(at_person) > 100 * float(elsewhere) > 0


def test_a_false_positive_counts_in_every_cell():
    assert float(distillation_loss(changed("centre", (6, 1), 0.5), heads(GRAPH.spec), GRAPH)) > 1e-3
    assert (
        float(
            distillation_loss(
                changed("centre", (6, 1), 0.5, people=False), heads(GRAPH.spec, people=False), GRAPH
            )
        )
        > 1e-3
    )


def test_poses_are_compared_in_metres_of_the_decoded_joints(monkeypatch):
    wanted, mine = heads(GRAPH.spec), changed("embedding", (3, 5), 0.2)
    mine["rotation"][0, :, 3, 5] += torch.tensor([0.3, 0, -0.2, 0, 0.1, 0.4])
    joints_mm = []
    for each in (wanted, mine):
        embedding, rotation = (each[name][0, :, 3, 5][None].numpy() for name in ("embedding", "rotation"))
        poses_mm = forward_kinematics(
            decode_embeddings(embedding, layers(GRAPH.decoder)), GRAPH.spec.skeleton
        )
        joints_mm.append(poses_mm @ rotation_from_6d(rotation).transpose(0, 2, 1))
    apart_m = np.sqrt(np.square(joints_mm[0] - joints_mm[1]).sum(-1).mean()) / 1000
    assert apart_m > 0.05
    whole = float(distillation_loss(mine, wanted, GRAPH))
    monkeypatch.setattr(module, "JOINT_WEIGHT", 0.0)
    numbers = float(distillation_loss(mine, wanted, GRAPH))
    assert whole - numbers == pytest.approx(
        JOINT_WEIGHT * (np.hypot(apart_m, module.LINEAR_FROM_M) - module.LINEAR_FROM_M), rel=1e-3
    )


def test_key_point_offsets_are_weighted_by_their_own_heat():
    graph = replace(GRAPH, spec=with_keypoints(GRAPH.spec))
    wanted = heads(graph.spec)
    wanted["keypoints"][0, 4, 2, 2] = 0.8
    losses = {}
    for channel in (4, 4 + wanted["keypoints"].shape[1], 5):
        mine = {name: values.clone() for name, values in wanted.items()}
        mine["keypoint_offset"][0, channel, 2, 2] += 0.5
        losses[channel] = float(distillation_loss(mine, wanted, graph))
    both, other = (losses[4], losses[4 + wanted["keypoints"].shape[1]]), losses[5]
    assert both[0] == pytest.approx(both[1])
    assert both[0] > 100 * other > 0
