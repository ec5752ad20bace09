"""Triangles, cameras and normals."""

import numpy as np
import pytest

from toolkit.training.render.cameras import place_camera
from toolkit.training.render.props import make_prop
from toolkit.training.render.rasterise import interpolate, project, rasterise, vertex_normals

FOCAL, PRINCIPAL, SIZE = 100.0, (49.5, 39.5), (80, 100)
FRONT = np.array([[0, 1, 2]])


def front_fragments(points):
    return rasterise(project(points, FOCAL, PRINCIPAL), points[:, 2], FRONT, size=SIZE)


def test_a_slanted_triangle_has_the_depth_of_its_plane():
    # Wound so that the signed area in the picture is negative: towards the camera.
    corners = np.array([[-1.0, 1.0, 3.0], [1.0, 1.0, 6.0], [0.0, -1.0, 4.0]])
    fragments = front_fragments(corners)
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
    assert len(front_fragments(corners)) == pytest.approx(0.5 * 50 * 50, rel=0.03)


def test_back_faces_and_triangles_behind_the_camera_are_dropped():
    corners = np.array([[-1.0, 1.0, 4.0], [1.0, 1.0, 4.0], [0.0, -1.0, 4.0]])
    assert len(front_fragments(corners[::-1])) == 0
    assert len(front_fragments(corners * [1, 1, -1])) == 0
    assert (
        len(
            rasterise(
                project(corners, FOCAL, PRINCIPAL), corners[:, 2], FRONT[:, ::-1], size=SIZE, two_sided=True
            )
        )
        > 1000
    )


def test_the_nearer_of_two_crossing_triangles_is_visible_at_every_pixel():
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


def test_an_enlarged_camera_downsamples_to_the_same_picture():
    camera = place_camera((36, 64), 60, 1.5, pitch=10, roll=3)
    points = np.random.default_rng(0).uniform([-2, -2, 3], [2, 0, 9], (20, 3))
    small, large = (c.to_picture(c.to_camera(points)) for c in (camera, camera.enlarged(2)))
    # Pixel x of the small picture is the mean of pixels 2x and 2x + 1 of the large one.
    np.testing.assert_allclose(large, 2 * small + 0.5, atol=1e-9)


def test_rays_pass_through_their_pixels():
    camera = place_camera((6, 8), 50, 1.5, pitch=20, roll=-4)
    points = camera.position_m + 3.7 * camera.rays()
    y, x = np.mgrid[:6, :8].reshape(2, -1)
    np.testing.assert_allclose(camera.to_picture(camera.to_camera(points)), np.stack([x, y], -1), atol=1e-9)
    np.testing.assert_allclose(camera.to_camera(points)[:, 2], 3.7, atol=1e-9)


def test_normals_of_a_box_point_outwards():
    prop = make_prop(np.random.default_rng(1), "box", np.array([0.0, 4.0]))
    assert (
        np.einsum("vd,vd->v", vertex_normals(prop.mesh.vertices_m, prop.mesh.faces), prop.mesh.normals) > 0.99
    ).all()
