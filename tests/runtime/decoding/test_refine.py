"""Poses fitted to key points: what a fit must gain, and what it must leave alone."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import LIMBS, tiny_decoder
from recorded_heads import Recorded, keypoint_spec, mark, recorded_heads, replay_bundle

import toolkit
from toolkit.runtime import load
from toolkit.runtime.decoding.bone_prior import REFINEMENT, Refinement
from toolkit.runtime.decoding.decode import DecodeOptions, HeadError, decode_heads
from toolkit.runtime.decoding.intrinsics import pinhole
from toolkit.runtime.decoding.keypoints import Keypoints, find_keypoints, match_keypoints
from toolkit.runtime.decoding.kinematics import decode_embeddings, layers, paths_mm, rotation_from_6d
from toolkit.runtime.decoding.refine import Bodies, refine
from toolkit.runtime.pose import MUPOTS17, Head, PoseSpec, SpecError
from toolkit.runtime.preprocess import place

SPEC = keypoint_spec()
DECODER = layers(tiny_decoder())
BOX = place(*SPEC.input_size, SPEC)[0]  # pixels of the picture are pixels of the input
JOINTS = [MUPOTS17.index(name) for name in LIMBS]


def decoded(heads, refinement=REFINEMENT, decoder=DECODER):
    camera = pinhole(400.0, BOX.picture_size)
    options = DecodeOptions(refinement=refinement)
    return decode_heads(heads, SPEC, decoder, letterbox=BOX, camera=camera, options=options)


def true_person(seed, row=16, column=28):
    random = np.random.default_rng(seed)
    return Recorded(
        row,
        column,
        0.8,
        tuple(random.uniform(-0.5, 0.5, 2)),
        tuple(random.uniform(-0.8, 0.8, 8)),
        tuple(random.uniform(-1, 1, 6)),
        float(random.uniform(-0.4, 0.2)),
    )


def predicted(person, seed, much=1.0):
    """Return the person as a network would say it that is not quite right."""
    random = np.random.default_rng(100 + seed)
    return dataclasses.replace(
        person,
        offset=tuple(np.array(person.offset) + much * random.uniform(-0.3, 0.3, 2)),
        embedding=tuple(np.clip(np.array(person.embedding) + much * random.normal(0, 0.2, 8), -1, 1)),
        rotation=tuple(np.array(person.rotation) + much * random.normal(0, 0.1, 6)),
        depth=person.depth + much * random.uniform(-0.1, 0.1),
    )


def joints_of(*people):
    """Return the true joints (N, 17, 2) in pixels of the input."""
    return np.stack([decoded(recorded_heads([person], SPEC), None).joints_px[0] for person in people])


def heads_with_keypoints(people, predictions, heat=0.9, of=tuple(range(12))):
    heads = recorded_heads(predictions, SPEC)
    for person in joints_of(*people) if people else ():
        for channel in of:
            mark(heads, SPEC, 1 + channel, *person[JOINTS[channel]], heat)
    return heads


def error_px(frame, truth):
    return np.linalg.norm(frame.joints_px[:, JOINTS] - truth[:, JOINTS], axis=-1).mean()


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)


@pytest.mark.parametrize("seed", range(8))
def test_joints_come_to_lie_on_their_key_points(seed):
    person = true_person(seed)
    heads, truth = heads_with_keypoints([person], [predicted(person, seed)]), joints_of(person)
    before, after = error_px(decoded(heads, None), truth), error_px(decoded(heads), truth)
    assert after < 0.5 * before


def test_a_fit_in_the_picture_gains_in_depth_too():
    """The fit must on average keep the depths, which the key points do not determine."""
    people = [true_person(seed) for seed in range(12)]
    errors = np.zeros(2)
    for seed, person in enumerate(people):
        truth = decoded(recorded_heads([person], SPEC), None)
        heads = heads_with_keypoints([person], [predicted(person, seed)])
        for index, how in enumerate((None, REFINEMENT)):
            errors[index] += np.linalg.norm(decoded(heads, how).joints_mm - truth.joints_mm, axis=-1).mean()
    assert errors[1] < errors[0]


def test_a_stiff_prior_keeps_the_network_s_pose():
    person = true_person(1)
    heads = heads_with_keypoints([person], [predicted(person, 1)])
    stiff = Refinement(bone=0, bone_per_bone=0, turn=0, scale=0, centre_m=0, snap_m=0)
    assert decoded(heads, stiff).joints_mm == pytest.approx(decoded(heads, None).joints_mm, abs=0.1)


@pytest.mark.parametrize("case", ["no key point", "faint", "out of reach", "no joint"])
def test_a_person_without_key_points_keeps_the_network_s_pose(case):
    person = true_person(2)
    heads = recorded_heads([person], SPEC)
    if case == "faint":
        heads = heads_with_keypoints([person], [predicted(person, 2)], heat=0.9 * REFINEMENT.least_heat)
    elif case == "out of reach":
        mark(heads, SPEC, 1, 8.0, 8.0)
    elif case == "no joint":
        mark(heads, SPEC, 0, *joints_of(person)[0, 0])
    without, found = decoded(heads, None), decoded(heads)
    for name in ("scores", "centres_px", "joints_mm", "roots_mm", "joints_px"):
        assert np.array_equal(getattr(found, name), getattr(without, name)), name


def test_no_people_stay_no_people():
    heads = recorded_heads([], SPEC)
    mark(heads, SPEC, 3, 100.0, 100.0)
    assert len(decoded(heads)) == 0


def test_one_key_point_moves_its_person_a_little():
    """Two numbers for 14 unknowns: the prior decides among all that fit."""
    person = true_person(3)
    heads = heads_with_keypoints([person], [predicted(person, 3)], of=[0])
    joint, truth = JOINTS[0], joints_of(person)[0]
    before, after = decoded(heads, None)[0], decoded(heads)[0]
    apart = [np.linalg.norm(found.joints_px[joint] - truth[joint]) for found in (before, after)]
    assert apart[1] < 0.5 * apart[0]
    assert np.linalg.norm(after.joints_px - before.joints_px, axis=-1).max() < 2 * apart[0]


def test_people_take_their_own_key_points_in_any_order():
    people = [true_person(4, column=16), true_person(5, column=42)]
    predictions = [predicted(person, seed) for seed, person in enumerate(people)]
    both = decoded(heads_with_keypoints(people, predictions))
    for person, hint in zip(people, predictions, strict=True):
        alone = decoded(heads_with_keypoints([person], [hint]))[0]
        found = min(both, key=lambda other: float(np.abs(other.centre_px - alone.centre_px).sum()))
        assert found.joints_px == pytest.approx(alone.joints_px, abs=0.02)
        assert found.joints_mm == pytest.approx(alone.joints_mm, abs=0.5)


def test_the_same_heads_give_the_same_people():
    people = [true_person(seed, column=8 + 12 * seed) for seed in range(4)]
    heads = heads_with_keypoints(people, [predicted(person, seed) for seed, person in enumerate(people)])
    assert same(decoded(heads), decoded(heads))


def test_heads_are_left_as_they_are():
    person = true_person(6)
    heads = heads_with_keypoints([person], [predicted(person, 6)])
    kept = {name: values.copy() for name, values in heads.items()}
    decoded(heads)
    assert all(np.array_equal(heads[name], kept[name]) for name in heads)


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


def test_evidence_changes_scores_and_the_people_kept():
    seen, unseen = true_person(1, column=14), dataclasses.replace(true_person(2, column=44), score=0.85)
    heads = heads_with_keypoints([seen], [seen, unseen])
    assert decoded(heads).scores == pytest.approx([0.85, 0.8])
    trusting = decoded(heads, Refinement(evidence=0.02, usual=4.0))
    pull = (
        12 * (0.9 - REFINEMENT.least_heat) / (1 - REFINEMENT.least_heat)
    )  # of key points exactly at the joints
    assert trusting.scores == pytest.approx([0.8 + 0.02 * (pull - 4), 0.85 - 0.02 * 4], abs=2e-3)
    assert len(decoded(heads, Refinement(evidence=0.2, usual=4.0))) == 1


def test_two_that_are_drawn_together_are_one():
    person = true_person(8)
    twin = dataclasses.replace(
        predicted(person, 8), row=13, score=0.6, offset=(person.offset[0], person.offset[1] + 3 - 1.4)
    )
    heads = heads_with_keypoints([person], [predicted(person, 9), twin])
    assert len(decoded(heads)) <= len(decoded(heads, None))


def test_an_estimator_fits_by_default(tmp_path):
    person = true_person(1)
    heads = heads_with_keypoints([person], [predicted(person, 1)])
    replay_bundle(tmp_path / "bundle", heads, SPEC)
    picture = np.zeros((*SPEC.input_size, 3), np.uint8)
    fitted, plain = (
        load(str(tmp_path / "bundle"), refine=refine)(picture, focal_px=400.0) for refine in (True, False)
    )
    assert same(fitted, decoded(heads))
    assert same(plain, decoded(heads, None))
    assert not same(fitted, plain)
    assert "head keypoint_offset:" in load(str(tmp_path / "bundle")).explain(picture)


# ---- key points


def test_key_points_lie_where_they_were_written():
    heads, places = (
        recorded_heads([], SPEC),
        {2: (100.3, 57.8), 5: (0.0, 0.0), 12: (447.0, 255.0), 0: (50.0, 50.0)},
    )
    for channel, (x, y) in places.items():
        mark(heads, SPEC, channel, x, y, 0.5 + channel / 100)
    seen = find_keypoints(heads, SPEC, 0.2)
    assert seen.kinds.tolist() == [1, 4, 11]  # channel 0 is no joint
    assert seen.points == pytest.approx(np.array([(100.3, 57.8), (0.0, 0.0), (447.0, 255.0)]), abs=1e-3)
    assert seen.heat == pytest.approx([0.52, 0.55, 0.62])


def test_key_points_that_touch_are_the_higher_one():
    heads = recorded_heads([], SPEC)
    heads["keypoints"][3, 5, 5], heads["keypoints"][3, 6, 6], heads["keypoints"][3, 8, 8] = 0.7, 0.8, 0.4
    assert find_keypoints(heads, SPEC, 0.2).heat == pytest.approx([0.8, 0.4])


def test_heads_of_key_points_that_are_no_numbers_are_refused():
    heads = recorded_heads([true_person(0)], SPEC)
    mark(heads, SPEC, 4, 200.0, 100.0)
    heads["keypoint_offset"][4, 0, 0] = np.nan  # no key point there
    assert len(decoded(heads)) == 1
    heads["keypoint_offset"][4, 6, 12] = np.inf
    assert len(decoded(heads, None)) == 1
    with pytest.raises(HeadError, match="'keypoint_offset'"):
        decoded(heads)
    heads["keypoints"][2, 1, 1] = np.nan
    with pytest.raises(HeadError, match="'keypoints'"):
        decoded(heads)


def test_a_network_that_lacks_a_head_of_key_points_is_refused():
    heads = recorded_heads([], SPEC)
    del heads["keypoint_offset"]
    with pytest.raises(HeadError, match=r"'keypoint_offset' must have shape \(26, 16, 28\) and is missing"):
        decoded(heads)


def keypoints(*rows):
    kinds, x, y, heat = np.array(rows, np.float32).T
    return Keypoints(kinds.astype(int), np.stack([x, y], 1), heat)


def matched(at, seen, reach=10.0, least_heat=0.0):
    at = np.array(at, np.float32)
    return match_keypoints(at, np.full(at.shape[:2], reach, np.float32), seen, least_heat=least_heat)


def test_a_key_point_pulls_less_with_distance_and_not_beyond_its_reach():
    at = [[(10, 10)], [(200, 10)]]
    pulls = [matched(at, keypoints((0, 10 + x, 10, 0.8)))[1][0, 0] for x in (0, 5, 9, 10, 30)]
    assert pulls == pytest.approx([0.8, 0.8 * 0.75**2, 0.8 * 0.19**2, 0, 0])
    towards, pull = matched(at, keypoints((0, 15, 10, 0.8)))
    assert towards[:, 0].tolist() == [[15, 10], [200, 10]]
    assert pull[1, 0] == 0


def test_a_faint_key_point_pulls_little():
    pulls = [
        matched([[(0, 0)]], keypoints((0, 0, 0, heat)), least_heat=0.2)[1][0, 0]
        for heat in (0.1, 0.2, 0.6, 1.0)
    ]
    assert pulls == pytest.approx([0, 0, 0.5, 1])


def test_the_nearer_of_two_people_has_the_key_point_and_the_nearer_of_two_key_points_the_joint():
    towards, pull = matched([[(10, 10)], [(18, 10)]], keypoints((0, 12, 10, 0.9)))
    assert pull[0, 0] > 10 * pull[1, 0]
    towards, pull = matched([[(10, 10)]], keypoints((0, 11, 10, 0.9), (0, 3, 10, 0.9)))
    assert towards[0, 0] == pytest.approx([11, 10], abs=0.1)


def test_two_side_by_side_take_the_key_point_that_leaves_each_one():
    at = [[(10, 10), (50, 50)], [(14, 10), (90, 90)]]
    towards, pull = matched(
        at, keypoints((0, 15, 10, 0.9), (0, 9, 10, 0.8), (1, 53, 50, 0.7), (1, 30, 30, 1))
    )
    assert towards[:, 0, 0] == pytest.approx([9, 15], abs=0.3)
    assert towards[0, 1] == pytest.approx([53, 50])
    assert pull[1, 1] == 0


@pytest.mark.parametrize("least_heat", [0.0, 0.3])
def test_no_pull_jumps(least_heat):
    """The pull is continuous, so that rounding to int8 does not switch a joint to another key point."""
    at = np.array([[(10, 10)], [(18, 10)]], np.float32)
    pulls = []
    for step in np.linspace(
        0, 1, 801
    ):  # one key point comes from outside, passes both joints and leaves; another cools
        towards, pull = matched(
            at, keypoints((0, -10 + 50 * step, 10, 0.9), (0, 16, 10, 1 - step)), least_heat=least_heat
        )
        pulls.append(np.concatenate([(pull[..., None] * (towards - at)).ravel(), pull.ravel()]))
    jumps = np.abs(np.diff(pulls, axis=0)).max(axis=0)
    assert (jumps < 0.05 * np.ptp(pulls, axis=0) + 1e-4).all()


@pytest.mark.parametrize("seed", range(4))
def test_peaks_are_the_cells_that_no_neighbour_exceeds(seed):
    """Also at the borders of a map, where the lines of the next map follow in memory, and on plateaus."""
    random = np.random.default_rng(seed)
    heads = recorded_heads([], SPEC)
    heads["keypoints"][:] = (random.integers(0, 12, heads["keypoints"].shape) / 12).astype(np.float32)
    found = find_keypoints(heads, SPEC, 0.3)
    expected = []
    for channel in range(1, 13):
        heat = heads["keypoints"][channel]
        around = cv2.dilate(heat, np.ones((3, 3), np.uint8))
        expected += [
            (channel - 1, heat[cell])
            for cell in zip(*np.nonzero((heat >= around) & (heat > 0.3)), strict=True)
        ]
    assert list(zip(found.kinds.tolist(), found.heat.tolist(), strict=True)) == [
        (kind, float(heat)) for kind, heat in expected
    ]


# ---- the fit as an estimate


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
    off = (matches.targets[0] - joints_px(bodies)).T.ravel() / 64
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


def test_joints_near_their_key_points_lie_on_them_and_the_3d_pose_does_not_follow():
    person = true_person(2)
    heads, truth = heads_with_keypoints([person], [predicted(person, 2)]), joints_of(person)
    plain, snapped = decoded(heads, dataclasses.replace(REFINEMENT, snap_m=0)), decoded(heads)
    assert error_px(snapped, truth) < 0.6 * error_px(plain, truth)
    for name in ("scores", "centres_px", "joints_mm", "roots_mm"):
        assert np.array_equal(getattr(snapped, name), getattr(plain, name)), name
    others = [joint for joint in range(17) if joint not in JOINTS]
    assert np.array_equal(snapped.joints_px[:, others], plain.joints_px[:, others])


def test_no_joint_jumps_when_a_key_point_passes_by():
    """Small moves of key points, as by int8, cause small moves of joints_px, also at the limit of reach."""
    person = true_person(6)
    heads = heads_with_keypoints([person], [person], of=tuple(range(1, 12)))
    x, y = joints_of(person)[0, JOINTS[0]]
    places = []
    for step in np.linspace(-40, 40, 321):  # px
        passing = {name: values.copy() for name, values in heads.items()}
        mark(passing, SPEC, 1, x + step, y + 3)
        places.append(decoded(passing).joints_px[0])
    assert np.abs(np.diff(places, axis=0)).max() < 1.0  # for key points 0.25 px apart


def test_one_person_and_fifty_have_the_same_pose():
    """What one person is found to be must not depend on how many others are decoded with them."""
    spec = dataclasses.replace(SPEC, centre_threshold=0.3)
    people = [
        dataclasses.replace(
            true_person(seed),
            row=2 + 4 * (seed // 8),
            column=3 + 7 * (seed % 8),
            depth=1.2,
            score=0.9 - seed / 100,
        )
        for seed in range(50)
    ]
    predictions = [predicted(person, seed, 0.3) for seed, person in enumerate(people)]
    truth = [decoded(recorded_heads([person], spec), None).joints_px[0] for person in people]

    def heads_of(indices):
        heads = recorded_heads([predictions[index] for index in indices], spec)
        for index in indices:
            mark(heads, spec, 1 + index % 12, *truth[index][JOINTS[index % 12]])
        return heads

    together = decoded(heads_of(range(50)))
    assert len(together) == 50
    for index in range(50):
        alone = decoded(heads_of([index]))[0]
        found = together[int(np.linalg.norm(together.centres_px - alone.centre_px, axis=1).argmin())]
        assert found.joints_mm == pytest.approx(alone.joints_mm, abs=0.02), index
        assert found.joints_px == pytest.approx(alone.joints_px, abs=1e-3), index


WORKERS = """
import os, sys, numpy as np
from pathlib import Path
def seconds():
    own, ticks = str(os.getpid()), os.sysconf("SC_CLK_TCK")
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != own]
    lines = [(task / "stat").read_text().rsplit(")", 1)[1].split() for task in tasks]
    return len(lines), sum(int(line[11]) + int(line[12]) for line in lines) / ticks
