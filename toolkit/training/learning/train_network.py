"""Train the network on composed pictures (stage 2 of Kundu et al., ECCV 2020)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from ...errors import PosecError
from ...network.checkpoint import TRAINING_ONLY, current_names, save_checkpoint
from ...network.embedding import decoder_arrays, load_embedding
from ...network.network import KeypointNetwork
from ...network.shape import NetworkShape
from ...runtime.command.refusals import exit_status
from ..pictures.dataset import ComposedPictures
from ..pictures.photos import Photos, load_photos
from ..run.compute import add_device, keep_memory
from ..run.configuration import add_config
from ..run.parallel import join_processes, processes
from ..run.runs import Run, RunFiles, RunPlan, seed_all
from .network_settings import STAGES, NetworkTraining, add_size, read_settings
from .network_step import NetworkLearner


@dataclass(frozen=True)
class Hardware:
    """Where a training runs: a torch device, and the processes that compose pictures for it."""

    device: str = "cpu"
    workers: int = 1


def train_network(
    settings: NetworkTraining,
    photos: Photos,
    embedding: Path,
    *,
    out: Path,
    network: KeypointNetwork | None = None,
    hardware: Hardware = Hardware(),
) -> None:
    """Train the network and write its averaged weights as a checkpoint.

    Args:
        settings: of the run.
        photos: material of the pictures.
        embedding: safetensors file of the pose embedding.
        out: folder for `checkpoint/`, `train.jsonl` (log) and `train.state` (to resume from).
        network: where to start, instead of `settings.init`.
        hardware: device and workers.

    An interrupted run resumes from its last checkpoint, and a finished one goes on where the settings make it
    longer. Started by torchrun, several processes train together, see `parallel`. Raises PosecError for
    contradictory settings.
    """
    if bool(settings.pictures) == bool(settings.minutes):
        raise PosecError(
            f"a run needs a length in pictures or in minutes, got {settings.pictures} and "
            f"{settings.minutes}; one of them must be 0"
        )
    keep_memory()
    rank = join_processes()
    generator = seed_all(settings.seed, hardware.device)
    poses = load_embedding(embedding, hardware.device)
    learner = NetworkLearner(
        settings, network or read_network(settings.init), poses.decode, device=hardware.device
    )
    plan = RunPlan(
        replace(settings, pictures=0, minutes=0.0),
        settings.report_every,
        steps=settings.pictures / (settings.batch * processes()),
        minutes=settings.minutes,
    )
    run = Run(
        plan,
        {"network": learner.network, "average": learner.average, "optimizer": learner.optimizer},
        generator,
        files=RunFiles(out / "train.state", out / "train.jsonl"),
        save=lambda: save_checkpoint(
            out / "checkpoint", learner.average, decoder_arrays(poses), spec=learner.spec
        ),
        writes=rank == 0,
    )
    start = run.step * settings.batch
    pictures = ComposedPictures(
        photos, settings.mixture, learner.spec, seed=settings.seed + rank, start=start
    )
    prefetch = 6 if hardware.workers else None
    loader = DataLoader(pictures, settings.batch, num_workers=hardware.workers, prefetch_factor=prefetch)
    _train(learner, run, iter(loader))


def _train(learner: NetworkLearner, run: Run, batches: Iterator[dict[str, Tensor]]) -> None:
    """Take the steps of a run, report them, and keep the run in time."""
    settings, saved = learner.settings, time.monotonic()
    while run.done < 1:
        run.advance(learner.learn(next(batches), run.step, run.done))
        if not run.writes:
            continue
        if run.report_due:
            pictures = run.step * settings.batch * processes()
            rate = learner.optimizer.param_groups[0]["lr"]
            run.report({"pictures": pictures, "done": run.done, "rate": rate})
        if time.monotonic() - saved > settings.save_every_s or run.done >= 1:
            run.keep()
            saved = time.monotonic()


def read_network(path: str | Path) -> KeypointNetwork:
    """Return the network of a safetensors file; weights of `auxiliary` may be absent. Raises PosecError."""
    if not str(path):
        raise PosecError(
            "a network starts from the output of `posec train lift` or another network's weights; give --init"
        )
    try:
        tensors = current_names(load_file(path))
        network = KeypointNetwork(NetworkShape.of(tensors))
        missing, unknown = network.load_state_dict(tensors, strict=False)
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise PosecError(f"init = '{path}' does not hold this network: {error}") from error
    if unknown or any(not name.startswith(TRAINING_ONLY) for name in missing):
        raise PosecError(
            f"init = '{path}' does not hold this network: missing {missing[:3]}, unknown {unknown[:3]}"
        )
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_network` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train network",
        description="Train the network on composed pictures.",
        epilog="example: posec train network --data data/ --labels labels/ --bodies bodies/ "
        "--embedding embedding.safetensors --init lift.safetensors --out network/",
    )
    add_config(parser)
    parser.add_argument(
        "--stage", choices=STAGES, default=STAGES[0], help="section of the configuration (default: network)"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backgrounds")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--bodies", type=Path, help="folder of rendered bodies")
    parser.add_argument(
        "--more",
        type=Path,
        action="append",
        default=[],
        help="folder of further photographs; may be repeated",
    )
    parser.add_argument(
        "--init", help="safetensors of the network to start from (default: the configuration's)"
    )
    parser.add_argument("--learning-rate", type=float, help="peak rate (default: the configuration's)")
    parser.add_argument(
        "--backbone-rate",
        "--trunk-rate",
        type=float,
        help="peak rate of backbone and key-point head; 0 freezes them (default: the configuration's)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--minutes", type=float, help="length of the run, instead of the configuration's")
    add_size(parser, "the configuration's")
    parser.add_argument("--tier", default="ship", help="licence tier of the photographs (default: ship)")
    add_device(parser)
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--workers", type=int, default=1, help="processes that compose pictures (default: 1)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    photos = load_photos(options.data, options.labels, options.tier, bodies=options.bodies, more=options.more)
    hardware = Hardware(options.device, options.workers)
    train_network(_settings(options), photos, options.embedding, out=options.out, hardware=hardware)


def _settings(options: argparse.Namespace) -> NetworkTraining:
    """Return the settings of the configuration file with those of the command line."""
    settings = read_settings(options.config, options.stage)
    if options.minutes:
        settings = replace(settings, minutes=options.minutes, pictures=0)
    if options.size:
        settings = replace(settings, input_size=options.size)
    for name in ("learning_rate", "backbone_rate", "init"):
        if getattr(options, name) is not None:
            settings = replace(settings, **{name: getattr(options, name)})
    return settings


if __name__ == "__main__":
    sys.exit(exit_status(main))
