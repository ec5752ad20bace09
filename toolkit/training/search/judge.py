"""Judge a network in torch with activations rounded to int8, on labelled scenes of the training side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from ...evaluation.run import evaluate
from ...evaluation.scenes import Scenes
from ...network.network import KeypointNetwork
from ...runtime.decoding.kinematics import layers
from ...runtime.estimator import PoseEstimator
from ...runtime.frame import FrameInput
from ...runtime.pose import PoseSpec
from ..learning.fake_quantize import int8_activations


class TorchEngine:
    """Runs a network in torch, with activations rounded to int8 per picture."""

    def __init__(self, network: KeypointNetwork) -> None:
        """Take a network in evaluation mode."""
        self._network = network

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32 of normalized pictures (1, 3, H, W)."""
        with torch.no_grad(), int8_activations(self._network):
            outputs = self._network(torch.from_numpy(batch))
        return {name: maps[0].numpy() for name, maps in outputs._asdict().items()}

    def describe(self) -> dict[str, str]:
        """Return engine, version and threads."""
        return {"engine": "torch", "version": torch.__version__, "threads": str(torch.get_num_threads())}


class Accuracy(NamedTuple):
    """PCK_rel@150 of all people in percent, and false positives a picture."""

    pck: float
    false_positives: float


def judge(
    network: KeypointNetwork,
    decoder: Mapping[str, np.ndarray],
    spec: PoseSpec,
    *,
    size: tuple[int, int],
    scenes: Scenes,
) -> Accuracy:
    """Return the accuracy of a network at an input size (height, width)."""
    spec = replace(spec, input_size=size)
    frame = FrameInput(colour_order=spec.colour_order)
    estimator = PoseEstimator(spec, frame, layers(decoder), engine=TorchEngine(network))
    row = evaluate(estimator, scenes, spec.skeleton, bootstrap=None)[0]
    return Accuracy(float(row["pck_rel150"] or 0.0), float(row["false_positives"] or 0.0))
