"""Synthetic people and places: triangles, cameras, poses, placing. No body model and no motion capture needed."""

import numpy as np
import pytest

from toolkit.errors import PosecError
from toolkit.training.motion.clips import read_clips
from toolkit.training.motion.poses import random_arm, vary
from toolkit.training.motion.retarget import bone_orientations, neutral_places, shortest_rotation, turns_of
from toolkit.training.motion.stances import STANCES, change_stance
from toolkit.training.motion.turns import about, joint_index, turn_to
from toolkit.training.render.backgrounds import FAR_M, paint_place
from toolkit.training.render.bodies import Body
from toolkit.training.render.cameras import place_camera
from toolkit.training.render.dressed_body import random_light
from toolkit.training.render.places import KINDS, random_place
from toolkit.training.render.props import KINDS_INDOORS, KINDS_OUTDOORS, make_prop
from toolkit.training.render.rasterise import interpolate, project, rasterise, vertex_normals
from toolkit.training.scenes.placing import APART_M, in_view, random_layout
from toolkit.training.scenes.scenes import ground_shadow, stand

FOCAL, PRINCIPAL, SIZE = 100.0, (49.5, 39.5), (80, 100)
FRONT = np.array([[0, 1, 2]])


def seen(points):
    return rasterise(project(points, FOCAL, PRINCIPAL), points[:, 2], FRONT, size=SIZE)


def test_a_slanted_triangle_has_the_depth_of_its_plane():
    # Wound so that the signed area in the picture is negative: towards the camera.
    corners = np.array([[-1.0, 1.0, 3.0], [1.0, 1.0, 6.0], [0.0, -1.0, 4.0]])
    fragments = seen(corners)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    row, column = np.divmod(fragments.pixels, SIZE[1])
    rays = np.stack([(column - PRINCIPAL[0]) / FOCAL, (row - PRINCIPAL[1]) / FOCAL, np.ones(len(row))], -1)
    assert len(fragments) > 500
    np.testing.assert_allclose(fragments.depth, (normal @ corners[0]) / (rays @ normal), rtol=1e-9)
    np.testing.assert_allclose(
        interpolate(fragments, FRONT, corners), rays * fragments.depth[:, None], atol=1e-9
    )


def test_a_triangle_covers_its_area():
    corners = np.array([[-1.0, 1.0, 4.0], [1.0, 1.0, 4.0], [0.0, -1.0, 4.0]])
    assert len(seen(corners)) == pytest.approx(0.5 * 50 * 50, rel=0.03)


def test_a_triangle_seen_from_behind_or_behind_the_camera_is_left_out():
    corners = np.array([[-1.0, 1.0, 4.0], [1.0, 1.0, 4.0], [0.0, -1.0, 4.0]])
    assert len(seen(corners[::-1])) == 0
    assert len(seen(corners * [1, 1, -1])) == 0
    assert (
        len(
            rasterise(
                project(corners, FOCAL, PRINCIPAL), corners[:, 2], FRONT[:, ::-1], size=SIZE, two_sided=True
            )
        )
        > 1000
    )


def test_the_nearer_of_two_crossing_triangles_is_seen_at_every_pixel():
    left = np.array([[-1.0, 1.0, 3.0], [1.0, 1.0, 5.0], [0.0, -1.0, 4.0]])
    right = left * [1, 1, -1] + [0, 0, 8]
    both = np.concatenate([left, right])
    fragments = rasterise(
        project(both, FOCAL, PRINCIPAL), both[:, 2], np.array([[0, 1, 2], [3, 4, 5]]), size=SIZE
    )
    column = fragments.pixels % SIZE[1]
    assert (fragments.face[column < 45] == 0).all()
    assert (fragments.face[column > 54] == 1).all()
    assert len(np.unique(fragments.pixels)) == len(fragments)


def test_an_enlarged_camera_reduces_to_the_same_picture():
    camera = place_camera((36, 64), 60, 1.5, pitch=10, roll=3)
    points = np.random.default_rng(0).uniform([-2, -2, 3], [2, 0, 9], (20, 3))
    small, large = (c.to_picture(c.to_camera(points)) for c in (camera, camera.enlarged(2)))
    # Pixel x of the small picture is the mean of pixels 2x and 2x + 1 of the large one.
    np.testing.assert_allclose(large, 2 * small + 0.5, atol=1e-9)


