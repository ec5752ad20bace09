"""The losses between two modalities, and between two views: nothing where they agree, known amounts where they do not."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from captured import captured_poses
from labelled_people import batch_of, people_in_a_portrait, perfect_maps

from toolkit.network.embedding import PoseEmbedding
from toolkit.network.heads import reference_spec
from toolkit.network.keypoints import JOINTS
from toolkit.network.network import KeypointNetwork, told_ways
from toolkit.network.torch_kinematics import mirror_directions
from toolkit.runtime.pose import PoseSpec
from toolkit.training.learning.alignment import (
    alignment_loss,
    cycle_loss,
    labelled_offsets,
    labelled_points,
    lifted_poses,
)
from toolkit.training.learning.consistency import Views, agreement_loss, draw_views, seen_again
from toolkit.training.learning.network_run import NetworkRun
from toolkit.training.learning.network_settings import NetworkTraining
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
    """Knows one pose and its mirror image, exactly: codes of opposite signs."""

    def encode(self, directions: torch.Tensor) -> torch.Tensor:
        return torch.full((len(directions), 32), 0.5)

    def decode(self, embeddings: torch.Tensor) -> torch.Tensor:
        pose = torch.from_numpy(captured_poses(1))
        return torch.where(embeddings[:, :1, None] > 0, pose, mirror_directions(pose.clone()))


def person(embedding: PoseEmbedding, middle: tuple[float, float] = (220.0, 130.0)) -> People:
    """Somebody whose torso is there, in pixels of the network's input."""
    people = people_in_a_portrait(embedding)
    shift = np.array(middle, np.float32) - people.centres_px
    return people.moved(np.hstack([np.eye(2), shift.T]).astype(np.float32))


def views(flipped: bool = False, angle: float = 0.0, zoom: float = 1.0) -> Views:
    return Views(torch.tensor([flipped]), torch.tensor([angle]), torch.tensor([zoom]))


@pytest.mark.parametrize(
    ("flipped", "angle", "zoom"),
    [(False, 0.0, 1.0), (True, 0.0, 1.0), (False, 0.25, 1.0), (True, -0.2, 1.25), (False, 0.1, 0.75)],
)
def test_people_who_moved_as_the_view_did_agree(flipped: bool, angle: float, zoom: float) -> None:
    embedding = TwoPoses()
    people = person(embedding)
    seen = people.mirrored(WIDTH) if flipped else people
    middle = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    first, moved = (
        perfect_maps(people),
        perfect_maps(seen.moved(similarity(middle, middle, zoom, angle=angle).astype(np.float32))),
    )
    assert float(agreement_loss(first, moved, views(flipped, angle, zoom), SPEC, embedding.decode)) < 0.01
    for other in (
        views(not flipped, angle, zoom),
        views(flipped, angle + 0.5, zoom),
        views(flipped, angle, zoom * 1.5),
    ):
        assert float(agreement_loss(first, moved, other, SPEC, embedding.decode)) > 0.1


