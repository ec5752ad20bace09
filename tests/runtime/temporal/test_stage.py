"""The runtime's temporal stage, frame by frame: equal to torch's batch form, exact where it has no effect."""

import numpy as np
import pytest
import torch
from walking_people import detections, random_network

from toolkit.network.network import KeypointNetwork
from toolkit.network.temporal import TemporalNetwork, temporal_arrays
from toolkit.runtime.errors import PoseError
from toolkit.runtime.pose import PoseFrame
from toolkit.runtime.temporal.causal_network import CausalNetwork
from toolkit.runtime.temporal.correction import corrected, correction_of, sizes
from toolkit.runtime.temporal.filters import filtered
from toolkit.runtime.temporal.record import features, record_of
from toolkit.runtime.temporal.stage import TemporalStage
from toolkit.runtime.temporal.weights import FRAMES, LOOKAHEADS, temporal_weights

SPEC = KeypointNetwork().spec()
INPUTS = sizes(SPEC)[0]
RATE = 25.0
FRAMES_RUN = 80


@pytest.fixture(scope="module")
def network() -> TemporalNetwork:
    return random_network(SPEC)


def batch_form(network: TemporalNetwork, frames: list, person: int, lookahead: int = 0) -> list[PoseFrame]:
    """Return one person's corrected frames, computed by torch over the whole sequence at once."""
    records = [record_of(people, evidence, 12) for people, evidence in frames]
    records = [record.take(np.array([person])) for record in records]
    seconds = np.array([1 / 30] + [1 / RATE] * (len(frames) - 1), np.float32)
    before = [records[0], *records[:-1]]
    inputs = [
        features(now, then, seconds[index : index + 1], np.array([True]))[0]
        for index, (now, then) in enumerate(zip(records, before, strict=True))
    ]
    with torch.no_grad():
        outputs = network(torch.from_numpy(np.stack(inputs, 1))[None], lookahead)[0].T.numpy()
    return [
        corrected(record, correction_of(row[None], SPEC), SPEC)
        for record, row in zip(records, outputs, strict=False)
    ]


def assert_same(found: PoseFrame, expected: PoseFrame, tolerance: float = 1e-5) -> None:
    """Compare lengths in metres and directions; a tolerance of 1e-5 is 0.01 mm, and 0.01 px of 1000."""
    for name in ("joints_mm", "roots_mm", "joints_px", "centres_px"):
        values, wanted = getattr(found, name), getattr(expected, name)
        assert np.abs(values - wanted).max() <= tolerance * 1000, name


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_streaming_equals_the_batch_form(network, lookahead):
    frames = detections(SPEC, 3, FRAMES_RUN)
    stage = TemporalStage(temporal_arrays(network), SPEC, lookahead)
    streamed = [
        stage.update(people, [7, 3, 5], index / RATE, evidence=evidence)
        for index, (people, evidence) in enumerate(frames)
    ]
    assert all(not len(people) for people in streamed[:lookahead])
    for person in range(3):
        expected = batch_form(network, frames, person, lookahead)
        for found, wanted in zip(streamed[lookahead:], expected, strict=True):
            assert_same(found[[person]], wanted)


