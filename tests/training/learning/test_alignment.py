"""The losses between two modalities and two views: zero for consistent outputs, else known values."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from captured import captured_poses
from labelled_people import batch_of, people_in_a_portrait, perfect_maps

from toolkit.network.embedding import PoseEmbedding
from toolkit.network.heads import reference_spec
from toolkit.network.keypoints import JOINTS, encode_offsets
from toolkit.network.network import KeypointNetwork
from toolkit.network.torch_kinematics import mirror_directions
from toolkit.runtime.pose import PoseSpec
from toolkit.training.learning.alignment import (
    alignment_loss,
    cycle_loss,
    labelled_offsets,
    labelled_points,
    lifted_poses,
)
from toolkit.training.learning.consistency import Views, consistency_loss, draw_views, second_view
from toolkit.training.learning.network_settings import NetworkTraining
from toolkit.training.learning.network_step import NetworkLearner
from toolkit.training.pictures.people import People
from toolkit.training.pictures.pictures import similarity

pytestmark = pytest.mark.torch
SPEC: PoseSpec = reference_spec()
HEIGHT, WIDTH = SPEC.input_size
FACE = JOINTS - 12


@pytest.fixture(scope="module")
def embedding() -> PoseEmbedding:
    torch.manual_seed(0)
    return PoseEmbedding().eval().requires_grad_(False)


class TwoPoses(PoseEmbedding):
    """An embedding of one pose and its mirror image, with codes of opposite signs."""

    def encode(self, directions: torch.Tensor) -> torch.Tensor:
        return torch.full((len(directions), 32), 0.5)

    def decode(self, embeddings: torch.Tensor) -> torch.Tensor:
        pose = torch.from_numpy(captured_poses(1))
        return torch.where(embeddings[:, :1, None] > 0, pose, mirror_directions(pose.clone()))


def person(embedding: PoseEmbedding, middle: tuple[float, float] = (220.0, 130.0)) -> People:
    """A person with the torso at a place in pixels of the input."""
    people = people_in_a_portrait(embedding)
    shift = np.array(middle, np.float32) - people.centres_px
    return people.moved(np.hstack([np.eye(2), shift.T]).astype(np.float32))


def figures_of(learner: NetworkLearner, batch: dict[str, torch.Tensor], step: int = 0) -> dict[str, float]:
    """The figures of one step at full learning rate."""
    return {name: float(value) for name, value in learner.learn(batch, step, done=0.0).items()}


def views(flipped: bool = False, angle: float = 0.0, zoom: float = 1.0) -> Views:
    return Views(torch.tensor([flipped]), torch.tensor([angle]), torch.tensor([zoom]))


@pytest.mark.parametrize(
    ("flipped", "angle", "zoom"),
    [(False, 0.0, 1.0), (True, 0.0, 1.0), (False, 0.25, 1.0), (True, -0.2, 1.25), (False, 0.1, 0.75)],
)
def test_people_transformed_as_the_view_are_consistent(flipped: bool, angle: float, zoom: float) -> None:
    embedding = TwoPoses()
    people = person(embedding)
    seen = people.mirrored(WIDTH) if flipped else people
    middle = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    first, moved = (
        perfect_maps(people),
        perfect_maps(seen.moved(similarity(middle, middle, zoom, angle=angle).astype(np.float32))),
    )
    assert (
        float(consistency_loss(first, moved, views(flipped, angle, zoom), spec=SPEC, decode=embedding.decode))
        < 0.01
    )
    for other in (
        views(not flipped, angle, zoom),
        views(flipped, angle + 0.5, zoom),
        views(flipped, angle, zoom * 1.5),
    ):
        assert float(consistency_loss(first, moved, other, spec=SPEC, decode=embedding.decode)) > 0.1


def test_a_view_is_transformed_as_the_loss_expects() -> None:
    for again in (views(), views(True), views(False, 0.25), views(True, -0.2, 1.25), views(False, 0.1, 0.75)):
        place, middle = torch.tensor([250.0, 150.0]), torch.tensor([WIDTH - 1, HEIGHT - 1]) / 2
        rows, columns = torch.meshgrid(torch.arange(float(HEIGHT)), torch.arange(float(WIDTH)), indexing="ij")
        blob = torch.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / 50)
        seen = second_view(blob.expand(1, 3, HEIGHT, WIDTH), again)[0, 0]
        found = torch.stack([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
        expected = (again.zoom[0] * again.rotation[0]) @ (place - middle) + middle
        torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


def test_views_are_drawn_within_their_bounds() -> None:
    drawn = draw_views(500, torch.Generator().manual_seed(0))
    assert 0.4 < drawn.flipped.float().mean() < 0.6
    assert drawn.angle_rad.abs().max() <= 0.26
    assert 0.7 <= drawn.zoom.min() < 0.72
    assert 1.28 < drawn.zoom.max() <= 1.3


def test_people_outside_the_view_are_ignored(embedding: PoseEmbedding) -> None:
    people = person(embedding, (400.0, 130.0))
    raw = perfect_maps(people)
    assert float(consistency_loss(raw, raw, views(zoom=1.5), spec=SPEC, decode=embedding.decode)) == 0


def test_a_network_learns_alignment_cycle_and_consistency(embedding: PoseEmbedding) -> None:
    """Repeated steps on one batch, with low weights of the other losses."""
    torch.manual_seed(0)
    network = KeypointNetwork()
    with torch.no_grad():
        network.heads.get_parameter("centre.bias").fill_(
            0.0
        )  # people in every cell, so that views have some in common
    little = dict.fromkeys(NetworkTraining().loss_weights, 0.01)
    config = NetworkTraining(
        pictures=100,
        batch=2,
        warm_up=1,
        learning_rate=2e-3,
        backbone_rate=0.0,
        distillation_weight=0.0,
        align_weight=1.0,
        cycle_weight=1.0,
        consistency_weight=1.0,
        consistency_pictures=1,
        average_decay=0.5,
        loss_weights=little,
    )
    learner = NetworkLearner(config, network, embedding.decode)
    image = torch.randint(0, 255, (2, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    people = batch_of(person(embedding))
    batch = {
        "image": image,
        **{name: part.repeat(2, *[1] * (part.dim() - 1)) for name, part in people.items()},
    }
    figures = [figures_of(learner, batch, step) for step in range(8)]
    for name in ("align", "cycle", "consistency"):
        assert np.isfinite([step[name] for step in figures]).all()
    for name in ("align", "cycle"):
        assert figures[-1][name] < 0.9 * figures[0][name], name


def test_without_fitted_poses_a_photograph_has_no_pose_losses(embedding: PoseEmbedding) -> None:
    batch = {"image": torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8), **batch_of(person(embedding))}

    def first_step(fitted: float) -> dict[str, float]:
        torch.manual_seed(0)
        config = NetworkTraining(
            pictures=4, batch=1, backbone_rate=0.0, distillation_weight=0.0, fitted_pose_weight=fitted
        )
        learner = NetworkLearner(config, KeypointNetwork(), embedding.decode)
        return figures_of(learner, batch)

    fitted, unfitted = first_step(1.0), first_step(0.0)
    for name in ("embedding", "rotation", "depth", "joints"):
        assert fitted[name] > 0.01
        assert unfitted[name] == 0
    assert unfitted["projection"] == fitted["projection"] > 0.01


def test_the_alignment_loss_compares_latents_with_those_of_the_key_points(embedding: PoseEmbedding) -> None:
    network, people = KeypointNetwork(), person(embedding)
    spec, labels = network.spec(), batch_of(people)
    points = labelled_points(labels, spec)
    torch.testing.assert_close(points[0, 0, FACE:], torch.from_numpy(people.keypoints_px[0]))
    height, width = HEIGHT // spec.stride, WIDTH // spec.stride
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([columns, rows], -1).flatten(0, 1) * spec.stride + spec.cell_origin_px
    with torch.no_grad():
        offsets = encode_offsets(points[0, 0] - cells[:, None]).T.unflatten(1, (height, width))[None]
        exact = network.lifting_head.latent(offsets)
    assert float(alignment_loss(exact, labels, network.lifting_head.from_keypoints, spec=spec)) < 1e-4
    off = (1.5 * exact).requires_grad_()
    loss = alignment_loss(off, labels, network.lifting_head.from_keypoints, spec=spec)
    assert float(loss.detach()) == pytest.approx(0.5, abs=1e-3)
    loss.backward()
    assert network.lifting_head.from_keypoints.weight.grad is None
    assert off.grad is not None
    assert 0 < int(off.grad.abs().sum(1).count_nonzero()) < 100  # around the centre alone


def test_the_alignment_loss_trains_the_features(embedding: PoseEmbedding) -> None:
    batch = {
        "image": torch.zeros(2, HEIGHT, WIDTH, 3, dtype=torch.uint8),
        **{name: torch.cat([values, values]) for name, values in batch_of(person(embedding)).items()},
    }
    learner = NetworkLearner(
        NetworkTraining(pictures=4, batch=2, backbone_rate=0.0, distillation_weight=0.0, align_weight=1.0),
        KeypointNetwork(),
        embedding.decode,
    )
    figures = figures_of(learner, batch)
    assert figures["align"] > 0.01
    assert any(
        group.grad is not None and group.grad.any()
        for group in learner.network.lifting_head.from_features.parameters()
    )  # type: ignore[union-attr]


def test_the_cycle_loss_is_zero_for_the_true_pose_only(embedding: PoseEmbedding) -> None:
    """Heads that equal the labels in every cell; then with another rotation, depth, pose or place."""
    torch.manual_seed(0)
    encoder, people = KeypointNetwork().lifting_head.from_keypoints.requires_grad_(False), person(embedding)
    given = labelled_offsets(batch_of(people), SPEC, (HEIGHT // 8, WIDTH // 8))
    column, row = (given.cells_px / SPEC.stride).long().T
    read = {name: part[0, :, row, column].T for name, part in perfect_maps(people).items()}
    assert len(given.offsets) > 3
    assert float(cycle_loss(read, given, encoder, spec=SPEC, decode=embedding.decode)) < 1e-3
    for name in ("rotation", "depth", "embedding", "offset"):
        wrong = {**read, name: (read[name] + 0.4).requires_grad_()}
        loss = cycle_loss(wrong, given, encoder, spec=SPEC, decode=embedding.decode)
        loss.backward()
        assert float(loss.detach()) > 0.02, name
        gradient = wrong[name].grad
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.any(), name


def test_the_cycle_loss_trains_the_lifting_head_and_the_pose_heads_only(embedding: PoseEmbedding) -> None:
    torch.manual_seed(0)
    network = KeypointNetwork()
    held, spec = copy.deepcopy(network.lifting_head.from_keypoints).requires_grad_(False), network.spec()
    given = labelled_offsets(batch_of(person(embedding)), spec, (HEIGHT // spec.stride, WIDTH // spec.stride))
    cycle_loss(
        lifted_poses(network, given.offsets), given, held, spec=spec, decode=embedding.decode
    ).backward()
    trained = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    heads = {
        f"heads.{name}.{part}"
        for name in ("offset", "embedding", "rotation", "depth")
        for part in ("weight", "bias")
    }
    lift = {
        f"lifting_head.{layer}.{part}"
        for layer in ("from_keypoints", "mlp.0", "mlp.2")
        for part in ("weight", "bias")
    }
    assert trained == heads | lift


def test_a_network_learns_to_close_the_cycle(embedding: PoseEmbedding) -> None:
    """Repeated steps on one batch, with low weights of the other losses."""
    torch.manual_seed(0)
    batch = {"image": torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8), **batch_of(person(embedding))}
    little = dict.fromkeys(NetworkTraining().loss_weights, 0.0)
    config = NetworkTraining(
        pictures=100,
        batch=1,
        warm_up=1,
        backbone_rate=0.0,
        distillation_weight=0.0,
        cycle_weight=1.0,
        average_decay=0.0,
        loss_weights=little,
    )
    learner = NetworkLearner(config, KeypointNetwork(), embedding.decode)
    figures = [figures_of(learner, batch, step)["cycle"] for step in range(8)]
    assert figures[0] > 0.1
    assert figures[-1] < 0.7 * figures[0]


def test_pictures_without_people_have_no_alignment_and_no_cycle(embedding: PoseEmbedding) -> None:
    batch = {
        "image": torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8),
        **batch_of(person(embedding).select(slice(0, 0))),
    }
    config = NetworkTraining(
        pictures=4, batch=1, backbone_rate=0.0, distillation_weight=0.0, align_weight=1.0, cycle_weight=1.0
    )
    learner = NetworkLearner(config, KeypointNetwork(), embedding.decode)
    figures = figures_of(learner, batch)
    assert figures["align"] == 0
    assert "cycle" not in figures
    assert np.isfinite(figures["norm"])
