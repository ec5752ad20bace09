"""The effect of each part of the training: one short training per part, with it left out or added.

    python -m research.benchmarks.ablations --lift lift.safetensors --data data/ --labels labels/ \\
           --bodies bodies/ --scenes scenes/ --more photographs/ --mocap mocap/ \\
           --embedding embedding.safetensors -o out/ablations

Every network trains on the same number of pictures: differences are those of an early stage of training.
All start from the lifting head of `posec train lift`, trained on skeletons, on MoveNet's frozen backbone.
They are judged, with the fit to key points, on the rendered test scenes and on the photographs of tiny_coco
in the data folder.

The embedding is compared with 48 numbers of 16 bone directions, twice: in the network, where the embedding
head starts untrained in both cases, and in the lifter, which converges in minutes. "Within limits" is the
share of poses with joint angles that a human can reach. These networks are judged without the fit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from toolkit.commands.interface import inputs
from toolkit.commands.interface.terminal import say, write_text
from toolkit.evaluation.photos import Photos as Photographs
from toolkit.evaluation.photos import evaluate_photos, read_photos
from toolkit.evaluation.run import Estimate
from toolkit.evaluation.scenes import evaluate_scenes, read_scenes
from toolkit.network.embedding import BONES, PoseEmbedding, decoder_arrays, load_embedding
from toolkit.network.heads import EMBEDDING, LATENT_CHANNELS
from toolkit.network.keypoints import BRANCH_CHANNELS, JOINTS, KeypointRegression
from toolkit.network.network import KeypointNetwork
from toolkit.network.torch_kinematics import EPSILON, bone_directions, mirror_directions
from toolkit.runtime.command.refusals import exit_status
from toolkit.runtime.decoding.bone_prior import REFINEMENT, Refinement
from toolkit.runtime.decoding.decode import DecodeOptions, decode_heads
from toolkit.runtime.decoding.intrinsics import pinhole
from toolkit.runtime.decoding.kinematics import Layers, layers
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import PoseFrame, PoseSpec, Skeleton
from toolkit.runtime.preprocess import Batch
from toolkit.training.labels.lifter import Lifter, normalize_points, pose
from toolkit.training.labels.projections import random_views
from toolkit.training.labels.train_lifter import LifterTraining, evaluate, lifting_losses
from toolkit.training.learning.network_settings import NetworkTraining, read_settings
from toolkit.training.learning.network_step import NetworkLearner
from toolkit.training.learning.train_network import read_network, train_network
from toolkit.training.motion.anatomy import plausible_share
from toolkit.training.motion.augment import augment, draw
from toolkit.training.motion.mocap import load_mocap, poses_from_joints
from toolkit.training.pictures.dataset import ComposedPictures
from toolkit.training.pictures.photos import Photo, Photos, load_photos
from toolkit.training.release.card_markup import table
from toolkit.training.run.configuration import REFERENCE
from toolkit.training.run.steps import one_cycle, set_learning_rates

EMBEDDED, PLAIN = "32 numbers of the embedding", "48 numbers of bone directions"
# Parts of the network that learned from skeletons.
OF_SKELETONS = ("lifting_head.", "heads.", "auxiliary.")


class Variant(NamedTuple):
    """What is trained.

    Attributes:
        name: for the table.
        skeletons: whether the lift and the heads have learned from skeletons before.
        rendered: whether rendered people and scenes are among the pictures.
        reads_offsets: whether a picture's key-point offsets are read beside its features. If not, pictures
            and offsets have an encoder each, as in the paper, and share the rest; the fit reads key points.
        settings: of the losses, see `NetworkTraining`.
    """

    name: str
    skeletons: bool = True
    rendered: bool = True
    reads_offsets: bool = True
    settings: Mapping[str, Any] = MappingProxyType({})


ALIGNED = {"align_weight": 1.0}
VARIANTS = (
    Variant("as shipped: no alignment"),
    Variant("alignment", settings=ALIGNED),
    Variant("as shipped, no scenes of skeletons", skeletons=False),
    Variant("as shipped, no rendered people", rendered=False),
    Variant("an encoder each", reads_offsets=False),
    Variant("an encoder each, alignment", reads_offsets=False, settings=ALIGNED),
    Variant("no second modality: pictures alone", skeletons=False, reads_offsets=False),
    Variant(
        "alignment, cycle, agreement of views",
        settings={"align_weight": 1.0, "cycle_weight": 0.5, "consistency_weight": 0.5},
    ),
)


class NoWays(KeypointRegression):
    """Sees no way to any key point."""

    def forward(self, branch: Tensor) -> Tensor:
        """Return offsets of zero length."""
        return 0.0 * super().forward(branch)


class Directions(PoseEmbedding):
    """No embedding at all: a pose is its 48 numbers."""

    def encode(self, directions: Tensor) -> Tensor:
        """Return directions (N, 16, 3) as (N, 48)."""
        return directions.flatten(-2)

    def decode(self, embeddings: Tensor) -> Tensor:
        """Return numbers (N, 48) as unit vectors (N, 16, 3)."""
        return functional.normalize(embeddings.unflatten(-1, (BONES, 3)), dim=-1, eps=EPSILON)


def first_network(variant: Variant, lift: Path) -> KeypointNetwork:
    """Return where a variant's training starts."""
    network = read_network(lift)
    if not variant.skeletons:
        torch.manual_seed(0)
        untrained = KeypointNetwork().state_dict()
        network.load_state_dict(
            {name: value for name, value in untrained.items() if name.startswith(OF_SKELETONS)}, strict=False
        )
    if not variant.reads_offsets:
        network.keypoint_head.regression = NoWays(BRANCH_CHANNELS, 2 * JOINTS, 1)
        # The picture's share starts at zero, and so would all gradients.
        features = network.lifting_head.from_features
        nn.init.normal_(features.weight, std=features.in_channels**-0.5)
    return network


