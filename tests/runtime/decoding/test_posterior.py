"""The fit as an estimate: the posterior mean of a Gaussian, and its limits."""

import cv2
import numpy as np
import pytest
from keypoint_people import DECODER, JOINTS, SPEC, heads_with_keypoints, predicted, true_person

from toolkit.runtime.decoding.bone_prior import REFINEMENT, Refinement
from toolkit.runtime.decoding.keypoints import Keypoints, find_keypoints
from toolkit.runtime.decoding.kinematics import decode_embeddings, paths_mm, rotation_from_6d
from toolkit.runtime.decoding.refine import Bodies, refine
from toolkit.runtime.pose import MUPOTS17


def body(seed, px_per_m=64.0):
    person = true_person(seed)
    rotation, embedding = (np.array([values], np.float32) for values in (person.rotation, person.embedding))
    bones = rotation_from_6d(rotation) @ decode_embeddings(embedding, DECODER).transpose(0, 2, 1)
    return Bodies(bones, np.array([px_per_m], np.float32), np.array([[200.0, 120.0]], np.float32))


def joints_px(bodies, bones=None):
    paths = (
        paths_mm(MUPOTS17)
        - paths_mm(MUPOTS17)[[MUPOTS17.index(name) for name in SPEC.centre_joints]].mean(axis=0)
    )[JOINTS] / 1000
    places = (bodies.bones if bones is None else bones)[0, :2] @ paths.T
    return (bodies.centres[0][:, None] + bodies.px_per_m[0] * places).T


def test_the_fit_is_the_posterior_mean_of_a_gaussian():
    """The textbook formula x = S A^T (A S A^T + R)^-1 y with A by differences, two rotations per bone."""
    how = Refinement(turn=0, scale=0, centre_m=0, reach_m=30.0, least_heat=0.0)
    bodies = body(3)
    random = np.random.default_rng(0)
    seen = Keypoints(
        np.arange(12),
        (joints_px(bodies) + random.normal(0, 0.4, (12, 2))).astype(np.float32),
        np.ones(12, np.float32),
    )
    fitted, matches = refine(bodies, seen, SPEC, settings=how)
    bones = bodies.bones[0].T.astype(np.float64)
    between = {
        "neck": 0,
        "spine": 1,
        "head": 1,
        "shoulder": 1,
        "hip": 1,
        "top": 2,
        "elbow": 2,
        "knee": 2,
        "wrist": 3,
        "ankle": 3,
    }
    deviations = [
        how.bone + how.bone_per_bone * between[MUPOTS17.names[joint].split("_")[-1]]
        for joint in MUPOTS17.bones
    ]
    columns, moves = [], []
    for index, bone in enumerate(bones):
        for axis in np.linalg.svd(bone[None])[2][1:]:
            moved = bodies.bones.astype(np.float64).copy()
            moved[0, :, index] += axis * deviations[index]
            columns.append((joints_px(bodies, moved) - joints_px(bodies)).T.ravel())
            moves.append((index, axis * deviations[index]))
    design = np.stack(columns, axis=1) / 64
    noise = np.tile((how.noise_m**2 + (how.noise_px / 64) ** 2) / matches.pull[0], 2)
    off = (matches.targets[0] - joints_px(bodies).T).ravel() / 64
    turns = design.T @ np.linalg.solve(design @ design.T + np.diag(noise), off)
    for turn, (index, move) in zip(turns, moves, strict=True):
        bones[index] += turn * move
    assert pytest.approx(bones / np.linalg.norm(bones, axis=1, keepdims=True), abs=1e-4) == fitted.bones[0].T
    assert not np.allclose(fitted.bones, bodies.bones, atol=1e-2)


@pytest.mark.parametrize("unknown", ["scale", "turn", "centre_m"])
def test_what_moves_all_joints_at_once_is_found(unknown):
    """A person who differs from the network's answer by scale, a turn about the spine or the centre alone."""
    still = {
        "bone": 1e-3,
        "bone_per_bone": 0.0,
        "turn": 0.0,
        "scale": 0.0,
        "centre_m": 0.0,
        "noise_px": 0.05,
        "noise_m": 1e-3,
    }
    bodies = body(5)
    spine = bodies.bones[0, :, MUPOTS17.bones.index(MUPOTS17.index("neck"))] + bodies.bones[0, :, 0]
    change = {
        "scale": bodies._replace(px_per_m=bodies.px_per_m * np.float32(1.05)),
        "turn": bodies._replace(
            bones=cv2.Rodrigues(0.08 * spine / np.linalg.norm(spine))[0].astype(np.float32) @ bodies.bones
        ),
        "centre_m": bodies._replace(centres=bodies.centres + np.float32(2.0)),
    }[unknown]
    seen = Keypoints(np.arange(12), joints_px(change), np.ones(12, np.float32))
    before = np.abs(joints_px(bodies) - joints_px(change)).max()
    fitted, _ = refine(bodies, seen, SPEC, settings=Refinement(**{**still, unknown: 0.3}))
    assert np.abs(joints_px(fitted) - joints_px(change)).max() < 0.2 * before


def test_a_fit_that_overflows_leaves_the_network_its_word():
    person = true_person(7)
    heads = heads_with_keypoints([person], [predicted(person, 7)])
    embedding, rotation = (heads[name][:, [16], [28]].T for name in ("embedding", "rotation"))
    bones = rotation_from_6d(rotation) @ decode_embeddings(embedding, DECODER).transpose(0, 2, 1)
    bodies = Bodies(bones, np.array([64.0], np.float32), np.array([[224.0, 128.0]], np.float32))
    seen = find_keypoints(heads, SPEC, 0.2)
    moved, matches = refine(bodies, seen, SPEC, settings=REFINEMENT)
    assert matches.pull.sum() > 5
    assert not np.array_equal(moved.bones, bodies.bones)
    with np.errstate(all="ignore"):
        kept, _ = refine(bodies, seen._replace(heat=seen.heat * np.float32(3e38)), SPEC, settings=REFINEMENT)
    assert all(np.array_equal(new, old) for new, old in zip(kept, bodies, strict=True))


@pytest.mark.parametrize("field", ["noise_m", "reach_m", "snap_pull"])
def test_settings_that_leave_no_solution_are_refused(field):
    with pytest.raises(ValueError, match="above 0"):
        Refinement(**{field: 0.0})
