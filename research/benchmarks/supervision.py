"""The effect of supervision: the same short training, on the same pictures, with three kinds of labels.

    posec train scenes --mocap mocap/ --split train --count 500 --empty 20 --seed 5151 --out scenes/
    python -m research.benchmarks.supervision --lift lift.safetensors --scenes scenes/ --data data/ \\
           --teacher teacher/ --embedding embedding.safetensors --lifter lifter.safetensors -o out/supervision

U is the 2D teacher alone, lifted and fitted. W replaces the teacher by 2D key points as a human would mark
them. F are the 3D joints. Where the data folder has Leeds Sports Pose Extended, with marks by humans, U and
W are also compared on its photographs.

As in `ablations`, every network starts from the lifting head of `posec train lift`, trained on skeletons.
It sees no other pictures with people. All are judged on the rendered test scenes and on the photographs of
the data folder: tiny_coco, and every tenth of Leeds Sports Pose Extended.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from research.benchmarks.ablations import judge, markdown, photographs
from toolkit.commands.interface.terminal import say, write_text
from toolkit.evaluation.photos import BODY, Annotated
from toolkit.evaluation.scenes import LEAST_VISIBLE, Scenes, read_scenes
from toolkit.network.embedding import decoder_arrays, load_embedding
from toolkit.runtime.command.refusals import exit_status
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.labels.annotations import human_keypoints
from toolkit.training.labels.label_files import Labels, read_teacher, write_labels
from toolkit.training.labels.labels import label_photos, label_scenes
from toolkit.training.labels.lifter import load_lifter
from toolkit.training.learning.network_settings import read_settings
from toolkit.training.learning.train_network import read_network, train_network
from toolkit.training.pictures.compose import Mixture
from toolkit.training.pictures.people import KEYPOINT_JOINTS, no_people, read_people
from toolkit.training.pictures.photos import Photo, Photos, read_tar
from toolkit.training.release.card_photos import read_lspet
from toolkit.training.run.configuration import REFERENCE

MIXTURE = Mixture(mosaic=0.0, scene=0.85, pasted=0.0, empty=0.15)
LSPET = "photos/lspet"


class Kind(NamedTuple):
    """Pictures by name, and their labels of one kind of supervision."""

    name: str
    pictures: dict[str, bytes]
    labels: Labels


def marked(scenes: Scenes) -> dict[str, list[Annotated]]:
    """Return people of scenes as a human would mark them in 2D: visible, with all joints in the picture."""
    people = {}
    for name, picture, _ in scenes:
        scene, size = scenes.scenes[name], np.array(picture.shape[1::-1])
        people[name] = []
        for points, visible in zip(scene.people.joints_px, scene.visible, strict=True):
            joints = np.zeros((17, 3))
            body = points[KEYPOINT_JOINTS]
            joints[BODY] = np.column_stack([body, ((body > 0) & (body < size - 1)).all(1)])
            low, high = np.clip(points.min(0), 0, size), np.clip(points.max(0), 0, size)
            people[name].append(
                Annotated(
                    np.concatenate([low, high - low]),
                    joints,
                    float(np.prod(high - low)),
                    visible >= LEAST_VISIBLE,
                )
            )
    return people


def only(teacher: Labels, wanted: set[str]) -> Labels:
    """Return a teacher's labels of some pictures."""
    rows = [index for index, name in enumerate(teacher["names"].tolist()) if name in wanted]
    people = [np.arange(teacher["ptr"][row], teacher["ptr"][row + 1]) for row in rows]
    which = np.concatenate(people)
    starts = np.cumsum([0, *map(len, people)])
    return {
        "names": teacher["names"][rows],
        "ptr": starts,
        "boxes": teacher["boxes"][which],
        "kpts": teacher["kpts"][which],
    }


def kinds(options: argparse.Namespace) -> list[Kind]:
    """Return what there is to compare."""
    embedding, lifter, out = load_embedding(options.embedding), load_lifter(options.lifter), options.out

    def fitted(name: str, teacher: Labels) -> Labels:
        write_labels(out / f"{name}.npz", teacher)
        return label_photos(out / f"{name}.npz", embedding, lifter)

    taught = out / "u.npz"
    # In a process of its own: the training's are forked, which the threads of an engine would not survive.
    words = [
        "--teacher",
        options.teacher,
        "--pictures",
        options.scenes,
        "--out",
        taught,
        "--threads",
        options.threads,
    ]
    subprocess.run([sys.executable, "-m", "toolkit", "train", "teacher", *map(str, words)], check=True)
    scenes = read_scenes(options.scenes / "scenes.json", MUPOTS17)
    pictures = {name: (options.scenes / name).read_bytes() for name in scenes.scenes}
    found = [
        Kind("scenes, U: the 2D teacher", pictures, label_photos(taught, embedding, lifter)),
        Kind("scenes, W: 2D key points", pictures, fitted("w", human_keypoints(marked(scenes)))),
        Kind("scenes, F: 3D joints", pictures, label_scenes(scenes, embedding)),
    ]
    if (options.data / LSPET).is_dir():
        annotated = dict(list(read_lspet(options.data, kept=False).people.items())[: options.photos])
        stored = {
            name: photo
            for name, photo in read_tar(options.data / LSPET / "photos.tar").items()
            if name in annotated
        }
        teacher = only(read_teacher(options.data / "labels/lspet.npz"), set(annotated))
        found.append(Kind("LSPET, U: the 2D teacher", stored, fitted("lspet_u", teacher)))
        found.append(
            Kind("LSPET, W: marked by humans", stored, fitted("lspet_w", human_keypoints(annotated, teacher)))
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lift", type=Path, required=True, help="what `posec train lift` wrote")
    parser.add_argument(
        "--scenes", type=Path, required=True, help="folder of rendered scenes of the training side"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the 2D teacher")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--lifter", type=Path, required=True, help="safetensors of the lifter")
    parser.add_argument("--pictures", type=int, default=4800, help="of each network's training")
    parser.add_argument("--photos", type=int, default=2000, help="of Leeds Sports Pose Extended")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    config = replace(
        read_settings(REFERENCE),
        minutes=0.0,
        pictures=options.pictures,
        backbone_rate=0.0,
        int8_share=0.0,
        mixture=MIXTURE,
    )
    empty = [
        Photo(encoded, no_people()) for encoded in read_tar(options.data / "backgrounds/images.tar").values()
    ]
    compared, rows = kinds(options), []
    for number, kind in enumerate(compared):
        write_labels(options.out / f"labels_{number}.npz", kind.labels)
        people = read_people(options.out / f"labels_{number}.npz")
        material = Photos(
            scenes=[
                Photo(encoded, people[name]) for name, encoded in kind.pictures.items() if name in people
            ],
            empty=empty,
        )
        usable = sum(int(photo.people.usable.sum()) for photo in material.scenes)
        say(f"{kind.name}: {usable} people in {len(material.scenes)} pictures")
        rows.append({"learned from": kind.name, "pictures": len(material.scenes), "people": usable})
        train_network(
            config,
            material,
            options.embedding,
            out=options.out / str(number),
            network=read_network(options.lift),
        )
    judges, decoder = photographs(options.data), layers(decoder_arrays(load_embedding(options.embedding)))
    if (options.data / LSPET).is_dir():
        judges["LSPET"] = read_lspet(options.data)
    for number, row in enumerate(rows):
        row |= judge(read_network(options.lift), options.out / str(number), decoder, judges)
    write_text(options.out / "supervision.md", markdown(rows) + "\n")
    print(markdown(rows))


if __name__ == "__main__":
    sys.exit(exit_status(main))
