"""Learn the network that reads pose maps: stage 1 of the paper's learning, on synthetic scenes of skeletons without end.

A part of each batch may be maps that PoseNet really made of composed pictures (see `cache_maps`), so that what the synthetic
faults miss is learnt as well.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ..errors import PosecError
from ..network.embedding import PoseEmbedding, load_embedding
from ..network.map_network import MapNetwork
from ..network.maps import mask
from ..network.pose_network import reference_spec
from ..runtime.pose import PoseSpec
from .cache_maps import MapCache
from .configuration import add_settings, chosen_settings
from .dataset import MAX_PEOPLE
from .losses import pose_losses
from .map_rendering import ReadingFaults, render_maps
from .map_scenes import SceneSettings, draw_scenes
from .mocap import load_mocap
from .network_settings import LOSS_WEIGHTS, Batch
from .runs import Run, add_device, mixed_precision, save_weights, set_learning_rate


@dataclass(frozen=True)
class MapTraining:
    """Settings of the run: `minutes` of training at `batch` synthetic scenes and `real` cached maps a step, on a cosine."""

    minutes: float = 30.0
    batch: int = 28
    real: int = 8
    learning_rate: float = 2e-3
    warm_up: int = 80
    weight_decay: float = 1e-4
    clip_norm: float = 8.0
    average: float = 0.997
    report_every: int = 25
    save_every_s: float = 60.0
    seed: int = 0


class Clock:
    """How long a run has trained, interruptions not counted."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the time spent."""
        return {"spent_s": self.spent_s}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from that time."""
        self.spent_s = float(state["spent_s"])


def train_maps(config: MapTraining, mocap_folder: Path, embedding_path: Path, out: Path, cache: Path | None = None,
               device: str = "cpu", init: Path | None = None) -> None:  # fmt: skip
    """Train a MapNetwork and write its averaged weights.

    Args:
        config: settings.
        mocap_folder: see `load_mocap`.
        embedding_path: the pose embedding, frozen.
        out: the safetensors file to write; `.jsonl` (progress) and `.state` (to resume from) stand beside it.
        cache: folder that `cache_maps` wrote; None for synthetic scenes alone.
        device: a torch device.
        init: weights to start from; None for random ones.
    """
    spec = reference_spec()
    poses = torch.from_numpy(load_mocap(mocap_folder)["train"]).to(device)
    embedding = load_embedding(embedding_path, device)
    torch.manual_seed(config.seed)
    network = (MapNetwork() if init is None else read_map_network(init)).to(device).train()
    average = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    generator, clock = torch.Generator(device).manual_seed(config.seed), Clock()
    run = Run(out, config, {"network": network, "average": average, "optimizer": optimizer, "clock": clock}, generator)
    real = MapCache(cache) if cache is not None and config.real else None
    step, saved, waiting = run.first, time.monotonic(), []
    while clock.spent_s < 60 * config.minutes:
        started = time.monotonic()
        done = clock.spent_s / (60 * config.minutes)
        pace = min(1.0, (step + 1) / config.warm_up) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        set_learning_rate(optimizer, config.learning_rate * pace)
        batches = [synthetic_batch(poses, config.batch, spec, embedding, generator)]
        if real is not None:
            maps, labels = real.draw(config.real, generator)
            batches.append((mask(maps), labels))
        figures = learn(network, optimizer, join(batches), spec, embedding, config.clip_norm)
        step += 1
        follow(average, network, min(config.average, step / (20 + step)))
        waiting.append(figures)
        if len(waiting) == config.report_every:
            means = {name: float(np.mean([line[name] for line in waiting if name in line])) for name in waiting[0]}
            run.report(step, {"done": done, **means})
            waiting = []
        clock.spent_s += time.monotonic() - started
        if time.monotonic() - saved > config.save_every_s:
            run.keep(step, network)
            save_weights(out, average)
            saved = time.monotonic()
    run.finish(average)


def read_map_network(path: Path) -> MapNetwork:
    """Return a network from its weights; parts that the file does not have stay as they are made. Raises PosecError for other files."""
    network = MapNetwork()
    try:
        _, unknown = network.load_state_dict(load_file(path), strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise PosecError(f"'{path}' does not hold a map network: {error}") from error
    if unknown:
        raise PosecError(f"'{path}' holds more than a map network: {', '.join(unknown[:3])}")
    return network


def synthetic_batch(poses: Tensor, count: int, spec: PoseSpec, embedding: PoseEmbedding, generator: torch.Generator) -> Batch:
    """Return maps of random scenes and their labels, `MAX_PEOPLE` rows each."""
    scenes = draw_scenes(poses, count, spec.input_size, embedding.encode, generator, SceneSettings())
    maps = render_maps(scenes, spec.input_size, generator, ReadingFaults())
    room = MAX_PEOPLE - scenes.there.shape[1]
    return maps, {name: functional.pad(part, [0, 0] * (part.dim() - 2) + [0, room]) for name, part in scenes.labels.items()}


def join(batches: Sequence[Batch]) -> Batch:
    """Return several batches as one."""
    names = batches[0][1]
    return torch.cat([maps for maps, _ in batches]), {name: torch.cat([labels[name] for _, labels in batches]) for name in names}


def learn(network: MapNetwork, optimizer: torch.optim.Optimizer, batch: Batch, spec: PoseSpec, embedding: PoseEmbedding,
          clip_norm: float) -> dict[str, float]:  # fmt: skip
    """Take one step; return the losses and the gradient's norm."""
    maps, labels = batch
    with mixed_precision(maps.device):
        raw = network.raw_maps(maps.contiguous(memory_format=torch.channels_last))
    labels = {**labels, "px_per_m": labels["px_per_m"].clamp(min=1.0)}
    losses = pose_losses({name: found.float() for name, found in raw.items()}, labels, spec, embedding.decode)
    loss = sum((weight * losses[name] for name, weight in LOSS_WEIGHTS.items() if name in losses), torch.zeros((), device=maps.device))
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    if bool(torch.isfinite(norm)):
        optimizer.step()
    return {**{name: float(value.detach()) for name, value in losses.items()}, "norm": float(norm)}


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move averaged weights towards the network's."""
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - decay)
        else:
            mine.copy_(theirs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_maps` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train maps",
        description="Learn the network that reads pose maps, from synthetic scenes.",
        epilog="example: posec train maps --mocap mocap/ --embedding embedding.safetensors --out maps.safetensors --minutes 13",
    )
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors file of the pose embedding")
    parser.add_argument("--cache", type=Path, help="folder of PoseNet's maps of composed pictures")
    parser.add_argument("--init", type=Path, help="safetensors of a map network to start from")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    add_device(parser)
    parser.add_argument("--threads", type=int, default=1)
    add_settings(parser, MapTraining, "maps")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    train_maps(chosen_settings(chosen, MapTraining), chosen.mocap, chosen.embedding, chosen.out, chosen.cache, chosen.device, chosen.init)


if __name__ == "__main__":
    main()
