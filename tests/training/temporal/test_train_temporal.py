"""Training of the temporal stage: losses by hand, errors that fall, tracks without labels, the command."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from swinging_people import motion_source, plain_errors, write_mocap

from toolkit.cli import main
from toolkit.network.network import KeypointNetwork
from toolkit.network.temporal import TemporalNetwork
from toolkit.runtime.temporal.weights import temporal_weights
from toolkit.training.temporal.batches import batch_of
from toolkit.training.temporal.error_model import save_errors
from toolkit.training.temporal.losses import Predicted, projection_loss, scale_loss, supervised_losses
from toolkit.training.temporal.material import Material
from toolkit.training.temporal.simulate import simulated_track
from toolkit.training.temporal.temporal_settings import TemporalTraining
from toolkit.training.temporal.tracks import save_tracks
from toolkit.training.temporal.train_temporal import figures_of, train_temporal

pytestmark = pytest.mark.torch
SPEC = KeypointNetwork().spec()


def tracks(model, count, frames=40, seed=0):
    rng, source = np.random.default_rng(seed), motion_source()
    return [simulated_track(source, model, rng, frames=frames) for _ in range(count)]


def corrections(batch):
    return torch.zeros(len(batch.features), 86, batch.features.shape[2])


def test_no_correction_of_no_error_costs_nothing():
    batch = batch_of(tracks(plain_errors(level=0.0), 2))
    predicted = Predicted(corrections(batch), batch)
    losses = supervised_losses(predicted, batch)
    assert all(float(value) < 2e-4 for name, value in losses.items() if name != "confidence")
    assert float(projection_loss(predicted, batch)) == 0.0  # of tracks without labels alone
    near = projection_loss(predicted, batch._replace(is_labelled=~batch.is_labelled))
    assert 0.0 < float(near) < 0.12  # perspective and bone lengths differ from the skeleton's projection


def test_a_constant_error_costs_position_but_neither_velocity_nor_acceleration():
    batch = batch_of(tracks(plain_errors(level=0.0), 2))
    wrong = corrections(batch)
    wrong[:, 82] = 0.3  # centre, x in metres
    losses = supervised_losses(Predicted(wrong, batch), batch)
    assert float(losses["centre"]) == pytest.approx(0.3, abs=1e-3)
    assert float(losses["centre_velocity"]) < 2e-4
    assert float(losses["centre_acceleration"]) < 2e-4


def test_one_wrong_frame_costs_its_jump_three_times_in_acceleration():
    batch = batch_of(tracks(plain_errors(level=0.0), 1, frames=42))
    wrong = corrections(batch)
    wrong[:, 84, 20] = 0.5  # log distance of one frame: accelerations of .5, -1 and .5 among 40
    losses = supervised_losses(Predicted(wrong, batch), batch)
    assert float(losses["distance"]) == pytest.approx(0.5 / 42, abs=2e-4)
    calm = float(batch.calm[0]) ** 3
    assert float(losses["distance_acceleration"]) == pytest.approx(calm * 2.0 / 40, abs=2e-4)


def test_tracks_without_labels_cost_by_projection_alone():
    batch = batch_of(tracks(plain_errors(), 4), [True, False, False, False])
    wrong = corrections(batch)
    wrong[1:, 82] = 0.5
    wrong[1:, 84] = 0.2
    predicted = Predicted(wrong, batch)
    right = Predicted(corrections(batch), batch)
    for name, value in supervised_losses(predicted, batch).items():
        assert float(value) == pytest.approx(float(supervised_losses(right, batch)[name])), name
    assert float(projection_loss(predicted, batch)) > float(projection_loss(right, batch)) + 0.2
    assert float(scale_loss(predicted, batch.is_labelled)) == pytest.approx(0.2)
    wrong[0, 82] = 0.7  # of a labelled track
    assert float(projection_loss(Predicted(wrong, batch), batch)) == pytest.approx(
        float(projection_loss(predicted, batch))
    )


def test_training_makes_simulated_people_calmer(tmp_path):
    settings = TemporalTraining(steps=60, batch=8, frames=32, detected_share=0.0, report_every=60)
    material = Material(motion_source(), plain_errors((0, 0, 0.2, 0.8), level=0.12), [], settings=settings)
    before = material.tracks(20)
    network = train_temporal(settings, material, tmp_path / "t.safetensors", validation={})
    figures = figures_of(network, before)
    assert figures["after_acceleration_mm"] < 0.75 * figures["before_acceleration_mm"]
    temporal_weights(load_file(tmp_path / "t.safetensors"), SPEC)
    assert (tmp_path / "t.safetensors").stat().st_size < 2**20


def test_fewer_labels_are_fewer_clips():
    settings = TemporalTraining(batch=32, label_share=0.34, detected_labels=0, detected_share=0.5)
    detected = [track._replace(clip="000") for track in tracks(plain_errors(), 3)]
    material = Material(motion_source(3), plain_errors(), detected, settings=settings)
    assert len(material._source.clips) == 1
    assert int(material.batch().is_labelled.sum()) == 16


def test_the_command_trains_a_stage_and_resumes(tmp_path):
    save_errors(tmp_path / "errors.safetensors", plain_errors())
    detected = [
        track._replace(clip=f"{number:03d}") for number, track in enumerate(tracks(plain_errors(), 6))
    ]
    save_tracks(tmp_path / "tracks.npz", detected)
    out = tmp_path / "temporal.safetensors"
    mocap, errors = write_mocap(tmp_path / "mocap"), tmp_path / "errors.safetensors"
    words = f"train temporal --mocap {mocap} --errors {errors}".split()
    words += f"--tracks {tmp_path / 'tracks.npz'} --validation {tmp_path / 'tracks.npz'}".split()
    words += f"--out {out} --steps 4 --report-every 2 --batch 4 --correction-share 0".split()
    assert main(words) == 0
    reports = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert [report["step"] for report in reports] == [2, 4]
    assert {"simulated_after_mpjpe_mm", "clips_after_mpjpe_mm"} <= set(reports[-1])
    network = TemporalNetwork(SPEC)
    arrays = load_file(out)
    assert set(arrays) == set(_names(network))
    assert not arrays["output_0"][:85].any()
    assert arrays["output_0"][85:].any()
    assert not out.with_suffix(".state").exists()


def _names(network):
    from toolkit.network.temporal import temporal_arrays

    return temporal_arrays(network)
