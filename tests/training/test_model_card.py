"""The model card's comparisons: PoseNet's grouping on maps drawn here, key points as people, and the page's tables."""

import numpy as np
import pytest

from toolkit.errors import PosecError
from toolkit.evaluation.photos import BODY, body_joints_px
from toolkit.network.maps import DISPLACEMENTS, JOINTS, LIMBS
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.model_card import people_of_keypoints, put_table, table
from toolkit.training.posenet_people import group

# Offsets from the nose in cells of 16 pixels: a person facing the camera.
STANDING = np.array([(0, 0), (0.3, -0.3), (-0.3, -0.3), (0.6, 0), (-0.6, 0), (1, 1.5), (-1, 1.5), (1.5, 3), (-1.5, 3), (1.7, 4.4), (-1.7, 4.4),
                     (0.7, 4.5), (-0.7, 4.5), (0.8, 6.4), (-0.8, 6.4), (0.8, 8.3), (-0.8, 8.3)])  # fmt: skip


def drawn(*people_px, height=16, width=28):
    """PoseNet's outputs of people (17, 2): heat, offset and displacements around every joint."""
    outputs = np.full((115, height, width), -8.0)
    outputs[JOINTS:] = 0
    rows, columns = np.mgrid[:height, :width]
    nearest = np.full((JOINTS, height, width), np.inf)
    for points in people_px:
        for joint, (x, y) in enumerate(points):
            apart = np.hypot(columns * 16 - x, rows * 16 - y)
            mine = apart < np.minimum(nearest[joint], 26)
            nearest[joint][mine] = apart[mine]
            outputs[joint][mine] = 4 - apart[mine] / 8
            outputs[JOINTS + joint][mine] = (y - rows * 16)[mine]
            outputs[2 * JOINTS + joint][mine] = (x - columns * 16)[mine]
            for index, (start, end) in enumerate(DISPLACEMENTS):
                if start == joint:
                    first = 3 * JOINTS + (index // len(LIMBS)) * 2 * len(LIMBS) + index % len(LIMBS)
                    way = points[end] - points[start]
                    outputs[first][mine], outputs[first + len(LIMBS)][mine] = way[1], way[0]
    return outputs


def test_posenets_people_are_grouped_and_placed_exactly():
    truth = [np.array([120.0, 60.0]) + 16 * STANDING, np.array([300.0, 44.0]) + 20 * STANDING]
    found = group(drawn(*truth))
    assert len(found) == 2
    for points in truth:
        nearest = min(found, key=lambda person: np.abs(person[:, :2] - points).max())
        np.testing.assert_allclose(nearest[:, :2], points, atol=1e-6)
        assert (nearest[:, 2] > 0.7).all()


def test_nobody_is_grouped_from_silence():
    assert group(drawn()).shape == (0, 17, 3)


def test_key_points_become_people_where_the_protocol_reads_them():
    keypoints = np.random.default_rng(0).uniform(0, 100, (3, 17, 3))
    people = people_of_keypoints(keypoints, MUPOTS17)
    np.testing.assert_allclose(body_joints_px(people, MUPOTS17), keypoints[:, BODY, :2], rtol=1e-6)
    np.testing.assert_allclose(people.centres_px, keypoints[:, [5, 6, 11, 12], :2].mean(1), rtol=1e-6)


def test_tables_replace_what_stands_between_their_marks_and_nothing_else():
    page = "a\n<!-- figures: photos -->\nold\n<!-- end -->\nb\n<!-- figures: scenes -->\n<!-- end -->\n"
    rows = table([{"n": 3, "share": 0.61234, "far": 1234.5, "none": None}], {"n": "people", "share": "recall", "far": "mm", "none": "off"})
    assert rows == "| people | recall | mm | off |\n| --- | --- | --- | --- |\n| 3 | 0.612 | 1234 | – |"
    once = put_table(put_table(page, "photos", rows), "scenes", "new")
    assert once == f"a\n<!-- figures: photos -->\n{rows}\n<!-- end -->\nb\n<!-- figures: scenes -->\nnew\n<!-- end -->\n"
    assert put_table(once, "scenes", "new") == once
    with pytest.raises(PosecError, match="figures: embedding"):
        put_table(page, "embedding", rows)
