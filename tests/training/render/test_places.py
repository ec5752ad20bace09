"""Places and props."""

import numpy as np
import pytest

from toolkit.training.render.backgrounds import FAR_M, paint_place
from toolkit.training.render.cameras import place_camera
from toolkit.training.render.dressed_body import random_light
from toolkit.training.render.places import KINDS, random_place
from toolkit.training.render.props import KINDS_INDOORS, KINDS_OUTDOORS, make_prop


@pytest.mark.parametrize("kind", KINDS)
def test_places_have_a_ground_at_height_zero(kind):
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
    corners = prop.mesh.vertices_m[prop.mesh.faces]
    of_face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    wide = np.linalg.norm(of_face, axis=1) > 1e-9
    assert (np.einsum("td,td->t", of_face, prop.mesh.normals[prop.mesh.faces].mean(1))[wide] > 0).all()
    assert prop.mesh.vertices_m[:, 1].max() > -0.02
    reach = np.linalg.norm(prop.mesh.vertices_m[:, [0, 2]] - prop.spot_m, axis=1).max()
    assert reach < 1.35 * prop.radius_m + 1e-9