def test_rays_look_through_their_pixels():
    camera = place_camera((6, 8), 50, 1.5, pitch=20, roll=-4)
    points = camera.position_m + 3.7 * camera.rays()
    y, x = np.mgrid[:6, :8].reshape(2, -1)
    np.testing.assert_allclose(camera.to_picture(camera.to_camera(points)), np.stack([x, y], -1), atol=1e-9)
    np.testing.assert_allclose(camera.to_camera(points)[:, 2], 3.7, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_places_have_a_floor_at_height_zero(kind):
    rng = np.random.default_rng(5)
    camera = place_camera((36, 64), 60, 1.6, pitch=15)
    colours, depth, ground = paint_place(random_place(rng, kind), camera, random_light(rng, camera.rotation))
    points = camera.position_m + camera.rays() * depth[:, None]
    assert ground.any()
    np.testing.assert_allclose(points[ground, 1], 0, atol=1e-6)
    assert (points[(depth < FAR_M) & ~ground, 1] < 1e-6).all()
    assert np.isfinite(colours).all()
    assert colours.min() >= 0
    assert colours.max() <= 255


@pytest.mark.parametrize("kind", sorted({*KINDS_INDOORS, *KINDS_OUTDOORS}))
def test_props_stand_on_the_ground_and_face_outwards(kind):
    prop = make_prop(np.random.default_rng(2), kind, np.array([0.5, 4.0]))
    corners = prop.vertices_m[prop.faces]
    of_face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    wide = np.linalg.norm(of_face, axis=1) > 1e-9
    assert (np.einsum("td,td->t", of_face, prop.normals[prop.faces].mean(1))[wide] > 0).all()
    assert prop.vertices_m[:, 1].max() > -0.02
    reach = np.linalg.norm(prop.vertices_m[:, [0, 2]] - prop.spot_m, axis=1).max()
    assert reach < 1.35 * prop.radius_m + 1e-9


def test_layouts_keep_people_apart_in_view_and_within_the_place():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        count = seed % 7
        layout = random_layout(rng, (360, 640), count, clear_m=(3.0, 8.0))
        assert layout.spots_m.shape == (count, 2)
        apart = np.linalg.norm(layout.spots_m[:, None] - layout.spots_m, axis=-1)[~np.eye(count, dtype=bool)]
        assert (apart >= APART_M).all()
        assert (np.abs(layout.spots_m[:, 0]) <= 3.0).all()
        assert (layout.spots_m[:, 1] <= 8.0).all()
        assert all(in_view(layout.camera, spot, whole=False) for spot in layout.spots_m)
        assert 0.8 <= -layout.camera.position_m[1] <= 2.8


def test_somebody_behind_the_camera_is_not_in_view():
    assert not in_view(place_camera((360, 640), 60, 1.5, pitch=5), np.array([0.0, -4.0]), whole=False)


def places_of(clips, turns):
    """Return the joints (J, 3) of turns, body axes, by carrying the neutral bones along."""
    neutral, found = neutral_places(clips), np.zeros((len(turns), 3))
    for joint, parent in enumerate(clips.parents):
        if parent >= 0:
            found[joint] = found[parent] + turns[parent] @ (neutral[joint] - neutral[parent])
    return found


def test_the_neutral_stance_has_no_turns_and_faces_the_front(standing_clips):
    np.testing.assert_allclose(
        turns_of(standing_clips, np.array([0, 1])), np.tile(np.eye(3), (2, 15, 1, 1)), atol=1e-12
    )
    places = neutral_places(standing_clips)
    assert places[joint_index(standing_clips, "UpLeg", "Left"), 0] == pytest.approx(0.1)
    assert places[joint_index(standing_clips, "Foot", "Left"), 2] == pytest.approx(-0.83)


def test_limbs_of_a_body_that_rests_otherwise_point_along_the_clips(standing_clips):
    bones, parents = ("Hips", "LeftArm", "LeftForeArm", "LeftHand"), (-1, 0, 1, 2)
    heads = np.array([[0, 0, 0], [0.2, 0, 0.5], [0.4, 0, 0.3], [0.5, -0.1, 0.1]], np.float64)
    orientations = bone_orientations(
        standing_clips,
        turns_of(standing_clips, np.array([0])),
        bones,
        parents=parents,
        rest_heads=heads,
        rest_axes=np.tile(np.eye(3), (4, 1, 1)),
    )[0]
    for bone, end in ((1, 2), (2, 3)):
        way = orientations[bone] @ (heads[end] - heads[bone])
        np.testing.assert_allclose(way / np.linalg.norm(way), [0, 0, -1], atol=1e-9)


def test_sitting_brings_the_thighs_up_and_the_feet_stay_below(standing_clips):
    hip, knee, ankle = (joint_index(standing_clips, part, "Left") for part in ("UpLeg", "Leg", "Foot"))
    for seed in range(20):
        turns = turns_of(standing_clips, np.array([0]))[0]
        assert change_stance(standing_clips, turns, np.random.default_rng(seed), stance="sit")
        places = places_of(standing_clips, turns)
        thigh, shank = places[knee] - places[hip], places[ankle] - places[knee]
        assert -0.42 < thigh[2] < 0.42 * np.sin(np.radians(20))
        assert thigh[1] < -0.25
        assert shank[2] < -0.2


@pytest.mark.parametrize("stance", STANCES)
def test_stances_keep_rotations_and_refuse_somebody_who_lies(standing_clips, stance):
    turns = turns_of(standing_clips, np.array([0]))[0]
    assert change_stance(standing_clips, turns, np.random.default_rng(1), stance=stance)
    np.testing.assert_allclose(turns @ np.swapaxes(turns, -1, -2), np.tile(np.eye(3), (15, 1, 1)), atol=1e-9)
    lying = about("x", 80) @ turns_of(standing_clips, np.array([0]))[0]
    before = lying.copy()
    assert not change_stance(standing_clips, lying, np.random.default_rng(1), stance=stance)
    np.testing.assert_array_equal(lying, before)


def test_random_arms_always_find_a_pose(standing_clips):
    rng = np.random.default_rng(0)
    arm, elbow, wrist = (joint_index(standing_clips, part, "Right") for part in ("Arm", "ForeArm", "Hand"))
    for _ in range(500):
        turns = turns_of(standing_clips, np.array([0]))[0]
        random_arm(standing_clips, turns, rng, side="Right")
        places = places_of(standing_clips, turns)
        assert np.linalg.det(turns[arm]) == pytest.approx(1)
        # Neither the upper arm nor the forearm ends far behind the back.
        assert (places[elbow] - places[arm])[1] < 0.46 * 0.28
        assert (places[wrist] - places[elbow])[1] < 0.51 * 0.26


def test_motion_that_is_missing_or_does_not_fit_is_refused(tmp_path, standing_clips):
    with pytest.raises(PosecError, match=r"no motion capture .*give the folder"):
        read_clips(tmp_path, "cmu")
    with pytest.raises(PosecError, match="known: cmu, deepmimic"):
        read_clips(tmp_path, "bvh")
    arrays = {
        "clips": np.array(["a"]), "split": np.array(["test"]), "starts": np.array([0, 2]), "fps": np.float32(30), "root": np.zeros((2, 3)),
        "rotations": standing_clips.rotations, "offsets": standing_clips.offsets, "parents": np.array(standing_clips.parents),
        "joint_names": np.array(standing_clips.joint_names), "neutral_rotations": standing_clips.neutral_rotations,
    }  # fmt: skip
    np.savez(tmp_path / "deepmimic.npz", **arrays)
    found = read_clips(tmp_path, "deepmimic")
    np.testing.assert_array_equal(
        turns_of(found, found.rows("test")), turns_of(standing_clips, np.array([0, 1]))
    )
    assert found.clip_of(1) == "a"
    assert len(found.rows("train")) == 0
    np.savez(tmp_path / "deepmimic.npz", **{**arrays, "root": np.zeros((5, 3))})
    with pytest.raises(PosecError, match="root must have shape"):
        read_clips(tmp_path, "deepmimic")


def test_a_turned_joint_takes_along_what_hangs_on_it(standing_clips):
    turns = turns_of(standing_clips, np.array([0]))[0]
    shoulder, elbow = (
        joint_index(standing_clips, "Arm", "Left"),
        joint_index(standing_clips, "ForeArm", "Left"),
    )
    turn_to(standing_clips, turns, shoulder, target=about("x", 40))
    turn_to(standing_clips, turns, joint_index(standing_clips, "hips"), target=about("z", 90))
    np.testing.assert_allclose(turns[elbow], about("z", 90) @ about("x", 40), atol=1e-12)


def test_variation_is_reproducible(standing_clips):
    one, two = (turns_of(standing_clips, np.array([0]))[0] for _ in range(2))
    for turns in (one, two):
        vary(
            standing_clips,
            turns,
            np.random.default_rng(3),
            others=turns_of(standing_clips, np.array([0, 1])),
            changed=1.0,
        )
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, np.eye(3))


