"""Learn the image network from composed pictures: stage 2 of the paper's learning, with fitted and exact poses as targets."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from ..errors import PosecError
from ..network.checkpoint import TRAINING_ONLY, save_checkpoint
from ..network.embedding import decoder_arrays, load_embedding
from ..network.keypoint_network import KeypointNetwork
from ..network.pose_network import ImageNetwork, PoseNetwork
from .anchor import PoseNetAnchor
from .configuration import add_config
from .dataset import ComposedPictures
from .keypoint_anchor import KeypointAnchor
from .network_run import Log, NetworkRun
from .network_settings import Batch, NetworkTraining, add_size, read_settings
from .parallel import agreed, join_processes
from .photos import Photos, load_photos
from .posenet import load_trunk
from .runs import add_device, keep_memory


def train_network(config: NetworkTraining, photos: Photos, embedding: Path, out: Path, trunk: Path | None = None,
                  device: str = "cpu", workers: int = 1, network: ImageNetwork | None = None,
                  skeletons: Callable[[int], Batch] | None = None) -> None:  # fmt: skip
    """Train the network and write its averaged weights as a checkpoint.

    Args:
        config: settings.
        photos: material.
        embedding: the pose embedding, as `train_embedding` wrote it.
        out: folder to write: `checkpoint/`, `train.jsonl` and, to resume from, `train.state`.
        trunk: PoseNet's .tflite file, to start from and to stay close to; None to do neither, with `config.init`.
        device: a torch device.
        workers: processes that compose pictures.
        network: where to start, instead of what `config.init` or `trunk` says.
        skeletons: step to pose maps of scenes without a picture, for a JointNetwork; None for none.

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
    network = network or _first_network(config, trunk)
    run = NetworkRun(config, network, _anchor(config, trunk, network), device)
    spec = replace(run.network.spec(), input_size=config.input_size)
    state = out / "train.state"
    if state.exists():
        run.resume(state)
    pictures = ComposedPictures(photos, config.mixture, spec, config.seed + rank, start=run.step * config.batch)
    batches = iter(DataLoader(pictures, config.batch, num_workers=workers, prefetch_factor=6 if workers else None))
    log = Log(out / "train.jsonl", run.step) if rank == 0 else None
    saved = last = time.monotonic()
    while run.done < 1:
        figures = run.learn(next(batches), spec, poses.decode, skeletons(run.step) if skeletons else None)
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


def _anchor(config: NetworkTraining, trunk: Path | None, network: ImageNetwork) -> PoseNetAnchor | KeypointAnchor | None:
    if not (config.anchor and config.trunk_rate):
        return None
    if trunk is not None:
        return PoseNetAnchor(trunk)
    return KeypointAnchor(network) if isinstance(network, KeypointNetwork) else None


def _first_network(config: NetworkTraining, trunk: Path | None) -> ImageNetwork:
    if config.init:
        return read_network(Path(config.init))
    if trunk is None:
        raise PosecError("the network starts from `init` or from PoseNet's trunk; give --trunk posenet.tflite")
    network = PoseNetwork()
    network.trunk = load_trunk(trunk)
    return network


def read_network(path: Path) -> ImageNetwork:
    """Return the network of either kind whose weights a safetensors file holds; those of `auxiliary` may be absent. Raises PosecError."""
    try:
        weights = load_file(path)
        network = KeypointNetwork() if "lift.enter.weight" in weights else PoseNetwork()
        missing, unknown = network.load_state_dict(weights, strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise PosecError(f"init = '{path}' does not hold this network: {error}") from error
    if unknown or any(not name.startswith(TRAINING_ONLY) for name in missing):
        raise PosecError(f"init = '{path}' does not hold this network: missing {missing[:3]}, unknown {unknown[:3]}")
    return network


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_network` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train network",
        description="Learn the image network from composed pictures.",
        epilog="example: posec train network --data data/ --labels labels/ --bodies bodies/ --embedding embedding.safetensors --trunk posenet.tflite --out network/",
    )
    add_config(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backbones")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--bodies", type=Path, help="folder of rendered bodies")
    parser.add_argument("--more", type=Path, action="append", default=[], help="folder of further photographs; may be given again")
    parser.add_argument("--trunk", type=Path, help="PoseNet as .tflite, to start from")
    parser.add_argument("--init", help="safetensors of a whole network to start from instead")
    parser.add_argument("--learning-rate", type=float, help="of all but the trunk (default: the configuration's)")
    parser.add_argument("--trunk-rate", type=float, help="of the trunk; 0 keeps it as it is (default: the configuration's)")
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
    said = {name: getattr(options, name) for name in ("learning_rate", "trunk_rate") if getattr(options, name) is not None}
    config = replace(config, **said)
    if options.init:
        config = replace(config, init=options.init)
    photos = load_photos(options.data, options.labels, options.tier, options.bodies, options.more)
    train_network(config, photos, options.embedding, options.out, options.trunk, options.device, options.workers)


if __name__ == "__main__":
    main()
