"""Features of pictures on the way to the centre head, computed once.

The backbone takes nine tenths of the time and does not learn here, so each picture passes it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...evaluation.pictures import read_picture
from ...network.network import FEATURE_BRANCHES, KeypointNetwork
from ...runtime.frame import FrameInput
from ...runtime.pose import PoseSpec
from ...runtime.preprocess import Batch
from ..labels.label_pictures import picture_names
from ..run.compute import mixed_precision

# Poses are held in cells with a score above this, in at most so many cells of a picture.
POSE_SCORE = 0.15
MOST_CELLS = 60
POSE_HEADS = ("offset", "embedding", "rotation", "depth")


class View(NamedTuple):
    """A picture after the backbone, and the outputs of the network before it learns on.

    Attributes:
        features: (128, h, w) float16, the input of the residual blocks.
        score: (h, w) of centres, 0..1.
        cells: (K, 2) rows and columns with a pose.
        offsets: (K, 102) encoded key-point offsets there.
        poses: (K, 41) raw pose heads there, in the order of POSE_HEADS.
    """

    features: Tensor
    score: Tensor
    cells: Tensor
    offsets: Tensor
    poses: Tensor


@torch.no_grad()
def view_of(network: KeypointNetwork, image: Tensor) -> View:
    """Return the view of a normalized image (1, 3, H, W)."""
    with mixed_precision(image.device):
        fine, deep = network.backbone(image)
        branches = network.keypoint_head(fine)
        pooled = {name: functional.avg_pool2d(branches[name], 2) for name in FEATURE_BRANCHES}
        entering = network.merge(pooled, deep)
        offsets = network.keypoint_head.regression(pooled["regression"])[0].float()
        features = network.context(network.blocks(entering))[0].float()
    score = torch.sigmoid(network.heads["centre"](features[None]))[0, 0]
    cells = (score > POSE_SCORE).nonzero()
    cells = cells[score[cells[:, 0], cells[:, 1]].argsort(descending=True)[:MOST_CELLS]]
    there = offsets[:, cells[:, 0], cells[:, 1]].T
    return View(entering[0].half(), score, cells, there, poses_in(network, features, cells, there))


def poses_in(network: KeypointNetwork, features: Tensor, cells: Tensor, offsets: Tensor) -> Tensor:
    """Return raw pose heads (K, 41) in cells (K, 2) of features (128, h, w), offsets (K, 102) given."""
    here = features[:, cells[:, 0], cells[:, 1]].T
    latent = network.lifting_head.latent(offsets[..., None, None], here[..., None, None])
    raw = network.poses(network.lifting_head(latent))
    return torch.cat([raw[name].flatten(1) for name in POSE_HEADS], 1)


def read_views(
    network: KeypointNetwork, spec: PoseSpec, sources: Sequence[str], *, crops: int, seed: int
) -> Iterator[View]:
    """Yield each picture of folders or plain tars, whole and in random crops.

    Args:
        network: in evaluation mode.
        spec: its specification.
        sources: folders or plain tars.
        crops: of each picture, mirrored at random and with other brightness.
        seed: of the crops.
    """
    rng = np.random.default_rng(seed)
    batch = Batch(spec, FrameInput("float32", "NCHW", spec.colour_order, normalized=True))
    for source in sources:
        for name in picture_names(source):
            picture = read_picture(source, name)
            for part in (picture, *(random_crop(picture, rng) for _ in range(crops))):
                batch.fill(part)
                yield view_of(network, torch.from_numpy(batch.array.copy()))


def random_crop(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a crop of a picture (H, W, 3) with 0.4 to 1 of its sides, mirrored at random, lit anew."""
    height, width = (max(1, round(side * rng.uniform(0.4, 1))) for side in picture.shape[:2])
    top, left = (
        int(rng.integers(0, whole - part + 1))
        for whole, part in zip(picture.shape, (height, width), strict=False)
    )
    part = picture[top : top + height, left : left + width]
    part = cv2.convertScaleAbs(part, alpha=rng.uniform(0.75, 1.25), beta=rng.uniform(0, 15))
    return cv2.flip(part, 1) if rng.random() < 0.5 else part
