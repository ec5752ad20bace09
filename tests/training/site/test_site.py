"""Learning from two cameras of a site: latents, lessons, what is learned and what is held."""

from __future__ import annotations

import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from two_cameras import FOCAL_PX, POSES, seen, sightings, walk

from toolkit.adaptation.relative_pose import relative_pose
from toolkit.cli import main
from toolkit.commands.interface.inputs import SAMPLES
from toolkit.errors import PosecError
from toolkit.frontend.trace import checkpoint_folder
from toolkit.network.checkpoint import load_checkpoint
from toolkit.network.network import KeypointNetwork
from toolkit.network.torch_kinematics import rotation_from_6d
from toolkit.runtime.decoding.kinematics import ray_rotation
from toolkit.training.learning.losses import posed_joints
from toolkit.training.site.judge import agreement, part
from toolkit.training.site.latents import LatentEstimator, Latents
from toolkit.training.site.learn import SiteSettings, adapted, read
from toolkit.training.site.lessons import Lessons, lessons_of


def latents_for(camera_sightings):
    """Latents of zeros with the true viewing rays."""
    return [
        Latents(
            np.zeros((len(people), 4), np.float32),
            np.c_[(people.centres_px - [319.5, 179.5]) / FOCAL_PX, np.ones(len(people))].astype(np.float32),
        )
        for people in camera_sightings.people
    ]


def test_the_latent_of_a_person_gives_its_embedding():
    checkpoint = load_checkpoint(checkpoint_folder("reference"))
    estimator = LatentEstimator(checkpoint)
    picture = next(
        picture
        for picture in map(cv2.imread, map(str, sorted((SAMPLES / "scenes").glob("*.jpg"))))
        if len(estimator(picture)) > 1
    )
    latents = estimator.latents[-1]
    evidence = estimator._estimator.detect(picture).evidence
    found = read(checkpoint.network, torch.from_numpy(latents.vectors)).embedding.detach().numpy()
    np.testing.assert_allclose(found, evidence.embeddings, atol=1e-4)
    np.testing.assert_allclose(latents.rays, evidence.rays)


def test_lessons_are_the_true_pose_in_each_ray_and_correct_the_distance():
    a, b = sightings(POSES[0]), sightings(POSES[1], name="b.mp4")
    latents = (latents_for(a), latents_for(b))
    lessons = lessons_of(a, b, relative_pose(a, b), latents)
    assert len(lessons) == len(a.people)
    _, joints = walk(a.seconds)
    for side, pose in enumerate(POSES):
        rays = np.concatenate([latent.rays for latent in latents[side]])
        true = joints @ pose.rotation @ ray_rotation(rays.copy()) / 1000
        np.testing.assert_allclose(lessons.joints_m[side], true, atol=0.01)
    np.testing.assert_allclose(lessons.farther, 0, atol=0.01)


@pytest.fixture(scope="module")
def taught(embedding):
    """A network, a changed one that is the truth at the site, and the network that learned from lessons."""
    torch.manual_seed(1)
    network = KeypointNetwork().eval()
    truth = copy.deepcopy(network)
    with torch.no_grad():
        for head in network.heads.values():
            head.weight.normal_(0, 0.05)
        truth.load_state_dict(network.state_dict())
        truth.heads["rotation"].bias += 0.3
        vectors, others = torch.randn(2, 300, 256), torch.randn(100, 256) + 2
        maps = read(truth, vectors.flatten(0, 1))
        decode = embedding[1].decode
        joints = posed_joints(maps.embedding, rotation_from_6d(maps.rotation), decode)
    lessons = Lessons(vectors.numpy(), joints.unflatten(0, (2, -1)).numpy(), np.zeros((2, 300), np.float32))
    settings = SiteSettings(steps=80, learning_rate=2e-3, embedding_weight=0.0)
    learner, free = (
        adapted(network, lessons, others.numpy(), decode=decode, settings=each)
        for each in (settings, replace(settings, anchor_weight=0.0))
    )
    return network, learner, free, lessons, others, decode


def joint_error(network, lessons, decode):
    with torch.no_grad():
        maps = read(network, torch.from_numpy(lessons.vectors).flatten(0, 1))
        joints = posed_joints(maps.embedding, rotation_from_6d(maps.rotation), decode)
        return float((joints - torch.from_numpy(lessons.joints_m).flatten(0, 1)).norm(dim=-1).mean())


def test_the_heads_learn_the_lessons_and_hold_what_they_knew_elsewhere(taught):
    network, learner, free, lessons, others, decode = taught
    assert joint_error(learner, lessons, decode) < 0.6 * joint_error(network, lessons, decode)
    with torch.no_grad():
        known = read(network, others).rotation
        held, forgot = ((read(each, others).rotation - known).abs().mean() for each in (learner, free))
    assert held < 0.5 * forgot


def test_only_the_pose_heads_change(taught):
    network, learner, *_ = taught
    changed = {
        name.split(".")[0] + "." + name.split(".")[1]
        for (name, before), after in zip(
            network.state_dict().items(), learner.state_dict().values(), strict=True
        )
        if not torch.equal(before, after)
    }
    assert changed == {"lifting_head.mlp", "heads.embedding", "heads.rotation", "heads.depth"}


def test_agreement_is_the_distance_of_the_cameras_and_needs_people_in_both():
    a, b = sightings(POSES[0]), sightings(POSES[1], name="b.mp4")
    exact = agreement(a, b, POSES[1])
    assert (exact.pairs, exact.people) == (90, 180)
    assert exact.disagreement_mm < 0.1
    noisy = agreement(sightings(POSES[0], noise=1), b, POSES[1])
    assert 50 < noisy.disagreement_mm < 120
    later, frames = part(b, 5.0, 7.0)
    assert (len(later.people), frames[0]) == (12, 30)
    with pytest.raises(PosecError, match="shows no person in both"):
        agreement(a, sightings(POSES[1], phases=()), POSES[1])
    assert len(seen([], POSES[0])) == 0


def test_recordings_without_people_are_refused_and_leave_nothing(tmp_path, capsys):
    from video_files import write_matroska

    empty = [np.full((90, 160, 3), 90, np.uint8)] * 4
    for name in "ab":
        write_matroska(tmp_path / f"{name}.mkv", empty, [0.0, 0.5, 1.0, 1.5])
    videos = [str(tmp_path / f"{name}.mkv") for name in "ab"]
    assert main(["adapt", "reference", "--cameras", *videos, "-o", str(tmp_path / "mine")]) == 2
    assert "both see people at 0 instants" in capsys.readouterr().err
    assert main(["adapt", "reference", "--cameras", videos[0], "-o", str(tmp_path / "mine")]) == 2
    assert "2 to 16 recordings are needed, got 1" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


def test_a_folder_of_other_files_is_refused_before_the_recordings_are_read(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    words = ["adapt", "reference", "--cameras", "no.mp4", "neither.mp4", "-o", str(tmp_path / "mine")]
    assert main(words) == 2
    assert "is not a checkpoint; give a new or an empty folder" in capsys.readouterr().err
    assert (tmp_path / "mine/notes.txt").read_text() == "keep"
