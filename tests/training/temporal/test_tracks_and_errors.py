"""Simulated tracks: true motion at any rate, errors as their model states, measured back from tracks."""

from dataclasses import replace

import numpy as np
import pytest
from swinging_people import FPS, LEVEL, motion_source, plain_errors, swinging

from toolkit.errors import PosecError
from toolkit.runtime.decoding.kinematics import forward_kinematics
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.temporal.batches import jumping, mirrored, reversed_track
from toolkit.training.temporal.error_model import (
    DEFAULT,
    draw_noise,
    draw_spans,
    facing_deg,
    load_errors,
    save_errors,
)
from toolkit.training.temporal.exchanges import exchange, exchanged
from toolkit.training.temporal.fit_errors import error_of, fit_errors
from toolkit.training.temporal.motion import MotionClip, MotionSource
from toolkit.training.temporal.simulate import simulated_track
from toolkit.training.temporal.tracks import load_tracks, save_tracks
from toolkit.training.temporal.truth import truth_of

pytestmark = pytest.mark.torch


def simulated(model, count=40, frames=60, seed=0):
    rng, source = np.random.default_rng(seed), motion_source()
    return [simulated_track(source, model, rng, frames=frames) for _ in range(count)]


def test_motion_has_the_same_speed_at_every_rate():
    source = MotionSource([MotionClip(swinging(), FPS)])
    speeds = []
    for rate in (10.0, 30.0, 60.0):
        views = [source.view(np.random.default_rng(seed), 20, rate_hz=rate) for seed in range(30)]
        speeds.append(
            np.mean([np.linalg.norm(np.diff(v.joints_m, axis=0), axis=-1).mean() * rate for v in views])
        )
    assert max(speeds) < 1.35 * min(speeds)


def test_bones_of_a_view_keep_their_lengths():
    view = motion_source().view(np.random.default_rng(3), 40)
    bones = (
        view.joints_m[:, list(MUPOTS17.bones)]
        - view.joints_m[:, [MUPOTS17.parents[j] for j in MUPOTS17.bones]]
    )
    lengths = np.linalg.norm(bones, axis=-1)
    assert np.ptp(lengths, axis=0).max() < 0.03  # interpolation cuts corners of the swing a little


def test_the_truth_of_a_person_gives_back_the_joints():
    joints = swinging(5) + np.array([0.4, 1.0, 4.0])
    truth = truth_of(joints, np.full(5, 500.0), np.array([320.0, 180.0]))
    from toolkit.runtime.decoding.kinematics import ray_rotation

    own = MUPOTS17
    lengths = np.linalg.norm(
        joints[0, list(own.bones)] - joints[0, [own.parents[joint] for joint in own.bones]], axis=-1
    )
    skeleton = replace(own, bone_lengths_mm=tuple(1000 * lengths))
    placed = forward_kinematics(truth.bones.transpose(0, 2, 1).astype(np.float32), skeleton)
    placed = (ray_rotation(truth.rays.copy()) @ placed.transpose(0, 2, 1)).transpose(0, 2, 1)
    np.testing.assert_allclose(placed, 1000 * (joints - joints[:, [own.root]]), atol=0.05)
    np.testing.assert_allclose(truth.px_per_m, 500 / joints[:, own.root, 2])


def test_a_network_without_errors_detects_the_truth():
    track = simulated(plain_errors(level=0.0), count=1)[0]
    values = error_of(track)
    assert np.abs(values[:, :-13]).max() < 1e-5
    np.testing.assert_allclose(values[:, -13:], 0.6, atol=1e-6)


def test_errors_have_the_size_and_the_persistence_of_their_model():
    for shares, correlation in (((1.0, 0, 0, 0), 1.0), ((0, 0, 0, 1.0), 0.0), ((0, 0, 1.0, 0), np.exp(-0.5))):
        model, rng = plain_errors(shares), np.random.default_rng(1)
        noise = np.stack([draw_noise(model, np.full(30, 0.05), rng)[:, :90] for _ in range(200)])
        assert noise.std() == pytest.approx(LEVEL, rel=0.05)
        assert (noise[:, 1:] * noise[:, :-1]).mean() / noise.var() == pytest.approx(correlation, abs=0.03)


def test_spans_start_and_last_as_often_as_stated():
    rng, seconds = np.random.default_rng(2), np.full(200_000, 0.02)
    spans = draw_spans(np.array([0.2, 0.3]), seconds, rng, longest=10_000)
    assert spans.max() / seconds.sum() == pytest.approx(0.2, rel=0.15)
    assert (spans > 0).sum() * 0.02 / spans.max() == pytest.approx(0.3, rel=0.15)


def test_the_model_is_measured_back_from_tracks_drawn_from_it():
    model = replace(
        plain_errors((0, 0, 1.0, 0)),
        flips=np.array([0.3, 0.4]),
        misses=np.array([0.5, 0.1]),
        by_size=np.ones(4),
    )
    tracks = simulated(model, count=120)
    fitted = fit_errors(tracks)
    drawn, found = (
        np.concatenate([draw_noise(m, t.seconds, np.random.default_rng(5))[:, :48] for t in tracks]).std()
        for m in (model, fitted)
    )
    assert found == pytest.approx(drawn, rel=0.2)
    assert fitted.shares.mean(axis=0)[2] > 0.6  # the process of 0.1 s
    assert fitted.misses[0] == pytest.approx(0.5, rel=0.35)
    assert not fitted.bias[:-1].any()  # what the pose explains holds for the people of these tracks alone
    # Seen from the side, an exchange keeps the front where it was, and is no exchange.
    assert 0.25 < fitted.flips[0] * fitted.flips[1] / (0.3 * 0.4) < 1.2


