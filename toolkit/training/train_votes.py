"""Teach the votes of a map network their poses, cell by cell: thousands of people in the time that whole maps take for hundreds.

Only the cells around people's centres are lifted. Afterwards the other features leave poses to the votes, and the network
is ready to be trained as a whole (`train_maps` with `--init`).
"""

from __future__ import annotations

import argparse
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..network.embedding import load_embedding
from ..network.maps import MAP_STRIDE, mask
from ..network.pose_network import reference_spec
from .cache_maps import MapCache
from .configuration import add_settings, chosen_settings
from .dataset import PERSON
from .losses import person_losses
from .mocap import load_mocap
from .network_settings import LOSS_WEIGHTS, Batch
from .runs import Run, mixed_precision, set_learning_rate
from .targets import sigma_cells
from .train_maps import Clock, join, read_map_network, synthetic_batch


@dataclass(frozen=True)
class VotesTraining:
    """Settings of the run, `minutes` long, on a cosine.

    Attributes:
        batch, real: synthetic scenes and cached maps that are made ready at a time.
        pool: so many of those readings are kept,
        replay: and learned from this often per new one, `cells` at a time; rendering costs more than a step.
    """

    minutes: float = 12.0
    batch: int = 96
    real: int = 24
    pool: int = 60
    replay: int = 8
    cells: int = 800
    learning_rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    report_every: int = 200
    seed: int = 1


def train_votes(config: VotesTraining, start: Path, mocap_folder: Path, embedding_path: Path, out: Path, cache: Path | None = None) -> None:
    """Train the votes and the heads of poses of a MapNetwork, and write the whole network.

    Args:
        config: settings.
        start: weights of the network, with or without votes.
        mocap_folder, embedding_path, cache: as in `train_maps`.
        out: the safetensors file to write; `.jsonl` and `.state` stand beside it.
    """
    spec, poses = reference_spec(), torch.from_numpy(load_mocap(mocap_folder)["train"])
    embedding = load_embedding(embedding_path)
    torch.manual_seed(config.seed)
    network = read_map_network(start)
    votes, heads = network.settle.votes, {**network.heads, "auxiliary": network.auxiliary}
    parts = [votes, *(head for name, head in heads.items() if name != "centre")]
    learned = [parameter for part in parts for parameter in part.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    generator, clock = torch.Generator().manual_seed(config.seed), Clock()
    run = Run(out, config, {"network": network, "optimizer": optimizer, "clock": clock}, generator)
    real = MapCache(cache) if cache is not None and config.real else None
    step, waiting, pool = run.first, [], Pool(config.pool)
    while clock.spent_s < 60 * config.minutes:
        started = time.monotonic()
        done = clock.spent_s / (60 * config.minutes)
        batches = [synthetic_batch(poses, config.batch, spec, embedding, generator)]
        if real is not None:
            outputs, labels = real.draw(config.real, generator)
            batches.append((mask(outputs), labels))
        with torch.no_grad(), mixed_precision(torch.device("cpu")):
            pool.add(around_centres(votes.sums, join(batches)))
        for _ in range(config.replay):
            set_learning_rate(
                optimizer, config.learning_rate * min(1.0, (step + 1) / config.warm_up) * 0.5 * (1 + math.cos(math.pi * done))
            )
            sums, label, cells_px = pool.draw(config.cells, generator)
            features = votes.lift([part[..., None, None] for part in sums])
            read = {name: head(features)[..., 0, 0] for name, head in heads.items()}
            weights, sigma = torch.ones(len(cells_px)), sigma_cells(label["px_per_m"], spec)
            losses = person_losses(read, label, cells_px, weights, sigma, spec, embedding.decode)
            loss = sum((weight * losses[name] for name, weight in LOSS_WEIGHTS.items() if name in losses), torch.zeros(()))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, config.clip_norm)
            optimizer.step()
            step += 1
            waiting.append({name: float(value.detach()) for name, value in losses.items()})
        clock.spent_s += time.monotonic() - started
        if len(waiting) >= config.report_every:
            run.report(step, {"done": done, **{name: float(np.mean([line[name] for line in waiting])) for name in waiting[0]}})
            run.keep(step, network)
            waiting = []
    network.settle.leave_poses_to_votes(network.heads, network.auxiliary)
    run.finish(network)


Readings = tuple[list[Tensor], dict[str, Tensor], Tensor]


class Pool:
    """The readings made last, to draw from more than once."""

    def __init__(self, most: int) -> None:
        self.kept: deque[Readings] = deque(maxlen=most)

    def add(self, readings: Readings) -> None:
        """Take new readings; the oldest go when there are too many."""
        sums, label, cells_px = readings
        self.kept.append(([part.float() for part in sums], label, cells_px))

    def draw(self, count: int, generator: torch.Generator) -> Readings:
        """Return about `count` random readings out of up to eight batches, the newest among them."""
        chosen = torch.randint(len(self.kept), (7,), generator=generator).tolist()
        parts = []
        for index in [*chosen, -1]:
            sums, label, cells_px = self.kept[index]
            some = torch.randint(len(cells_px), (count // 8,), generator=generator)
            parts.append(([part[some] for part in sums], {name: values[some] for name, values in label.items()}, cells_px[some]))
        sums = [torch.cat(part) for part in zip(*(part[0] for part in parts), strict=True)]
        label = {name: torch.cat([part[1][name] for part in parts]) for name in parts[0][1]}
        return sums, label, torch.cat([part[2] for part in parts])


def around_centres(sums: Callable[[Tensor], list[Tensor]], batch: Batch) -> Readings:
    """Return what the windows hold (K, channels) at the four cells around the centre of every person, the labels, and the cells' pixels."""
    maps, labels = batch
    picture, person = (labels["status"] == PERSON).nonzero(as_tuple=True)
    centre = labels["centres_px"][picture, person] / MAP_STRIDE
    corner = centre.floor()[:, None] + torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    cells = torch.minimum(corner.clamp(min=0), torch.tensor([maps.shape[3] - 1.0, maps.shape[2] - 1.0])).flatten(0, 1).long()
    picture, person = picture.repeat_interleave(4), person.repeat_interleave(4)
    found = [part[picture, :, cells[:, 1], cells[:, 0]] for part in sums(maps.contiguous(memory_format=torch.channels_last))]
    label = {name: values[picture, person] for name, values in labels.items()}
    return found, {**label, "px_per_m": label["px_per_m"].clamp(min=1.0)}, cells * float(MAP_STRIDE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_votes` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train votes",
        description="Teach the votes of a map network their poses.",
        epilog="example: posec train votes --start maps.safetensors --mocap mocap/ --embedding embedding.safetensors --out votes.safetensors",
    )
    parser.add_argument("--start", type=Path, required=True, help="safetensors of a map network")
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors file of the pose embedding")
    parser.add_argument("--cache", type=Path, help="folder of PoseNet's maps of composed pictures")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--threads", type=int, default=1)
    add_settings(parser, VotesTraining, "votes")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    train_votes(chosen_settings(chosen, VotesTraining), chosen.start, chosen.mocap, chosen.embedding, chosen.out, chosen.cache)


if __name__ == "__main__":
    main()