@pytest.mark.parametrize("end", [(0, 0, 1.0), (0.3, -0.4, 0.2), (1.0, 1, 1)])
def test_shortest_rotation_reaches_its_end(end):
    turned = shortest_rotation(np.array([0.0, 0, 2]), np.array(end)) @ [0, 0, 1]
    np.testing.assert_allclose(turned, np.array(end) / np.linalg.norm(end), atol=1e-12)


def test_bodies_stand_on_the_ground_at_their_spot():
    rng = np.random.default_rng(4)
    body = stand(Body(rng.normal(0, 1, (50, 3)), rng.normal(0, 1, (17, 3))), np.array([1.0, 5.0]), 30.0)
    assert body.vertices_m[:, 1].max() == pytest.approx(0)
    np.testing.assert_allclose(body.joints_m[14, [0, 2]], [1.0, 5.0], atol=1e-12)


def test_a_box_shades_the_ground_beside_it_and_nothing_else():
    rng = np.random.default_rng(0)
    camera = place_camera((90, 160), 60, 2.0, pitch=15)
    prop = make_prop(rng, "box", np.array([0.0, 5.0]))
    light = random_light(rng, camera.rotation)
    bright = ground_shadow([(prop.vertices_m, prop.faces)], camera, light, soft=False).reshape(camera.size)
    assert bright.max() == pytest.approx(1)
    assert 0.05 < bright.min() < 0.85
    assert (bright[:20] > 0.99).all()
    assert (ground_shadow([], camera, light, soft=True) == 1).all()


def test_normals_of_a_box_point_outwards():
    prop = make_prop(np.random.default_rng(1), "box", np.array([0.0, 4.0]))
    assert (np.einsum("vd,vd->v", vertex_normals(prop.vertices_m, prop.faces), prop.normals) > 0.99).all()