def test_exchanges_of_front_and_back_are_found():
    track = simulated(plain_errors(level=0.0), count=1)[0]
    bones = track.record.bones.copy()
    bones[10:20] = exchange(bones[10:20])
    flipped = track._replace(record=track.record._replace(bones=bones))
    assert np.flatnonzero(exchanged(flipped)).tolist() == list(range(10, 20))
    np.testing.assert_allclose(
        facing_deg(bones[10:20]), 180 - facing_deg(track.record.bones[10:20]), atol=1e-3
    )


def test_a_missed_person_keeps_the_last_detection_for_at_most_five_frames():
    tracks = simulated(replace(plain_errors(), misses=np.array([3.0, 0.5])), count=20)
    for track in tracks:
        assert track.is_seen[0]
        missed = np.flatnonzero(~track.is_seen)
        np.testing.assert_array_equal(track.record.bones[missed], track.record.bones[missed - 1])
        runs = np.split(missed, np.flatnonzero(np.diff(missed) > 1) + 1)
        # A new miss may start in the frame after one.
        assert max((len(run) for run in runs), default=0) <= 12
    assert sum(int((~track.is_seen).sum()) for track in tracks) > 50


def test_a_mirrored_track_is_the_track_of_mirrored_errors():
    track = simulated(plain_errors(), count=1)[0]
    twice = mirrored(mirrored(track))
    for field in ("joints_px", "bones", "poses", "rays", "pulls", "roots_mm"):
        np.testing.assert_allclose(getattr(twice.record, field), getattr(track.record, field), atol=1e-5)
    once = mirrored(track)
    before, after = (np.abs(error_of(one)[:, 98:132]).sum() for one in (track, once))
    assert after == pytest.approx(before, rel=1e-4)
    own = truth_of(track.truth.roots_m[:, None] + np.zeros((1, 17, 1)), track.truth.focal_px, np.zeros(2))
    assert own.rays[0, 0] == pytest.approx(-mirrored(track._replace(truth=own)).truth.rays[0, 0])


def test_a_reversed_track_keeps_detections_where_they_are():
    track = simulated(replace(plain_errors(), misses=np.array([2.0, 0.1])), count=1)[0]
    back = reversed_track(track)
    seen = np.flatnonzero(back.is_seen)
    np.testing.assert_array_equal(back.record.bones[seen], track.record.bones[::-1][seen])
    np.testing.assert_array_equal(back.truth.bones, track.truth.bones[::-1])
    missed = np.flatnonzero(~back.is_seen[1:]) + 1
    assert len(missed)
    np.testing.assert_array_equal(back.record.bones[missed], back.record.bones[missed - 1])


def test_a_jumping_track_shows_two_of_its_times_one_after_the_other():
    track = simulated(plain_errors(), count=1, frames=40)[0]
    held = 0
    for seed in range(20):
        jumped = jumping(track, np.random.default_rng(seed))
        rows = [int(np.abs(track.truth.bones - own).sum((1, 2)).argmin()) for own in jumped.truth.bones]
        np.testing.assert_array_equal(jumped.record.bones, track.record.bones[rows])
        steps = np.diff(rows) % 40
        changes = np.flatnonzero(np.diff(steps))
        held += int((steps == 0).sum() > 2)
        assert rows[0] == 0
        assert len(changes) <= 3  # of held to jump, of jump to held
        assert ((steps > 1).sum()) <= 1
    assert 5 < held < 20


def test_tracks_and_models_are_written_and_read(tmp_path):
    tracks = simulated(plain_errors(), count=3)
    save_tracks(tmp_path / "tracks.npz", tracks)
    for read, written in zip(load_tracks(tmp_path / "tracks.npz"), tracks, strict=True):
        np.testing.assert_allclose(read.record.joints_px, written.record.joints_px, rtol=1e-6)
        np.testing.assert_array_equal(read.is_seen, written.is_seen)
    save_errors(tmp_path / "errors.safetensors", plain_errors())
    np.testing.assert_allclose(
        load_errors(tmp_path / "errors.safetensors").components, plain_errors().components
    )
    (tmp_path / "other.safetensors").write_bytes(b"no file of numbers")
    with pytest.raises(PosecError, match="is no error model"):
        load_errors(tmp_path / "other.safetensors")
    with pytest.raises(PosecError, match="holds no tracks"):
        load_tracks(tmp_path / "errors.safetensors")


def test_the_shipped_error_model_is_of_a_usable_network():
    model = load_errors(DEFAULT)
    noise = draw_noise(model, np.full(2000, 1 / 30), np.random.default_rng(0))
    assert 0.02 < noise[:, :48].std() < 0.4
    np.testing.assert_allclose(model.shares.sum(axis=1), 1, atol=1e-5)
    assert 0 <= model.flips[0] < 1
