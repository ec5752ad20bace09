"""Join what skeletons and pictures taught: a JointNetwork that starts as good as its map branch and learns what pictures add.

Its picture branch starts from a trained PoseNetwork, its map branch from a trained MapNetwork (see `train_maps`). Every step has
scenes of skeletons beside the pictures, so that the poses only motion capture shows are not forgotten.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import PosecError
from ..network.checkpoint import load_checkpoint, save_checkpoint
from ..network.embedding import decoder_arrays, load_embedding
from ..network.map_network import JointNetwork, MapNetwork
from ..network.pose_network import reference_spec
from ..runtime.pose import PoseSpec
from .anchor import PoseNetAnchor
from .configuration import add_config
from .mocap import load_mocap
from .network_settings import Batch, add_size, read_settings
from .parallel import join_processes
from .photos import load_photos
from .runs import add_device
from .train_maps import synthetic_batch
from .train_network import train_network

OPTIONS = {
    "learning_rate": "of all but the trunk",
    "trunk_rate": "of the trunk; 0 keeps it as it is",
    "integers": "share of steps with the trunk's maps rounded as 8 bits would",
    "keypoints": "weight of reading labelled key points from the trunk",
    "align": "weight of drawing pictures to their key points in the latent space",
    "cycle": "weight of finding scenes again by the people read from them",
    "agree": "weight of agreeing with other views of a picture",
    "fitted": "weight of 3D poses that were fitted to key points",
}


def join_networks(picture: Path, maps: Path, posenet: Path) -> JointNetwork:
    """Return the untrained join of trained parts.

    Args:
        picture: weights of a PoseNetwork as safetensors; those only training needs may be absent.
        maps: weights of a MapNetwork as safetensors.
        posenet: PoseNet's .tflite file, for the layers that read its maps.

    Raises PosecError where a file holds another network.
    """
    network, map_network = JointNetwork(), MapNetwork()
    try:
        _, unknown = network.load_state_dict(load_file(picture), strict=False)
        map_network.load_state_dict(load_file(maps))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise PosecError(f"'{picture}' and '{maps}' must hold a PoseNetwork and a MapNetwork: {error}") from error
    if unknown:
        raise PosecError(f"'{picture}' holds more than a PoseNetwork: {', '.join(unknown[:3])}")
    network.take_over(map_network)
    outputs = PoseNetAnchor(posenet).outputs
    assert outputs.bias is not None
    network.reader.take_over(outputs.weight, outputs.bias)
    return network


def skeleton_source(
    mocap_folder: Path, embedding_path: Path, count: int, seed: int, device: str = "cpu", spec: PoseSpec | None = None
) -> Callable[[int], Batch]:
    """Return a function from a step's number to that step's `count` scenes of skeletons, made on a torch device, for pictures of `spec`."""
    spec, poses = spec or reference_spec(), torch.from_numpy(load_mocap(mocap_folder)["train"]).to(device)
    embedding, generator = load_embedding(embedding_path, device), torch.Generator(device)

    def scenes(step: int) -> Batch:
        generator.manual_seed(seed * 1_000_003 + step)
        return synthetic_batch(poses, count, spec, embedding, generator)

    return scenes


def first_network(joined: Path | None, picture: Path | None, maps: Path | None, trunk: Path) -> tuple[JointNetwork, PoseSpec]:
    """Return the join of two trained parts, or a joined network to go on from, and its contract. Raises PosecError where it is not said which."""
    if joined is not None and picture is None and maps is None:
        network, _, spec = load_checkpoint(joined)
        if not isinstance(network, JointNetwork):
            raise PosecError(f"'{joined}' holds a network of architecture '{network.architecture}', needed: '{JointNetwork.architecture}'")
        return network, spec
    if joined is None and picture is not None and maps is not None:
        network = join_networks(picture, maps, trunk)
        return network, network.spec()
    raise PosecError("a join starts from --picture and --maps, or goes on from --joined; give the two or the one")


def main(arguments: Sequence[str] | None = None) -> None:
    """Join two networks and train the result from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train joint",
        description="Learn the network that reads pictures and pose maps.",
        epilog="example: posec train joint --joined toolkit/reference --data data/ --labels labels/ --mocap mocap/ --embedding embedding.safetensors --trunk posenet.tflite --out joint/ --minutes 60",
    )
    add_config(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backbones")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--bodies", type=Path, help="folder of rendered bodies")
    parser.add_argument("--more", type=Path, action="append", default=[], help="folder of further photographs; may be given again")
    parser.add_argument("--trunk", type=Path, required=True, help="PoseNet as .tflite")
    parser.add_argument("--picture", type=Path, help="safetensors of the network that reads pictures")
    parser.add_argument("--maps", type=Path, help="safetensors of the network that reads pose maps")
    parser.add_argument("--joined", type=Path, help="checkpoint of such a network to go on from, instead of --picture and --maps")
    parser.add_argument("--scenes", type=int, default=8, help="scenes of skeletons in a step")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="length of the run, instead of the configuration's")
    add_size(parser, "that of the network it starts from")
    for name, what in OPTIONS.items():
        parser.add_argument("--" + name.replace("_", "-"), type=float, help=f"{what} (default: the configuration's)")
    parser.add_argument("--tier", default="ship")
    add_device(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    said = {name: getattr(chosen, name) for name in OPTIONS if getattr(chosen, name) is not None}
    config = replace(read_settings(chosen.config, "joint"), **said)
    if chosen.minutes:
        config = replace(config, minutes=chosen.minutes, pictures=0)
    network, spec = first_network(chosen.joined, chosen.picture, chosen.maps, chosen.trunk)
    config = replace(config, input_size=chosen.size or spec.input_size)
    spec = replace(network.spec(), input_size=config.input_size)
    rank = join_processes()
    skeletons = (
        skeleton_source(chosen.mocap, chosen.embedding, chosen.scenes, config.seed + rank, chosen.device, spec) if chosen.scenes else None
    )
    photos = load_photos(chosen.data, chosen.labels, chosen.tier, chosen.bodies, chosen.more)
    if rank == 0:
        save_checkpoint(chosen.out / "start", network, decoder_arrays(load_embedding(chosen.embedding)), spec)
    train_network(config, photos, chosen.embedding, chosen.out, chosen.trunk, chosen.device, chosen.workers, network, skeletons)


if __name__ == "__main__":
    main()
