"""What each part of the learning brings: the same short training with one part left out at a time.

    python -m tests.benchmarks.ablations --data data/ --labels labels/ --bodies bodies/ --mocap mocap/ \\
           --embedding embedding.safetensors -o out/ablations

Every network trains on the same number of pictures, so differences say what a part brings early on, not at the end of a long training.
All but the last start from the shipped network's map branch beside an untrained picture branch on PoseNet's trunk. They are judged,
with the fit to key points, on the rendered test scenes and, where the data folder has them, on the photographs of tiny_coco.

The embedding is judged in the lifter, which learns to the end of its possibilities in minutes: with it, and with the 48 numbers of 16
bone directions instead. "Within limits" is the share of its poses whose joints bend as a human's can.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from toolkit.commands import inputs
from toolkit.commands.terminal import say, table, write_text
from toolkit.evaluation.photos import Photos, evaluate_photos, read_photos
from toolkit.evaluation.scenes import evaluate_scenes, read_scenes
from toolkit.float_estimator import FloatEstimator
from toolkit.frontend import REFERENCE, checkpoint_folder, trace
from toolkit.network.checkpoint import load_checkpoint
from toolkit.network.embedding import BONES, PoseEmbedding, load_embedding
from toolkit.network.kinematics import EPSILON
from toolkit.network.map_network import JointNetwork
from toolkit.network.pose_network import PoseNetwork
from toolkit.training.anatomy import plausible_share
from toolkit.training.anchor import PoseNetAnchor
from toolkit.training.augment import augment, draw
from toolkit.training.lifter import Lifter, normalize_points, pose
from toolkit.training.mocap import load_mocap
from toolkit.training.model_card import POSENET
from toolkit.training.network_run import NetworkTraining
from toolkit.training.photos import load_photos
from toolkit.training.posenet import load_trunk
from toolkit.training.projections import view
from toolkit.training.runs import one_cycle, set_learning_rate
from toolkit.training.train_joint import skeleton_source
from toolkit.training.train_lifter import LifterTraining, evaluate, lifting_losses
from toolkit.training.train_network import read_settings, train_network

SETTINGS = Path(__file__).parents[2] / "toolkit/training/reference.toml"
SKELETONS = 8


class Variant(NamedTuple):
    """What is trained: with the branch that reads pose maps or without, scenes of skeletons in a step, rendered bodies among pasted people."""

    name: str
    maps: bool
    skeletons: int
    bodies: bool


VARIANTS = (
    Variant("everything", True, SKELETONS, True),
    Variant("no scenes of skeletons", True, 0, True),
    Variant("no rendered people", True, SKELETONS, False),
    Variant("no second modality: pictures alone", False, 0, True),
)


class Directions(PoseEmbedding):
    """No embedding at all: a pose is its 48 numbers."""

    def encode(self, directions: Tensor) -> Tensor:
        """Return directions (N, 16, 3) as (N, 48)."""
        return directions.flatten(-2)

    def decode(self, embeddings: Tensor) -> Tensor:
        """Return numbers (N, 48) as unit vectors (N, 16, 3)."""
        return functional.normalize(embeddings.unflatten(-1, (BONES, 3)), dim=-1, eps=EPSILON)


def first_network(variant: Variant, posenet: Path) -> PoseNetwork:
    """Return where a variant's training starts."""
    torch.manual_seed(0)
    network = JointNetwork() if variant.maps else PoseNetwork()
    network.trunk = load_trunk(posenet)
    if isinstance(network, JointNetwork):
        shipped = load_checkpoint(checkpoint_folder(REFERENCE)).network.state_dict()
        learned = {name: value for name, value in shipped.items() if name.startswith(("map_branch.", "fuse.", "settle.", "heads."))}
        network.load_state_dict(learned, strict=False)
        outputs = PoseNetAnchor(posenet).outputs
        assert outputs.bias is not None
        network.reader.take_over(outputs.weight, outputs.bias)
    return network


