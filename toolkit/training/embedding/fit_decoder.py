"""Fit a distilled decoder to labelled people, to undo systematic errors of the network's embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...device.matching import match_people
from ...evaluation.scenes import LEAST_VISIBLE, Scenes
from ...network.embedding import PoseEmbedding, decoder_arrays, set_decoder
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.decoding.kinematics import decode_embeddings, ray_rotation
from ...runtime.estimator import PoseEstimator
from ...runtime.pose import MUPOTS17
from ..run.steps import take_step


@dataclass(frozen=True)
class DecoderFit:
    """Settings of the fit.

    Attributes:
        noise: standard deviation that is added to embeddings.
        distillation_weight: weight of the joint distance from the wide decoder beside that from the labels.
    """

    steps: int = 1500
    batch: int = 128
    learning_rate: float = 1e-4
    noise: float = 0.05
    distillation_weight: float = 1.0
    seed: int = 0


class LabelledPoses(NamedTuple):
    """N people of pictures with 3D labels.

    Attributes:
        embeddings: (N, E) of the network.
        directions: (N, 16, 3) true bone directions in the torso's frame of the network.
        lengths_m: (N, 16) true bone lengths.
    """

    embeddings: Tensor
    directions: Tensor
    lengths_m: Tensor


def labelled_poses(estimator: PoseEstimator, scenes: Scenes) -> LabelledPoses:
    """Return the people of labelled scenes that the network finds; scenes must be of the training split."""
    bones = list(MUPOTS17.bones)
    parents = [MUPOTS17.parents[joint] for joint in bones]
    rows = []
    for name, picture, focal_px in scenes:
        detection, truth = estimator.detect(picture, focal_px=focal_px), scenes.scenes[name]
        people, evidence = detection.people, detection.evidence
        if not len(people):
            continue
        standard = decode_embeddings(evidence.embeddings, estimator.decoder).transpose(0, 2, 1)
        # poses = rotation @ standard, and the rays turn the camera's frame into that of the poses.
        rotations = evidence.poses @ np.linalg.pinv(standard)
        to_torso = ray_rotation(evidence.rays) @ rotations
        for found, labelled in match_people(people, truth.people, MUPOTS17):
            if truth.visible[labelled] >= LEAST_VISIBLE:
                joints_m = truth.people.joints_mm[labelled] / 1000
                edges = (joints_m[bones] - joints_m[parents]) @ to_torso[found]
                rows.append((evidence.embeddings[found], edges))
    embeddings, edges = (
        torch.from_numpy(np.stack(part).astype(np.float32)) for part in zip(*rows, strict=True)
    )
    return LabelledPoses(embeddings, functional.normalize(edges, dim=-1), edges.norm(dim=-1))


def fit_decoder(
    narrow: Mapping[str, np.ndarray],
    wide: Mapping[str, np.ndarray],
    *,
    labelled: LabelledPoses,
    embeddings: np.ndarray,
    settings: DecoderFit,
) -> dict[str, np.ndarray]:
    """Return a narrow decoder that is nearer to labelled people, and on other embeddings near the wide one.

    Args:
        narrow: arrays of the decoder that the fit starts from.
        wide: arrays of the decoder that the network was trained with.
        labelled: people of the training split.
        embeddings: (N, E) of pictures.
        settings: of the fit.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    model, teacher = PoseEmbedding(), PoseEmbedding()
    for each, arrays in ((model, narrow), (teacher, wide)):
        set_decoder(each, {name: torch.from_numpy(array) for name, array in arrays.items()})
    model.decoder.requires_grad_(True)
    others, standard_m = torch.from_numpy(embeddings.astype(np.float32)), bone_lengths_m()
    optimizer = torch.optim.Adam(model.decoder.parameters(), settings.learning_rate)

    def noisy(values: Tensor) -> Tensor:
        return (values + settings.noise * torch.randn(values.shape, generator=generator)).clamp(-1, 1)

    for _ in range(settings.steps):
        at = torch.randint(len(labelled.embeddings), (settings.batch,), generator=generator)
        found, lengths_m = model.decode(noisy(labelled.embeddings[at])), labelled.lengths_m[at]
        apart = _places(found, lengths_m) - _places(labelled.directions[at], lengths_m)
        unlabelled = noisy(others[torch.randint(len(others), (2 * settings.batch,), generator=generator)])
        imitated = [forward_kinematics(each.decode(unlabelled), standard_m) for each in (model, teacher)]
        from_wide = (imitated[0] - imitated[1]).norm(dim=-1).mean()
        take_step(optimizer, apart.norm(dim=-1).mean() + settings.distillation_weight * from_wide)
    return decoder_arrays(model)


def _places(directions: Tensor, lengths_m: Tensor) -> Tensor:
    """Return joints (N, 17, 3) in m, for bones (N, 16, 3) with lengths (N, 16) of each person."""
    places = [torch.zeros(len(directions), 3)] * len(MUPOTS17.names)
    for bone, joint in enumerate(MUPOTS17.bones):
        places[joint] = places[MUPOTS17.parents[joint]] + lengths_m[:, bone, None] * directions[:, bone]
    return torch.stack(places, dim=1)