large = np.ones((600, 600), np.float32)
if sys.argv[2] == "large product": [large @ large for _ in range(300)]
sys.path[:0] = sys.argv[3:]
from toolkit.device.timing.decode_cost import crowd_heads
from toolkit.runtime.bundle import read_bundle
from toolkit.runtime.decoding.decode import decode_heads
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.preprocess import place
from recorded_heads import keypoint_spec
spec, random = keypoint_spec(), np.random.default_rng(0)
sizes = (8, 512, 512, 48)
decoder = layers({f"{name}_{index}": random.normal(0, 0.05, (b, a) if name == "weight" else b) for index, (a,
                  b) in enumerate(zip(sizes, sizes[1:])) for name in ("weight", "bias")})
heads, box = crowd_heads(spec, 50), place(*spec.input_size, spec)[0]
if sys.argv[2] == "decode":
    for _ in range(200): assert len(decode_heads(heads, spec, decoder, letterbox=box)) > 30
print(*seconds())
"""


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir() or (os.cpu_count() or 1) < 2, reason="needs Linux and two cores"
)
def test_decoding_starts_no_threads_beside_the_engine():
    """BLAS threads spin after their work; numpy is imported first, so the environment does not limit them."""
    bounds = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in bounds}
    places = [str(Path(toolkit.__file__).parents[1]), str(Path(__file__).parents[2] / "support")]

    def workers(what):
        command = [sys.executable, "-c", WORKERS, "-", what, *places]
        count, seconds = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout.split()
        return int(count), float(seconds)

    if workers("large product")[1] < 0.05:
        pytest.skip("this numpy multiplies large matrices on one thread")
    assert workers("decode")[1] <= workers("nothing")[1] + 0.02


# ---- the contract


def test_the_contract_reads_back_as_it_was_written():
    assert PoseSpec.from_dict(SPEC.to_dict()) == SPEC
    assert SPEC.head_shape("keypoint_offset") == (26, 16, 28)
    assert SPEC.head_names[-2:] == ("keypoints", "keypoint_offset")
    without = dataclasses.replace(SPEC, heads=dict(list(SPEC.heads.items())[:5]), keypoints=None)
    assert "keypoints" not in without.to_dict()


def grid(**changes):
    return {"keypoints": {**SPEC.to_dict()["keypoints"], **changes}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"heads": {name: vars(head) for name, head in SPEC.heads.items() if name != "keypoint_offset"}},
            "come together",
        ),
        (
            {
                "heads": {
                    name: vars(head) for name, head in SPEC.heads.items() if not name.startswith("keypoint")
                }
            },
            "come together",
        ),
        (
            {"heads": {**SPEC.to_dict()["heads"], "keypoints": vars(Head("keypoints", 4, 0.0, 1.0))}},
            "must have 13 channels, got 4",
        ),
        (grid(stride=0), "a stride of 1 or more"),
        (grid(stride=24), "not a multiple of keypoints.stride 24"),
        (grid(joints=["", *LIMBS[:-1], "tail"]), "no joint 'tail'"),
        (grid(joints=["", *LIMBS[:-1], LIMBS[0]]), "each once"),
        (grid(joints=[""] * 13), "each once"),
        (grid(joints=[3] * 13), "list of names"),
        ({"keypoints": {"stride": 16}}, "incomplete"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(SpecError, match=message):
        PoseSpec.from_dict({**SPEC.to_dict(), **change})


def test_heads_without_their_table_are_refused():
    plain = SPEC.to_dict()
    del plain["keypoints"]
    with pytest.raises(SpecError, match="come together"):
        PoseSpec.from_dict(plain)