def photographs(data: Path) -> dict[str, Photographs]:
    """Return the annotated photographs that a data folder has to judge by."""
    folder = data / "eval/tiny_coco"
    return (
        {"tiny_coco": read_photos(folder / "person_keypoints.json", folder / "images.tar")}
        if folder.is_dir()
        else {}
    )


def judge(
    network: KeypointNetwork, out: Path, decoder: Layers, photos: Mapping[str, Photographs]
) -> dict[str, Any]:
    """Return the figures of a network that was trained into a folder."""
    network.load_state_dict(load_file(out / "checkpoint/network.safetensors"), strict=False)
    return figures_of(
        estimator(network.eval(), network.spec(), decoder, REFINEMENT), network.spec().skeleton, photos
    )


def estimator(
    network: KeypointNetwork, spec: PoseSpec, decoder: Layers, refinement: Refinement | None
) -> Estimate:
    """Return what finds people with a network, as the runtime does."""
    batch = Batch(spec, FrameInput("float32", "NCHW", spec.colour_order, normalized=True))

    @torch.no_grad()
    def estimate(picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        letterbox = batch.fill(picture_bgr)
        heads = {
            name: value[0].numpy() for name, value in network(torch.from_numpy(batch.array))._asdict().items()
        }
        camera = None if focal_px is None else pinhole(focal_px, letterbox.picture_size)
        options = DecodeOptions(refinement=refinement)
        return decode_heads(heads, spec, decoder, letterbox=letterbox, camera=camera, options=options)

    return estimate


def figures_of(estimate: Estimate, skeleton: Skeleton, photos: Mapping[str, Photographs]) -> dict[str, Any]:
    """Return the figures of an estimator on the test scenes and on photographs."""
    scenes = read_scenes(inputs.SAMPLES / "scenes.json")
    row = evaluate_scenes(
        {name: estimate(picture, focal_px=focal) for name, picture, focal in scenes}, scenes, skeleton
    )[0]
    names = {
        "centre_recall": "recall",
        "centre_precision": "precision",
        "pck_rel150": "PCK_rel@150",
        "mpjpe_mm": "MPJPE mm",
        "pa_mpjpe_mm": "PA-MPJPE mm",
    }
    figures = {title: row[name] for name, title in names.items()}
    for what, annotated in photos.items():
        row = evaluate_photos(
            {name: estimate(picture, focal_px=None) for name, picture, _ in annotated}, annotated, skeleton
        )[0]
        figures |= {
            f"{what}: recall": row["centre_recall"],
            f"{what}: OKS.5": row["oks50"],
            f"{what}: OKS.75": row["oks75"],
        }
        figures[f"{what}: found, off-person"] = f"{row['predictions']}, {row['off_person']}"
    return figures


def lift(name: str, embedding: PoseEmbedding, size: int, mocap: Path, steps: int) -> dict[str, Any]:
    """Return the figures of a lifter that learned for so many steps."""
    config, poses = (
        LifterTraining(),
        {split: torch.from_numpy(array) for split, array in load_mocap(mocap).items()},
    )
    torch.manual_seed(config.seed)
    model, generator = Lifter(embedding_size=size), torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    weights = torch.tensor(
        [
            1.0,
            config.points_weight,
            config.embedding_weight,
            config.rotation_weight,
            config.torso_frame_weight,
        ]
    )
    for step in range(steps):
        set_learning_rates(optimizer, one_cycle(step, steps, config.learning_rate, warm_up=0.1))
        loss = weights @ torch.stack(
            list(
                lifting_losses(
                    model, embedding, augment(poses["train"], config.batch, generator), generator=generator
                ).values()
            )
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
    figures = evaluate(model, embedding, poses["test"], split="test", config=config)
    with torch.no_grad():
        seen = random_views(draw(poses["test"], config.test_people, generator), generator)
        share, _ = plausible_share(
            pose(embedding, model(normalize_points(seen.points, seen.visible).inputs)).directions
        )
    return {
        "a pose is, in the lifter": name,
        "MPJPE mm": figures["test_mpjpe_mm"],
        "PA-MPJPE mm": figures["test_pa_mpjpe_mm"],
        "MPJPE mm, augmented": figures["test_augmented_mpjpe_mm"],
        "within limits": share,
    }


def with_codes(photos: Photos, embedding: PoseEmbedding) -> Photos:
    """Return material whose people have the codes of another embedding."""

    @torch.no_grad()
    def coded(photo: Photo) -> Photo:
        people = photo.people
        directions = torch.from_numpy(bone_directions(people.joints_m, people.rotation))
        own, mirrored = (
            embedding.encode(part).numpy() for part in (directions, mirror_directions(directions.clone()))
        )
        return replace(photo, people=replace(people, embedding=own, embedding_mirrored=mirrored))

    return Photos(**{name: [coded(photo) for photo in group] for name, group in vars(photos).items()})


def learn_codes(
    name: str,
    embedding: PoseEmbedding,
    size: int,
    decoder: Layers,
    material: Photos,
    options: argparse.Namespace,
    config: NetworkTraining,
) -> Callable[[Mapping[str, Photographs]], dict[str, Any]]:
    """Train a network whose poses are codes of an embedding, and return what yields its figures."""
    network = first_network(VARIANTS[0], options.lift)
    torch.manual_seed(0)
    network.heads["embedding"] = nn.Conv2d(LATENT_CHANNELS, size, 1)
    plain = network.spec()
    spec = replace(
        plain, heads={**plain.heads, "embedding": replace(plain.heads["embedding"], channels=size)}
    )
    learner, step = NetworkLearner(config, network, embedding.decode), 0
    batches = iter(
        DataLoader(
            ComposedPictures(material, config.mixture, spec, seed=config.seed),
            config.batch,
            num_workers=1,
            prefetch_factor=6,
        )
    )
    while step * config.batch < config.pictures:
        learner.learn(next(batches), step, step * config.batch / config.pictures)
        step += 1
        if step % config.report_every == 0:
            say(f"{name}: {step * config.batch} of {config.pictures} pictures")

    def judge_codes(photos: Mapping[str, Photographs]) -> dict[str, Any]:
        directions, estimate = [], estimator(learner.average, spec, decoder, None)

        def kept(picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
            people = estimate(picture_bgr, focal_px=focal_px)
            directions.append(poses_from_joints(people.joints_mm))
            return people

        figures = figures_of(kept, spec.skeleton, photos)
        share, _ = plausible_share(torch.from_numpy(np.concatenate(directions)))
        return {"a pose is, in the network": name, **figures, "within limits": share}

    return judge_codes


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    return table(rows, {name: name for name in rows[0]})


def compare_networks(
    options: argparse.Namespace, material: Photos, settings: NetworkTraining
) -> list[dict[str, Any]]:
    """Train and judge the variants; what is trained already is not trained again."""
    chosen = [
        (number, variant)
        for number, variant in enumerate(VARIANTS)
        if not options.only or number in options.only
    ]
    unrendered = load_photos(options.data, options.labels, "ship", bodies=None, more=options.more)
    for number, variant in chosen:
        say(variant.name)
        config = replace(settings, **variant.settings)
        network = first_network(variant, options.lift)
        pictures = material if variant.rendered else unrendered
        train_network(config, pictures, options.embedding, out=options.out / str(number), network=network)
    photos, decoder = photographs(options.data), layers(decoder_arrays(load_embedding(options.embedding)))
    return [
        {
            "trained": variant.name,
            **judge(first_network(variant, options.lift), options.out / str(number), decoder, photos),
        }
        for number, variant in chosen
    ]


def compare_codes(
    options: argparse.Namespace, material: Photos, settings: NetworkTraining
) -> list[dict[str, Any]]:
    """Train and judge networks with the embedding and without."""
    learned = load_embedding(options.embedding)
    identity = [(np.eye(3 * BONES, dtype=np.float32), np.zeros(3 * BONES, np.float32))]
    trained = [
        learn_codes(
            EMBEDDED, learned, EMBEDDING, layers(decoder_arrays(learned)), material, options, settings
        ),
        learn_codes(
            PLAIN, Directions(), 3 * BONES, identity, with_codes(material, Directions()), options, settings
        ),
    ]
    return [judge_codes(photographs(options.data)) for judge_codes in trained]


def compare_lifters(options: argparse.Namespace, *_: Any) -> list[dict[str, Any]]:
    """Train and judge lifters with the embedding and without."""
    return [
        lift(EMBEDDED, load_embedding(options.embedding), EMBEDDING, options.mocap, options.lifter_steps),
        lift(PLAIN, Directions(), 3 * BONES, options.mocap, options.lifter_steps),
    ]


PARTS = {"networks": compare_networks, "codes": compare_codes, "lifters": compare_lifters}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lift", type=Path, required=True, help="what `posec train lift` wrote")
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs and backgrounds")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--bodies", type=Path, required=True, help="folder of rendered bodies")
    parser.add_argument(
        "--scenes",
        type=Path,
        action="append",
        default=[],
        help="folder of rendered scenes; may be given again",
    )
    parser.add_argument(
        "--more",
        type=Path,
        action="append",
        default=[],
        help="folder of further photographs; may be given again",
    )
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--pictures", type=int, default=2400, help="of each network's training")
    parser.add_argument("--lifter-steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to compare (default: all)"
    )
    parser.add_argument(
        "--only", nargs="+", type=int, help=f"of the networks, 0 to {len(VARIANTS) - 1} (default: all)"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder: a table per part, and the trained networks"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)  # training forks, which threads would not survive
    written = read_settings(REFERENCE)
    settings = replace(
        written, minutes=0.0, pictures=options.pictures, int8_share=0.0, warm_up=20, report_every=10
    )
    material = load_photos(
        options.data, options.labels, "ship", bodies=options.bodies, more=[*options.scenes, *options.more]
    )
    for part in options.parts:
        rows = PARTS[part](options, material, settings)
        write_text(options.out / f"{part}.md", markdown(rows) + "\n")
        print(markdown(rows), flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main))
