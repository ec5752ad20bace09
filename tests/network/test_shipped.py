"""The shipped checkpoint: it detects people at its input size, and its backbone is on the int8 grid."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import toolkit
from toolkit.evaluation.run import find_people
from toolkit.evaluation.scenes import evaluate_scenes, read_scenes
from toolkit.frontend.trace import REFERENCE, checkpoint_folder, trace
from toolkit.ir.float_engine import float_estimator
from toolkit.network.checkpoint import load_checkpoint
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.int8.snap_weights import snap_network

pytestmark = pytest.mark.torch
SCENES = 8


def test_the_shipped_network_detects_people_at_its_input_size():
    graph = trace(REFERENCE)
    assert (graph.spec.name, graph.spec.input_size) == (REFERENCE, (256, 448))
    scenes = read_scenes(Path(toolkit.__file__).parent / "samples/scenes.json", MUPOTS17)
    peopled = [file for file, scene in scenes.scenes.items() if len(scene.people)][:SCENES]
    few = replace(scenes, scenes={file: scenes.scenes[file] for file in peopled})
    figures = evaluate_scenes(find_people(float_estimator(graph, threads=1), few), few, MUPOTS17)[0]
    assert figures["people"] > SCENES
    assert figures["centre_recall"] > 0.8
    assert figures["centre_precision"] > 0.8
    assert figures["mpjpe_mm"] < 200


def test_the_weights_of_the_shipped_backbone_are_on_the_int8_grid():
    network = load_checkpoint(checkpoint_folder(REFERENCE)).network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert snap_network(network)
    for key, value in network.state_dict().items():
        if (
            key.endswith("weight") and value.dim() == 4
        ):  # the remaining rounding, in steps of each channel's grid
            step = value.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12) / 127
            assert ((value - before[key]).abs() < 1e-3 * step).all(), key
        else:
            assert torch.equal(value, before[key]), key