def judge(checkpoint: Path, photos: Photos | None) -> dict[str, Any]:
    """Return the figures of a network on the test scenes and on photographs."""
    graph = trace(checkpoint)
    estimator, skeleton = FloatEstimator(graph, 1), graph.spec.skeleton
    scenes = read_scenes(inputs.SAMPLES / "scenes.json", skeleton)
    row = evaluate_scenes({name: estimator(picture, focal) for name, picture, focal in scenes}, scenes, skeleton)[0]
    figures = {name: row[name] for name in ("centre_recall", "centre_precision", "pck_rel150", "mpjpe_mm", "pa_mpjpe_mm")}
    if photos is not None:
        row = evaluate_photos({name: estimator(picture) for name, picture, _ in photos}, photos, skeleton)[0]
        figures |= {f"photos {name}": row[name] for name in ("centre_recall", "oks50", "oks75", "predictions", "off_person")}
    return figures


def lift(name: str, embedding: PoseEmbedding, size: int, mocap: Path, steps: int) -> dict[str, Any]:
    """Return the figures of a lifter that learned for so many steps."""
    config, poses = LifterTraining(), {split: torch.from_numpy(array) for split, array in load_mocap(mocap).items()}
    torch.manual_seed(config.seed)
    model, generator = Lifter(embedding_size=size), torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    weights = torch.tensor([1.0, config.points_weight, config.embedding_weight, config.rotation_weight, config.torso_frame_weight])
    for step in range(steps):
        set_learning_rate(optimizer, one_cycle(step, steps, config.learning_rate, warm_up=0.1))
        loss = weights @ torch.stack(
            list(lifting_losses(model, embedding, augment(poses["train"], config.batch, generator), generator).values())
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
    figures = evaluate(model, embedding, poses["test"], "test", config)
    with torch.no_grad():
        seen = view(draw(poses["test"], config.test_people, generator), generator)
        share, _ = plausible_share(pose(embedding, model(normalize_points(seen.points, seen.seen).inputs)).directions)
    return {"lifter": name, "MPJPE mm": figures["test_mpjpe_mm"], "PA-MPJPE mm": figures["test_pa_mpjpe_mm"],
            "MPJPE mm, augmented": figures["test_augmented_mpjpe_mm"], "within limits": share}  # fmt: skip


def as_table(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return rows with their column names first."""
    return [list(rows[0]), *([f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backbones")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--bodies", type=Path, required=True, help="folder of rendered bodies")
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--pictures", type=int, default=4800, help="of each network's training")
    parser.add_argument("--lifter-steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    eval_folder = options.data / "eval/tiny_coco"
    photos = read_photos(eval_folder / "person_keypoints.json", eval_folder / "images.tar") if eval_folder.is_dir() else None
    settings: NetworkTraining = replace(read_settings(SETTINGS), minutes=0.0, pictures=options.pictures, trunk_rate=0.0)
    material, rows = load_photos(options.data, options.labels, "ship", options.bodies), []
    # All of the training comes first: its processes are forked, which the threads of an engine would not survive.
    for number, variant in enumerate(VARIANTS):
        say(variant.name)
        config = settings if variant.bodies else replace(settings, mixture=replace(settings.mixture, body=0.0))
        skeletons = skeleton_source(options.mocap, options.embedding, variant.skeletons, config.seed) if variant.skeletons else None
        network = first_network(variant, options.data / POSENET)
        train_network(config, material, options.embedding, options.out / str(number), options.data / POSENET, "cpu", 1, network, skeletons)
    for number, variant in enumerate(VARIANTS):
        rows.append({"trained": variant.name, **judge(options.out / str(number) / "checkpoint", photos)})
    lifters = [
        lift("32 numbers of the embedding", load_embedding(options.embedding), 32, options.mocap, options.lifter_steps),
        lift("48 numbers of bone directions", Directions(), 3 * BONES, options.mocap, options.lifter_steps),
    ]
    text = "\n\n".join("\n".join(f"| {' | '.join(line)} |" for line in [cells[0], ["---"] * len(cells[0]), *cells[1:]])
                       for cells in (as_table(rows), as_table(lifters)))  # fmt: skip
    write_text(options.out / "ablations.md", text + "\n")
    for each in (rows, lifters):
        print(table(as_table(each)))


if __name__ == "__main__":
    main()
