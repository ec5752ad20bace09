"""Peaks of centre maps: each plateau once, whatever its shape."""

import itertools

import numpy as np
import pytest

from toolkit.runtime.decoding.centres import find_centres


def peaks(rows, threshold=0.3, most=64):
    cells, scores = find_centres(np.array(rows, np.float32), threshold, most)
    return [tuple(cell) for cell in cells.tolist()], scores.tolist()


def regional_maxima(heat, threshold):
    """Return every plateau that nothing higher touches, by filling from each cell: slow and plain."""
    height, width = heat.shape
    seen, found = set(), []
    for start in itertools.product(range(height), range(width)):
        if start in seen or heat[start] <= threshold:
            continue
        plateau, ahead, is_peak = {start}, [start], True
        while ahead:
            row, column = ahead.pop()
            for near in itertools.product(range(row - 1, row + 2), range(column - 1, column + 2)):
                if near in plateau or not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                if heat[near] == heat[start]:
                    plateau.add(near)
                    ahead.append(near)
                is_peak &= bool(heat[near] <= heat[start])
        seen |= plateau
        if is_peak:
            found.append(plateau)
    return found


def test_no_people_are_an_empty_answer():
    cells, scores = find_centres(np.zeros((4, 5), np.float32), 0.3)
    assert cells.shape == (0, 2)
    assert scores.shape == (0,)


def test_the_threshold_must_be_exceeded():
    assert peaks([[0, 0.5, 0]], threshold=0.5)[0] == []
    assert peaks([[0, 0.5, 0]], threshold=0.49)[0] == [(0, 1)]


def test_best_first_and_no_more_than_asked():
    rows = np.zeros((5, 9))
    rows[2, [1, 4, 7]] = 0.5, 0.9, 0.7
    assert peaks(rows)[0] == [(2, 4), (2, 7), (2, 1)]
    assert peaks(rows, most=2)[1] == pytest.approx([0.9, 0.7])


def test_equal_scores_keep_raster_order():
    rows = np.zeros((5, 9))
    rows[[3, 1, 1], [1, 6, 2]] = 0.5
    assert peaks(rows)[0] == [(1, 2), (1, 6), (3, 1)]


@pytest.mark.parametrize(("rows", "cell"), [
    ([[0, 0, 0, 0], [0, 0.8, 0.8, 0], [0, 0, 0, 0]], (1, 1)),  # two in a row: the first
    ([[0, 0, 0], [0, 0.8, 0], [0, 0, 0.8]], (1, 1)),  # touching by a corner
    ([[0, 0, 0.8], [0, 0.8, 0], [0, 0, 0]], (0, 2)),  # by the other corner: first in raster order
    ([[0.8, 0, 0.8], [0, 0.8, 0], [0, 0, 0]], (1, 1)),  # two beginnings, one plateau; its middle wins
    ([[0.8, 0.8, 0.8]] * 3, (1, 1)),  # flat map
    ([[0.8, 0.8, 0], [0.8, 0.8, 0], [0, 0, 0]], (0, 0)),  # in the corner
    ([[0, 0, 0.8, 0.8, 0.8]], (0, 3)),  # at the border
])  # fmt: skip
def test_a_plateau_counts_once(rows, cell):
    assert peaks(rows) == ([cell], [pytest.approx(0.8)])


def test_a_ring_counts_once():
    ring = np.full((5, 5), 0.8)
    ring[1:4, 1:4] = 0.2
    assert len(peaks(ring)[0]) == 1


def test_a_shoulder_is_no_peak():
    assert peaks([[0.5, 0.8, 0.8, 0.8, 0.9, 0.1]])[0] == [(0, 4)]
    # The far end of the step is a 3x3 maximum as well; only the cell beside the summit knows better.
    assert peaks([[0.1, 0.8, 0.8, 0.8, 0.8, 0.9]])[0] == [(0, 5)]


def test_a_flat_map_of_any_size_has_one_peak():
    assert len(peaks(np.full((32, 56), 0.95))[0]) == 1


def test_clipped_blobs_count_once_each():
    y, x = np.mgrid[:32, :56]
    middles = [(6, 9), (6, 30), (20, 12), (25, 45)]
    heat = np.minimum(
        0.95, sum(1.4 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8) for row, column in middles)
    )
    assert sorted(peaks(heat)[0]) == middles


@pytest.mark.parametrize("levels", [2, 3, 5, 17, 256])
def test_any_integer_map_has_one_cell_per_regional_maximum(levels):
    random = np.random.default_rng(levels)
    for _ in range(30):
        smooth = np.kron(random.random((3, 4)), np.ones((3, 3))) + 0.3 * random.random((9, 12))
        heat = (np.floor(smooth / smooth.max() * (levels - 1)) / (levels - 1)).astype(np.float32)
        cells = {tuple(cell) for cell in find_centres(heat, 0.3, 999)[0].tolist()}
        plateaus = regional_maxima(heat, 0.3)
        assert len(cells) == len(plateaus)
        assert all(len(cells & plateau) == 1 for plateau in plateaus)


def test_a_map_that_is_a_view_of_channels_last_is_read_rightly():
    maps = np.zeros((6, 7, 3), np.float32)
    maps[4, 2, 1] = 0.9
    assert find_centres(maps.transpose(2, 0, 1)[1], 0.3)[0].tolist() == [[4, 2]]
