"""The loss of key points: nothing for maps that say what the labels say, and known amounts for known errors."""

import numpy as np
import pytest
import torch

from toolkit.errors import PosecError
from toolkit.network.map_network import JointNetwork
from toolkit.network.maps import DISPLACEMENT_PX, DISPLACEMENTS, JOINTS, MAP_STRIDE, MAPS, OFFSET_PX, PoseMapsReader
from toolkit.network.pose_network import PoseNetwork
from toolkit.training.dataset import IGNORED, PERSON
from toolkit.training.keypoint_losses import FACE, keypoint_loss
from toolkit.training.map_rendering import ReadingFaults
from toolkit.training.network_run import NetworkRun
from toolkit.training.network_settings import NetworkTraining

ROWS, COLUMNS = 16, 28
HALF = len(DISPLACEMENTS) // 2


def person():
    """Return labels of one picture with one person, all of whose key points are seen."""
    rng = np.random.default_rng(3)
    labels = {"status": torch.zeros(1, 16, dtype=torch.int64), "px_per_m": torch.ones(1, 16), "centres_px": torch.zeros(1, 16, 2),
              "keypoints_px": torch.zeros(1, 16, 12, 2), "seen": torch.zeros(1, 16, 12)}  # fmt: skip
    labels["status"][0, 0] = PERSON
    labels["px_per_m"][0, 0], labels["centres_px"][0, 0] = 100.0, torch.tensor([220.0, 120.0])
    labels["keypoints_px"][0, 0] = torch.from_numpy(rng.uniform((180, 60), (260, 180), (12, 2)).astype(np.float32))
    labels["seen"][0, 0] = 1.0
    return labels


def maps_of(labels):
    """Return logits and fields (1, 115, h, w) that say what the labels say, by definition of PoseNet's outputs."""
    cells = torch.stack(torch.meshgrid(torch.arange(COLUMNS), torch.arange(ROWS), indexing="xy"), -1) * float(MAP_STRIDE)
    logits, fields = torch.full((MAPS, ROWS, COLUMNS), -20.0), torch.zeros(MAPS, ROWS, COLUMNS)
    places = labels["keypoints_px"][0, 0]
    for body, place in enumerate(places):
        distance = (cells - place).norm(dim=-1)
        logits[FACE + body] = (ReadingFaults.radius_px - distance) / ReadingFaults.edge_px
        way = (place - cells) / OFFSET_PX
        fields[JOINTS + FACE + body], fields[2 * JOINTS + FACE + body] = way[..., 1], way[..., 0]
    for index, (start, end) in enumerate(DISPLACEMENTS):
        if min(start, end) >= FACE:
            way = (places[end - FACE] - places[start - FACE]) / DISPLACEMENT_PX
            first = 3 * JOINTS + 2 * HALF * (index // HALF) + index % HALF
            fields[first], fields[first + HALF] = way[1], way[0]
    return logits, fields.clamp(-1, 1)


def loss(logits, fields, labels):
    reader = PoseMapsReader(2 * MAPS)
    with torch.no_grad():
        for part, first in ((reader.gates, 0), (reader.values, MAPS)):
            part.weight.zero_()
            part.bias.zero_()
            part.weight[range(MAPS), range(first, first + MAPS)] = 1.0
        return float(keypoint_loss(reader, torch.cat([logits, fields])[None], labels))


def test_maps_that_say_what_the_labels_say_cost_nothing():
    labels = person()
    assert loss(*maps_of(labels), labels) < 1e-4


def test_an_offset_that_errs_by_a_cell_costs_a_cell():
    labels = person()
    logits, fields = maps_of(labels)
    fields[2 * JOINTS + FACE : 3 * JOINTS] -= (MAP_STRIDE / OFFSET_PX) * fields[2 * JOINTS + FACE : 3 * JOINTS].sign()
    assert abs(loss(logits, fields, labels) - 1.0) < 0.05


def test_displacements_err_by_their_own_length():
    labels = person()
    logits, fields = maps_of(labels)
    assert loss(logits, torch.cat([fields[: 3 * JOINTS], 0 * fields[3 * JOINTS :]]), labels) > 1.0


def test_a_person_unseen_or_ignored_is_not_asked_about():
    labels = person()
    logits, fields = maps_of(labels)
    nothing = torch.full_like(logits, -20.0)
    missed = loss(nothing, fields, labels)
    unseen = {**labels, "seen": torch.zeros(1, 16, 12)}
    ignored = {**labels, "status": torch.where(labels["status"] == PERSON, IGNORED, 0)}
    assert missed > 0.3
    assert loss(nothing, fields, unseen) < 1e-4
    assert loss(logits, fields, unseen) < 0.1 * missed
    assert loss(logits, fields, ignored) < 0.2 * missed


def test_heat_where_nobody_is_costs():
    labels = person()
    logits, fields = maps_of(labels)
    logits[FACE, 2, 2] = 5.0
    assert loss(logits, fields, labels) > 5.0 / (ROWS * COLUMNS) * 0.9


@pytest.mark.parametrize(
    ("settings", "network", "words"),
    [
        ({"keypoints": 1.0, "trunk_rate": 0.0}, JointNetwork, "needs a trunk_rate above 0"),
        ({"keypoints": 1.0, "trunk_rate": 1e-4}, PoseNetwork, "of a joined network"),
    ],
    ids=["frozen trunk", "no pose maps"],
)
def test_settings_that_would_teach_nothing_are_refused(settings, network, words):
    with pytest.raises(PosecError, match=words):
        NetworkRun(NetworkTraining(minutes=1, **settings), network(), None, "cpu")
