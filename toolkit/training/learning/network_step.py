"""One training step of the network: its losses, its gradient step, and the average of its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...network.network import KeypointNetwork
from ...runtime.pose import PoseSpec
from ..run.compute import mixed_precision
from ..run.steps import set_learning_rates, take_step, warm_cosine, weighted_sum
from .alignment import alignment_loss, cycle_loss, labelled_offsets, lifted_poses
from .consistency import Views, consistency_loss, draw_views, second_view
from .fake_quantize import int8_activations
from .keypoint_distillation import KeypointTeacher
from .losses import pose_losses
from .network_settings import NetworkTraining

# Share of the peak learning rate at the end of a run.
LOWEST_RATE = 0.01


@dataclass(frozen=True)
class TrainingBatch:
    """Pictures of a step as network input, their second views appended, and their labels.

    Attributes:
        images: (B + V, 3, H, W), normalized.
        labels: packed labels of the first B images, see `dataset.pack`.
        views: transformations of the first V pictures, None without second views.
    """

    images: Tensor
    labels: dict[str, Tensor]
    views: Views | None

    @property
    def pictures(self) -> int:
        """Number of images that have labels."""
        return len(self.labels["status"])


class NetworkLearner:
    """A network in training with its weight average and optimizer.

    Attributes:
        network: is trained.
        average: exponential average of its weights, in evaluation mode.
        spec: specification of the network at the input size of the settings.
        teacher: key points of the initial network; None without distillation.
        optimizer: two parameter groups: pretrained parameters last.
    """

    def __init__(
        self,
        settings: NetworkTraining,
        network: KeypointNetwork,
        decode: Callable[[Tensor], Tensor],
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepare the training of a network.

        Args:
            settings: of the run.
            network: is trained in place; MobileNetV2 is frozen.
            decode: embeddings (K, E) to unit bone directions (K, 16, 3), see `PoseEmbedding.decode`.
            device: a torch device.
        """
        self.settings, self.decode, self.device = settings, decode, torch.device(device)
        distills = settings.distillation_weight and settings.backbone_rate
        self.teacher = KeypointTeacher(network).to(self.device) if distills else None
        network.backbone.freeze()
        self.network = network.to(self.device).train()
        # The type stubs of `to` lack memory_format.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.spec: PoseSpec = replace(network.spec(), input_size=settings.input_size)
        pretrained = network.pretrained_parameters()
        if not settings.backbone_rate:
            for parameter in pretrained:
                parameter.requires_grad_(False)
        known = {id(parameter) for parameter in pretrained}
        groups = [
            {"params": [parameter for parameter in network.parameters() if id(parameter) not in known]},
            {"params": [parameter for parameter in pretrained if parameter.requires_grad]},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )

    def learn(self, packed: dict[str, Tensor], step: int, done: float) -> dict[str, Tensor | float]:
        """Take one step on packed pictures and return the losses and gradient norms.

        Args:
            packed: see `dataset.ComposedPictures`.
            step: steps taken; all random choices depend on it and the seed alone, so a resumed run repeats
                them.
            done: completed share of the run, for the learning rate.
        """
        settings = self.settings
        share = warm_cosine(step, done, settings.warm_up, lowest=LOWEST_RATE)
        set_learning_rates(self.optimizer, share * settings.learning_rate, share * settings.backbone_rate)
        batch = self._batch(
            {name: values.to(self.device, non_blocking=True) for name, values in packed.items()}, step
        )
        losses = self.losses(batch, step)
        norm, backbone_norm = take_step(
            self.optimizer, weighted_sum(losses, settings.weights()), settings.clip_norm
        )
        # Early on the average forgets faster, or it would keep the random initialization.
        update_average(self.average, self.network, min(settings.average_decay, (step + 1) / (21 + step)))
        figures = {name: loss.detach() for name, loss in losses.items()}
        return {**figures, "norm": norm, "backbone_norm": backbone_norm}

    def losses(self, batch: TrainingBatch, step: int) -> dict[str, Tensor]:
        """Return every loss with a positive weight by name, unweighted.

        One forward pass computes them all.
        """
        settings, count = self.settings, batch.pictures
        # Evenly spread steps instead of random ones, so that a resumed run takes the same.
        in_int8 = int((step + 1) * settings.int8_share) > int(step * settings.int8_share)
        with mixed_precision(self.device), int8_activations(self.network, in_int8):
            fine, deep = self.network.backbone(batch.images.contiguous(memory_format=torch.channels_last))
            raw = self.network.raw_maps(fine, deep)
            distillation = self._distillation_loss(batch.images, fine)
        maps = {name: values[:count].float() for name, values in raw.items()}
        losses = pose_losses(
            maps, batch.labels, self.spec, decode=self.decode, fitted_pose_weight=settings.fitted_pose_weight
        )
        losses |= self._cycle_loss(batch)
        if settings.align_weight:
            encoder = self.average.lifting_head.from_keypoints
            losses["align"] = alignment_loss(maps["latent"], batch.labels, encoder, spec=self.spec)
        if batch.views is not None:
            second = {name: values[count:].float() for name, values in raw.items()}
            first = {name: values[: len(batch.views.zoom)] for name, values in maps.items()}
            losses["consistency"] = consistency_loss(
                first, second, batch.views, spec=self.spec, decode=self.decode
            )
        return losses | distillation

    def _batch(self, packed: dict[str, Tensor], step: int) -> TrainingBatch:
        settings = self.settings
        images = normalized(packed["image"], self.spec)
        views = None
        if settings.consistency_weight:
            generator = torch.Generator(self.device).manual_seed(settings.seed * 1_000_003 + step)
            views = draw_views(min(settings.consistency_pictures, len(images)), generator)
            images = torch.cat([images, second_view(images[: len(views.zoom)], views)])
        return TrainingBatch(
            images, {name: values for name, values in packed.items() if name != "image"}, views
        )

    def _distillation_loss(self, images: Tensor, fine: Tensor) -> dict[str, Tensor]:
        if self.teacher is None:
            return {}
        count = self.settings.distillation_pictures
        return {"distillation": self.teacher.loss(images[:count], self.network.keypoint_head, fine[:count])}

    def _cycle_loss(self, batch: TrainingBatch) -> dict[str, Tensor]:
        if not self.settings.cycle_weight:
            return {}
        size = (batch.images.shape[2] // self.spec.stride, batch.images.shape[3] // self.spec.stride)
        with torch.no_grad():
            readings = labelled_offsets(batch.labels, self.spec, size)
        if not len(readings.offsets):
            return {}
        with mixed_precision(self.device):
            raw = {
                name: values.float() for name, values in lifted_poses(self.network, readings.offsets).items()
            }
        encoder = self.average.lifting_head.from_keypoints
        return {"cycle": cycle_loss(raw, readings, encoder, spec=self.spec, decode=self.decode)}


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move an average of weights towards a network's weights by 1 - decay."""
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def normalized(pictures: Tensor, spec: PoseSpec) -> Tensor:
    """Return pictures (B, H, W, 3) uint8, in the network's colour order, as network input (B, 3, H, W)."""
    mean, std = (
        torch.tensor(values, device=pictures.device)[:, None, None] for values in (spec.mean, spec.std)
    )
    return (pictures.permute(0, 3, 1, 2).float() - mean) / std
