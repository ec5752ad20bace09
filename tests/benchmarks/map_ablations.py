"""What each part of the learning brings to a network of PoseNet's trunk and pose maps: the same short training, one part at a time.

    python -m tests.benchmarks.map_ablations --start joined/ --data data/ --labels labels/ --bodies bodies/ --mocap mocap/ \\
           --embedding embedding.safetensors -o out/map_ablations

As `ablations`, of the architecture "picture and maps". All but one start from the map branch of a trained network beside an untrained
picture branch on PoseNet's trunk, which does not move.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import torch
from torch import Tensor

from tests.benchmarks.ablations import judge, markdown, photographs
from toolkit.commands.terminal import say, write_text
from toolkit.network.checkpoint import load_checkpoint
from toolkit.network.embedding import decoder_arrays, load_embedding
from toolkit.network.map_network import JointNetwork
from toolkit.network.maps import PoseMapsReader
from toolkit.network.pose_network import PoseNetwork
from toolkit.network.trunk import TRUNK_CHANNELS
from toolkit.runtime.kinematics import layers
from toolkit.training.anchor import PoseNetAnchor
from toolkit.training.configuration import REFERENCE
from toolkit.training.model_card import POSENET
from toolkit.training.network_settings import NetworkTraining, read_settings
from toolkit.training.photos import Photos, load_photos
from toolkit.training.posenet import load_trunk
from toolkit.training.train_joint import skeleton_source
from toolkit.training.train_network import train_network

SKELETONS = 8


class Variant(NamedTuple):
    """What is trained.

    Attributes:
        name: for the table.
        maps: whether there is the branch that reads pose maps.
        skeletons: scenes of skeletons in a step.
        bodies: whether rendered bodies are among the pasted people.
        reads_itself: whether a picture's own pose maps are read beside the picture. Where not, pictures and pose maps have an encoder
            each, as in the paper, and share all that follows; key points, to which poses are fitted, are still read.
        settings: of the losses between two encoders and between two views, and of fitted poses, see `NetworkTraining`.
    """

    name: str
    maps: bool = True
    skeletons: int = SKELETONS
    bodies: bool = True
    reads_itself: bool = True
    settings: Mapping[str, Any] = MappingProxyType({})


UNFITTED = {"fitted": 0.0}
ALIGNED = {"align": 1.0}
ALL_LOSSES = {"align": 1.0, "cycle": 0.5, "agree": 0.5}
VARIANTS = (
    Variant("as shipped: no alignment"),
    Variant("alignment", settings=ALIGNED),
    Variant("alignment, cycle, agreement of views", settings=ALL_LOSSES),
    Variant("as shipped, no scenes of skeletons", skeletons=0),
    Variant("as shipped, no rendered people", bodies=False),
    Variant("no second modality: pictures alone", maps=False, skeletons=0),
    Variant("an encoder each", reads_itself=False),
    Variant("an encoder each, alignment", reads_itself=False, settings=ALIGNED),
    Variant("an encoder each, alignment, cycle, agreement of views", reads_itself=False, settings=ALL_LOSSES),
    Variant("an encoder each, key points alone", reads_itself=False, bodies=False, settings=UNFITTED),
    Variant("an encoder each, key points alone, alignment", reads_itself=False, bodies=False, settings=UNFITTED | ALIGNED),
    Variant(
        "an encoder each, key points alone, alignment, cycle, agreement of views",
        reads_itself=False,
        bodies=False,
        settings=UNFITTED | ALL_LOSSES,
    ),
)


class Blindfold(PoseMapsReader):
    """Tells key points, but no pose maps."""

    def forward(self, deep: Tensor) -> Tensor:
        """Return maps of nothing."""
        return 0.0 * super().forward(deep)


def first_network(variant: Variant, posenet: Path, start: Path) -> PoseNetwork:
    """Return where a variant's training starts."""
    torch.manual_seed(0)
    network = JointNetwork() if variant.maps else PoseNetwork()
    network.trunk = load_trunk(posenet)
    if isinstance(network, JointNetwork) and not variant.reads_itself:
        network.reader = Blindfold(TRUNK_CHANNELS)
    if isinstance(network, JointNetwork):
        shipped = load_checkpoint(start).network.state_dict()
        learned = {name: value for name, value in shipped.items() if name.startswith(("map_branch.", "fuse.", "settle.", "heads."))}
        network.load_state_dict(learned, strict=False)
        outputs = PoseNetAnchor(posenet).outputs
        assert outputs.bias is not None
        network.reader.take_over(outputs.weight, outputs.bias)
    return network


def compare(options: argparse.Namespace, material: Photos, settings: NetworkTraining) -> list[dict[str, Any]]:
    """Train and judge every variant; what is trained already is not trained again."""
    posenet, learned = options.data / POSENET, load_embedding(options.embedding)
    for number, variant in enumerate(VARIANTS):
        say(variant.name)
        config = replace(settings, **variant.settings)
        if not variant.bodies:
            config = replace(config, mixture=replace(config.mixture, body=0.0))
        skeletons = skeleton_source(options.mocap, options.embedding, variant.skeletons, config.seed) if variant.skeletons else None
        network = first_network(variant, posenet, options.start)
        train_network(config, material, options.embedding, options.out / str(number), posenet, "cpu", 1, network, skeletons)
    photos, decoder = photographs(options.data), layers(decoder_arrays(learned))
    return [{"trained": variant.name, **judge(first_network(variant, posenet, options.start), options.out / str(number), decoder, photos)}
            for number, variant in enumerate(VARIANTS)]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="a checkpoint of the architecture 'picture and maps'")
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backbones")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--bodies", type=Path, required=True, help="folder of rendered bodies")
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--pictures", type=int, default=4800, help="of each network's training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder: the table, and the trained networks")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)  # training forks, which threads would not survive
    settings: NetworkTraining = replace(read_settings(REFERENCE), minutes=0.0, pictures=options.pictures, trunk_rate=0.0)
    material = load_photos(options.data, options.labels, "ship", options.bodies)
    text = markdown(compare(options, material, settings))
    write_text(options.out / "networks.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
