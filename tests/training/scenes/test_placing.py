import numpy as np

from toolkit.training.render.cameras import place_camera
from toolkit.training.scenes.placing import APART_M, in_view, random_layout


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


def test_a_person_behind_the_camera_is_not_in_view():
    assert not in_view(place_camera((360, 640), 60, 1.5, pitch=5), np.array([0.0, -4.0]), whole=False)