def test_a_view_shows_things_where_the_loss_looks_for_them() -> None:
    for again in (views(), views(True), views(False, 0.25), views(True, -0.2, 1.25), views(False, 0.1, 0.75)):
        place, middle = torch.tensor([250.0, 150.0]), torch.tensor([WIDTH - 1, HEIGHT - 1]) / 2
        rows, columns = torch.meshgrid(torch.arange(float(HEIGHT)), torch.arange(float(WIDTH)), indexing="ij")
        blob = torch.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / 50)
        seen = seen_again(blob.expand(1, 3, HEIGHT, WIDTH), again)[0, 0]
        found = torch.stack([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
        expected = (again.zoom[0] * again.turn[0]) @ (place - middle) + middle
        torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


def test_views_are_drawn_within_their_bounds() -> None:
    drawn = draw_views(500, torch.Generator().manual_seed(0))
    assert 0.4 < drawn.flipped.float().mean() < 0.6
    assert drawn.angle_rad.abs().max() <= 0.26
    assert 0.7 <= drawn.zoom.min() < 0.72
    assert 1.28 < drawn.zoom.max() <= 1.3


def test_people_whom_the_view_does_not_show_are_not_asked_about(embedding: PoseEmbedding) -> None:
    people = person(embedding, (400.0, 130.0))
    raw = perfect_maps(people)
    assert float(agreement_loss(raw, raw, views(zoom=1.5), SPEC, embedding.decode)) == 0


def test_a_run_learns_all_three(embedding: PoseEmbedding) -> None:
    """One batch again and again, with weights that leave the other losses little to say."""
    torch.manual_seed(0)
    network = KeypointNetwork()
    with torch.no_grad():
        network.heads.get_parameter("centre.bias").fill_(
            0.0
        )  # somebody is found everywhere: views have something to agree about
    little = dict.fromkeys(NetworkTraining().losses, 0.01)
    config = NetworkTraining(pictures=100, batch=2, warm_up=1, learning_rate=2e-3, trunk_rate=0.0, anchor=0.0, align=1.0, cycle=1.0, agree=1.0,
                             agree_pictures=1, average=0.5, losses=little)  # fmt: skip
    run = NetworkRun(config, network, None, "cpu")
    image = torch.randint(0, 255, (2, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    people = batch_of(person(embedding))
    batch = {
        "image": image,
        **{name: part.repeat(2, *[1] * (part.dim() - 1)) for name, part in people.items()},
    }
    figures = [run.learn(dict(batch), network.spec(), embedding.decode) for _ in range(8)]
    for name in ("align", "cycle", "agree"):
        assert np.isfinite([step[name] for step in figures]).all()
    for name in ("align", "cycle"):
        assert figures[-1][name] < 0.9 * figures[0][name], name


def test_a_run_without_fitted_poses_takes_none_of_a_photograph(embedding: PoseEmbedding) -> None:
    batch = {"image": torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8), **batch_of(person(embedding))}

    def first_step(fitted: float) -> dict[str, float]:
        torch.manual_seed(0)
        config = NetworkTraining(pictures=4, batch=1, trunk_rate=0.0, anchor=0.0, fitted=fitted)
        run = NetworkRun(config, KeypointNetwork(), None, "cpu")
        return run.learn(batch, run.network.spec(), embedding.decode)

    fitted, unfitted = first_step(1.0), first_step(0.0)
    for name in ("embedding", "rotation", "depth", "joints"):
        assert fitted[name] > 0.01
        assert unfitted[name] == 0
    assert unfitted["projection"] == fitted["projection"] > 0.01


def test_latents_are_drawn_to_those_of_the_ways_to_the_key_points(embedding: PoseEmbedding) -> None:
    network, people = KeypointNetwork(), person(embedding)
    spec, labels = network.spec(), batch_of(people)
    points = labelled_points(labels, spec)
    torch.testing.assert_close(points[0, 0, FACE:], torch.from_numpy(people.keypoints_px[0]))
    height, width = HEIGHT // spec.stride, WIDTH // spec.stride
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([columns, rows], -1).flatten(0, 1) * spec.stride + spec.cell_origin_px
    with torch.no_grad():
        ways = told_ways(points[0, 0] - cells[:, None]).T.unflatten(1, (height, width))[None]
        exact = network.lift.latent(ways)
    assert float(alignment_loss(exact, labels, network.lift.enter, spec)) < 1e-4
    off = (1.5 * exact).requires_grad_()
    loss = alignment_loss(off, labels, network.lift.enter, spec)
    assert float(loss.detach()) == pytest.approx(0.5, abs=1e-3)
    loss.backward()
    assert network.lift.enter.weight.grad is None
    assert off.grad is not None
    assert 0 < int(off.grad.abs().sum(1).count_nonzero()) < 100  # around the centre alone


def test_a_network_of_key_points_learns_aligned(embedding: PoseEmbedding) -> None:
    batch = {"image": torch.zeros(2, HEIGHT, WIDTH, 3, dtype=torch.uint8), **{
        name: torch.cat([values, values]) for name, values in batch_of(person(embedding)).items()
    }}  # fmt: skip
    run = NetworkRun(
        NetworkTraining(pictures=4, batch=2, trunk_rate=0.0, anchor=0.0, align=1.0),
        KeypointNetwork(),
        None,
        "cpu",
    )
    spec = run.network.spec()
    figures = run.learn(batch, spec, embedding.decode)
    assert figures["align"] > 0.01
    assert any(group.grad is not None and group.grad.any() for group in run.network.lift.see.parameters())  # type: ignore[union-attr]


def test_key_points_found_again_cost_nothing_and_others_do(embedding: PoseEmbedding) -> None:
    """The lift says of every cell what the labels say; then the turn, the distance, the pose or the place are others."""
    torch.manual_seed(0)
    enter, people = KeypointNetwork().lift.enter.requires_grad_(False), person(embedding)
    given = labelled_offsets(batch_of(people), SPEC, (HEIGHT // 8, WIDTH // 8))
    column, row = (given.cells_px / SPEC.stride).long().T
    read = {name: part[0, :, row, column].T for name, part in perfect_maps(people).items()}
    assert len(given.offsets) > 3
    assert float(cycle_loss(read, given, enter, SPEC, embedding.decode)) < 1e-3
    for name in ("rotation", "depth", "embedding", "offset"):
        wrong = {**read, name: (read[name] + 0.4).requires_grad_()}
        loss = cycle_loss(wrong, given, enter, SPEC, embedding.decode)
        loss.backward()
        assert float(loss.detach()) > 0.02, name
        gradient = wrong[name].grad
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.any(), name


def test_the_cycle_teaches_the_lift_and_the_heads_alone(embedding: PoseEmbedding) -> None:
    torch.manual_seed(0)
    network = KeypointNetwork()
    held, spec = copy.deepcopy(network.lift.enter).requires_grad_(False), network.spec()
    given = labelled_offsets(batch_of(person(embedding)), spec, (HEIGHT // spec.stride, WIDTH // spec.stride))
    cycle_loss(lifted_poses(network, given.offsets), given, held, spec, embedding.decode).backward()
    taught = {
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
        f"lift.{layer}.{part}" for layer in ("enter", "think.0", "think.2") for part in ("weight", "bias")
    }
    assert taught == heads | lift


def test_a_network_of_key_points_learns_to_find_them_again(embedding: PoseEmbedding) -> None:
    """One batch again and again, with weights that leave the other losses little to say."""
    torch.manual_seed(0)
    batch = {"image": torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8), **batch_of(person(embedding))}
    little = dict.fromkeys(NetworkTraining().losses, 0.0)
    config = NetworkTraining(
        pictures=100, batch=1, warm_up=1, trunk_rate=0.0, anchor=0.0, cycle=1.0, average=0.0, losses=little
    )
    run = NetworkRun(config, KeypointNetwork(), None, "cpu")
    spec = run.network.spec()
    figures = [run.learn(dict(batch), spec, embedding.decode)["cycle"] for _ in range(8)]
    assert figures[0] > 0.1
    assert figures[-1] < 0.7 * figures[0]


def test_pictures_of_nobody_have_no_key_points_to_draw_to_or_to_find_again(embedding: PoseEmbedding) -> None:
    batch = {
        "image": torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8),
        **batch_of(person(embedding).select(slice(0, 0))),
    }
    config = NetworkTraining(pictures=4, batch=1, trunk_rate=0.0, anchor=0.0, align=1.0, cycle=1.0)
    run = NetworkRun(config, KeypointNetwork(), None, "cpu")
    figures = run.learn(batch, run.network.spec(), embedding.decode)
    assert figures["align"] == 0
    assert "cycle" not in figures
    assert np.isfinite(figures["norm"])
