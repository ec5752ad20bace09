"""Learn the image network from composed pictures: stage 2 of the paper's learning, with fitted and exact poses as targets."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from ...errors import PosecError
from ...network.checkpoint import TRAINING_ONLY, save_checkpoint
from ...network.embedding import decoder_arrays, load_embedding
from ...network.network import KeypointNetwork
from ..pictures.dataset import ComposedPictures
from ..pictures.photos import Photos, load_photos
from ..run.configuration import add_config
from ..run.parallel import agreed, join_processes
from ..run.runs import add_device, keep_memory
from .keypoint_distillation import KeypointAnchor
from .network_run import Log, NetworkRun
from .network_settings import NetworkTraining, add_size, read_settings


def train_network(config: NetworkTraining, photos: Photos, embedding: Path, out: Path, device: str = "cpu", workers: int = 1,
                  network: KeypointNetwork | None = None) -> None:  # fmt: skip
    """Train the network and write its averaged weights as a checkpoint.

    Args:
        config: settings.
        photos: material.
        embedding: the pose embedding, as `train_embedding` wrote it.
        out: folder to write: `checkpoint/`, `train.jsonl` and, to resume from, `train.state`.
        device: a torch device.
        workers: processes that compose pictures.
        network: where to start, instead of `config.init`.

    An interrupted run goes on from its last save, with the time spent kept. Started by torchrun, several processes learn together (see
    `parallel`); `config.batch` is of each. Raises PosecError where settings contradict each other.
    """
    if bool(config.pictures) == bool(config.minutes):
        raise PosecError(
            f"a run is as long as `pictures` or `minutes` says; got {config.pictures} and {config.minutes}, one of them must be 0"
        )
    out.mkdir(parents=True, exist_ok=True)
    keep_memory()
    rank = join_processes()
    torch.manual_seed(config.seed)
    poses = load_embedding(embedding, device)
    network = network or read_network(config.init)
    run = NetworkRun(
        config, network, KeypointAnchor(network) if config.anchor and config.trunk_rate else None, device
    )
    spec = replace(run.network.spec(), input_size=config.input_size)
    state = out / "train.state"
    if state.exists():
        run.resume(state)
    pictures = ComposedPictures(
        photos, config.mixture, spec, seed=config.seed + rank, start=run.step * config.batch
    )
    batches = iter(
        DataLoader(pictures, config.batch, num_workers=workers, prefetch_factor=6 if workers else None)
    )
    log = Log(out / "train.jsonl", run.step) if rank == 0 else None
    saved = last = time.monotonic()
    while run.done < 1:
        figures = run.learn(next(batches), spec, poses.decode)
        now = time.monotonic()
        run.spent_s, last = run.spent_s + agreed(now - last), now
        if log is None:
            continue
        log.add(run, figures)
        if now - saved > config.save_every_s or run.done >= 1:
            contract = replace(run.average.spec(), input_size=config.input_size)
            save_checkpoint(out / "checkpoint", run.average, decoder_arrays(poses), contract)
            run.save(state)
            saved = now


def read_network(path: str | Path) -> KeypointNetwork:
    """Return the network whose weights a safetensors file holds; those of `auxiliary` may be absent. Raises PosecError."""
    if not str(path):
        raise PosecError(
            "a network starts from what `posec train lift` wrote, or from another's weights; give --init"
        )
    network = KeypointNetwork()
    try:
        missing, unknown = network.load_state_dict(load_file(path), strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
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
        description="Learn the image network from composed pictures.",
        epilog="example: posec train network --data data/ --labels labels/ --bodies bodies/ --embedding embedding.safetensors --init lift.safetensors --out network/",
    )
    add_config(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backgrounds")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--bodies", type=Path, help="folder of rendered bodies")
    parser.add_argument(
        "--more",
        type=Path,
        action="append",
        default=[],
        help="folder of further photographs; may be given again",
    )
    parser.add_argument(
        "--init", help="safetensors of the network to start from (default: the configuration's)"
    )
    parser.add_argument(
        "--learning-rate", type=float, help="of all but the trunk (default: the configuration's)"
    )
    parser.add_argument(
        "--trunk-rate", type=float, help="of the trunk; 0 keeps it as it is (default: the configuration's)"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="length of the run, instead of the configuration's")
    add_size(parser, "the configuration's")
    parser.add_argument("--tier", default="ship")
    add_device(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = read_settings(options.config)
    if options.minutes:
        config = replace(config, minutes=options.minutes, pictures=0)
    if options.size:
        config = replace(config, input_size=options.size)
    said = {
        name: getattr(options, name)
        for name in ("learning_rate", "trunk_rate")
        if getattr(options, name) is not None
    }
    config = replace(config, **said)
    if options.init:
        config = replace(config, init=options.init)
    photos = load_photos(options.data, options.labels, options.tier, bodies=options.bodies, more=options.more)
    train_network(config, photos, options.embedding, options.out, options.device, options.workers)


if __name__ == "__main__":
    main()
