"""The network's people in a picture, with the latent vectors that their poses are computed from.

Behind the latent all layers are pointwise, so a cell's 256 numbers are all that learning the pose needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...network.checkpoint import Checkpoint
from ...network.heads import NetworkOutputs, to_units
from ...network.network import KeypointNetwork
from ...runtime.decoding.centres import find_centres
from ...runtime.decoding.kinematics import layers
from ...runtime.estimator import PoseEstimator
from ...runtime.frame import FrameInput
from ...runtime.pose import PoseFrame, PoseSpec


@dataclass(frozen=True)
class Latents:
    """Of the N people of a picture, in the order of its PoseFrame.

    Attributes:
        vectors: (N, 256) float32, the lifting head's latent at the person's cell.
        rays: (N, 3) viewing rays through the centres, camera frame, z = 1.
    """

    vectors: np.ndarray
    rays: np.ndarray


class LatentEngine:
    """Runs the network in torch on the CPU, and keeps the latent map of the last picture."""

    def __init__(self, network: KeypointNetwork) -> None:
        self._network = network.eval()
        self.latent = np.zeros((0, 0, 0), np.float32)

    @torch.no_grad()
    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32."""
        network = self._network
        fine, deep = network.backbone(torch.from_numpy(batch))
        branches = network.keypoint_head(fine)
        features, latent = network.encode(branches, deep)
        self.latent = latent[0].numpy()
        lifted = network.lifting_head(latent)
        maps = to_units(
            {name: head(features if name == "centre" else lifted) for name, head in network.heads.items()}
        )
        outputs = NetworkOutputs(*maps, *network.keypoint_head.outputs(branches))
        return {name: values[0].numpy() for name, values in outputs._asdict().items()}

    def describe(self) -> dict[str, str]:
        """Return the engine and its version."""
        return {"engine": "torch", "version": str(torch.__version__)}


class LatentEstimator:
    """Finds people as every estimator does, and keeps the latents of each picture.

    Attributes:
        spec: of the network.
        latents: of every picture so far.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.spec: PoseSpec = checkpoint.spec
        self.latents: list[Latents] = []
        self._engine = LatentEngine(checkpoint.network)
        frame = FrameInput(colour_order=checkpoint.spec.colour_order)
        self._estimator = PoseEstimator(
            checkpoint.spec, frame, layers(checkpoint.decoder), engine=self._engine
        )

    def __call__(self, picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR, best first."""
        found = self._estimator.detect(picture_bgr, focal_px)
        cells, _ = find_centres(found.heads["centre"][0], self.spec.centre_threshold)
        rows, columns = cells.T
        # The evidence holds the embedding as it was read, which identifies the cell.
        read = found.heads["embedding"][:, rows, columns].T
        apart = np.abs(found.evidence.embeddings[:, None] - read[None]).sum(axis=-1)
        chosen = apart.argmin(axis=1) if len(found.people) else np.zeros(0, int)
        vectors = self._engine.latent[:, rows[chosen], columns[chosen]].T
        self.latents.append(Latents(np.ascontiguousarray(vectors), found.evidence.rays))
        return found.people