def test_the_rings_give_the_same_numbers_as_torch(network):
    inputs = np.random.default_rng(1).normal(size=(60, 4, INPUTS)).astype(np.float32)
    weights = temporal_weights(temporal_arrays(network), SPEC)
    streaming = CausalNetwork(weights, filtered(SPEC, 12))
    streaming.add(4)
    found = np.stack([streaming(frame) for frame in inputs])
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs.transpose(1, 2, 0))).numpy().transpose(2, 0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_output_depends_on_27_frames(network):
    inputs = torch.randn(1, INPUTS, 60, generator=torch.Generator().manual_seed(2))
    changed = inputs.clone()
    changed[..., 20] += 1
    with torch.no_grad():
        moved = (network(inputs) - network(changed)).abs().amax((0, 1)) > 1e-6
    assert FRAMES == 27
    assert torch.nonzero(moved)[:, 0].tolist() == list(range(20, 47))


def test_a_network_whose_gates_are_closed_changes_nothing():
    frames, arrays = detections(SPEC, 4, 5), temporal_arrays(TemporalNetwork(SPEC))
    arrays["output_0_bias"][86:] = -30  # logits of the filters; other outputs start at 0
    stage = TemporalStage(arrays, SPEC)
    for index, (people, evidence) in enumerate(frames):
        found = stage.update(people, [1, 2, 3, 4], index / RATE, evidence=evidence)
        assert_same(found, people)
        np.testing.assert_array_equal(found.scores, people.scores)


def test_open_gates_give_the_filtered_numbers():
    frames, arrays = detections(SPEC, 1, 60), temporal_arrays(TemporalNetwork(SPEC))
    arrays["kernel_0"][0], arrays["output_0_bias"][86:] = 1 / FRAMES, -30
    arrays["output_0_bias"][86 : 86 + 35] = 30  # the first filter alone: the mean over 27 frames
    stage = TemporalStage(arrays, SPEC)
    for index, (people, evidence) in enumerate(frames):
        found = stage.update(people, [1], index / RATE, evidence=evidence)
    recent = [evidence.focal_px / evidence.px_per_m[0] for _, evidence in frames[-FRAMES:]]
    depth = np.exp(np.log(recent).mean())
    assert found.roots_mm[0, 2] == pytest.approx(1000 * depth, rel=1e-4)
    rays = np.mean([evidence.rays[0, :2] for _, evidence in frames[-FRAMES:]], axis=0)
    people, evidence = frames[-1]
    moved = (rays - evidence.rays[0, :2]) * evidence.focal_px
    np.testing.assert_allclose(found.centres_px[0], people.centres_px[0] + moved, atol=0.01)


def test_people_keep_their_history_when_others_come_and_go_in_any_order(network):
    frames = detections(SPEC, 4, FRAMES_RUN)
    stage, alone = (TemporalStage(temporal_arrays(network), SPEC) for _ in range(2))
    rng = np.random.default_rng(5)
    for index, (people, evidence) in enumerate(frames):
        others = [person for person in (0, 2, 3) if (index // (7 + 4 * person)) % 2]
        order = rng.permutation([1, *others])
        found = stage.update(people[order], order + 1, index / RATE, evidence=evidence.take(order))
        own = alone.update(people[[1]], [2], index / RATE, evidence=evidence.take(np.array([1])))
        assert_same(found[[int(np.flatnonzero(order == 1)[0])]], own)


def test_lost_people_follow_the_ones_given_and_are_forgotten_when_not_named(network):
    frames = detections(SPEC, 2, 10)
    stage = TemporalStage(temporal_arrays(network), SPEC)
    for index, (people, evidence) in enumerate(frames[:5]):
        stage.update(people, [1, 2], index / RATE, evidence=evidence)
    people, evidence = frames[5]
    found = stage.update(people[[0]], [1], 5 / RATE, evidence=evidence.take(np.array([0])), lost=[2])
    assert len(found) == len(stage.confidences) == 2
    assert np.isfinite(found.joints_mm).all()
    found = stage.update(people[[0]], [1], 6 / RATE, evidence=evidence.take(np.array([0])))
    assert len(found) == 1
    found = stage.update(people[[0]], [1], 7 / RATE, evidence=evidence.take(np.array([0])), lost=[2])
    assert len(found) == 1  # number 2 is not known any more


def test_flush_returns_the_frames_that_wait_for_later_ones(network):
    frames = detections(SPEC, 2, 10)
    stage = TemporalStage(temporal_arrays(network), SPEC, lookahead=4)
    for index, (people, evidence) in enumerate(frames):
        stage.update(people, [1, 2], index / RATE, evidence=evidence)
    ended = stage.flush()
    assert len(ended) == 4
    for found, (people, _) in zip(ended, frames[6:], strict=True):
        assert_same(found, people)
    assert stage.flush() == []


def test_a_picture_without_people_is_passed(network):
    frames = detections(SPEC, 0, 1) + detections(SPEC, 2, 1) + detections(SPEC, 0, 1)
    stage = TemporalStage(temporal_arrays(network), SPEC)
    counts = [
        len(stage.update(people, list(range(1, len(people) + 1)), index / RATE, evidence=evidence))
        for index, (people, evidence) in enumerate(frames)
    ]
    assert counts == [0, 2, 0]


def test_another_lookahead_is_refused_with_those_there_are(network):
    with pytest.raises(PoseError, match="one of 0, 1, 2, 4, 8 frames, got 3"):
        TemporalStage(temporal_arrays(network), SPEC, lookahead=3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda arrays: arrays.pop("output_4"), "missing or unknown: output_4"),
        (lambda arrays: arrays.update(dilated_1=arrays["dilated_1"][:, 1:]), "dilated_1 must hold"),
        (lambda arrays: arrays["pointwise_2"].__setitem__((0, 0), np.nan), "pointwise_2 holds NaN"),
        (lambda arrays: arrays.update(output_0=np.zeros(3, np.float32)), "output_0 must be a matrix"),
    ],
)
def test_weights_that_do_not_fit_are_refused(network, change, reason):
    arrays = {name: values.copy() for name, values in temporal_arrays(network).items()}
    change(arrays)
    with pytest.raises(ValueError, match=reason):
        temporal_weights(arrays, SPEC)
