"""Measure the figures of the model card and write them between the marks of its page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...evaluation.photos import evaluate_photos
from ...evaluation.run import Estimate, find_people
from ...evaluation.scenes import evaluate_scenes, read_scenes
from ...frontend.trace import REFERENCE, checkpoint_folder, split_size, trace
from ...ir.float_engine import float_estimator
from ...network.checkpoint import load_checkpoint
from ...network.embedding import load_embedding
from ...network.network import cost
from ...runtime import load
from ...runtime.command.refusals import exit_status
from ...runtime.files.plain_files import write_plain
from ...runtime.pose import MUPOTS17
from ..embedding.embedding_figures import evaluate
from ..embedding.train_embedding import EmbeddingTraining
from ..labels.fit_keypoints import FitSettings
from ..labels.lifter import load_lifter
from ..labels.teacher import open_teacher
from ..motion.mocap import load_mocap
from .card_columns import EMBEDDING_ROWS, PHOTO_COLUMNS, SCENE_COLUMNS, SIZE_COLUMNS, TEACHER_COLUMNS
from .card_markup import put_table, table
from .card_photos import held_out_ccp, read_lspet, teachers_people, tiny_coco
from .compare_teacher import compare_on_scenes, compare_time
from .lifted_people import lifted_estimator, teachers_keypoints


@dataclass(frozen=True)
class TeacherFiles:
    """Files of the estimator that made the labels.

    Attributes:
        teacher: folder of the 2D teacher's networks.
        embedding: safetensors file of the pose embedding.
        lifter: safetensors file of the lifter.
    """

    teacher: Path
    embedding: Path
    lifter: Path

    def estimator(self, threads: int | None = None, steps: int | None = None) -> Estimate:
        """Return the 2D teacher with lifting and fit.

        Args:
            threads: of the teacher's networks; None for its default.
            steps: of the fit; None for the default, 0 for none.
        """
        settings = FitSettings()
        teacher = (
            open_teacher(self.teacher) if threads is None else open_teacher(self.teacher, threads=threads)
        )
        detect = teachers_keypoints(teacher, settings)
        fit = settings if steps is None else replace(settings, steps=steps)
        return lifted_estimator(
            detect, load_embedding(self.embedding), load_lifter(self.lifter), settings=fit
        )


def open_networks(checkpoints: Sequence[str]) -> dict[str, Estimate]:
    """Return the float networks of checkpoints by name."""
    return {name: float_estimator(trace(name)) for name in checkpoints}


def photo_table(checkpoints: Sequence[str], data: Path) -> str:
    """Return the table of photographs: networks and the 2D teacher."""
    networks, rows = open_networks(checkpoints), []
    sets = (
        ("tiny_coco", tiny_coco(data), "tiny_coco"),
        ("LSPET, held-out tenth", read_lspet(data), "lspet"),
        ("CCP, held-out tenth, against the teacher", held_out_ccp(data), ""),
    )
    for title, photos, labels in sets:
        people = {name: find_people(estimate, photos) for name, estimate in networks.items()}
        if labels:
            people["2D teacher"] = teachers_people(data / f"labels/{labels}.npz", photos, MUPOTS17)
        for estimator, detected in people.items():
            for row in evaluate_photos(detected, photos, MUPOTS17)[: 3 if labels == "tiny_coco" else 1]:
                if labels == "lspet":  # only one person of each photograph is annotated
                    row |= {"predictions": None, "off_person": None}
                rows.append({"photos": title, "by": estimator, "people of": row["subset"], **row})
    return table(rows, {"photos": "photos", "by": "by", "people of": "box height, px", **PHOTO_COLUMNS})


def scene_table(checkpoints: Sequence[str], scenes: Sequence[Path]) -> str:
    """Return the table of rendered scenes."""
    rows = []
    for path in scenes:
        truth = read_scenes(path)
        for name, estimate in open_networks(checkpoints).items():
            figures = evaluate_scenes(find_people(estimate, truth), truth, MUPOTS17)
            rows += [{"network": name, "scenes": len(truth), **row} for row in figures if row["people"]]
    return table(rows, {"network": "network", "scenes": "scenes", "subset": "of", **SCENE_COLUMNS})


def size_table(sizes: Sequence[str], scenes: Sequence[Path], data: Path) -> str:
    """Return the table of networks at input sizes, "NAME@HEIGHTxWIDTH", on scenes and tiny_coco."""
    tiny, rows = tiny_coco(data), []
    for size in sizes:
        name, graph = split_size(size)[0], trace(size)
        estimator, skeleton = float_estimator(graph), graph.spec.skeleton
        gmac = cost(load_checkpoint(checkpoint_folder(name)).network, graph.spec.input_size)[0] / 1e9
        for path in scenes:
            truth = read_scenes(path)
            scene = evaluate_scenes(find_people(estimator, truth), truth, skeleton)[0]
            photo = evaluate_photos(find_people(estimator, tiny), tiny, skeleton)[0]
            about = {"network": name, "size": "x".join(map(str, graph.spec.input_size)), "gmac": gmac}
            rows.append({**scene, **about, "scene_recall": scene["centre_recall"], **photo})
    return table(rows, SIZE_COLUMNS)


def teacher_table(checkpoints: Sequence[str], scenes: Sequence[Path], files: TeacherFiles) -> str:
    """Return the table of networks and their teacher on rendered scenes."""
    estimators = open_networks(checkpoints)
    estimators["2D teacher, lifted and fitted"] = files.estimator()
    rows = []
    for path in scenes:
        truth = read_scenes(path)
        people = {name: find_people(estimate, truth) for name, estimate in estimators.items()}
        rows += compare_on_scenes(people, truth, MUPOTS17)
    return table(rows, {"group": "of", "by": "by", **TEACHER_COLUMNS})


def time_table(bundle: Path, scenes: Sequence[Path], files: TeacherFiles) -> str:
    """Return the table of milliseconds per picture on one thread, of a bundle and the teacher."""
    estimators: dict[str, Estimate] = {
        "this network": load(str(bundle), threads=1),
        "teacher, lifted": files.estimator(threads=1, steps=0),
        "teacher, lifted and fitted": files.estimator(threads=1),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [row for path in scenes for row in compare_time(estimators, read_scenes(path))]
    finally:
        torch.set_num_threads(threads)
    times = {name: f"{name}, ms" for name in estimators}
    return table(rows, {"group": "people in the picture", "pictures": "pictures", **times})


def embedding_table(embedding: Path, mocap: Path) -> str:
    """Return the table of the pose embedding."""
    poses = {split: torch.from_numpy(array) for split, array in load_mocap(mocap).items()}
    settings = EmbeddingTraining()
    figures = evaluate(
        load_embedding(embedding), poses, random_poses=settings.random_poses, seed=settings.seed + 1
    )
    rows = [{"figure": title, "value": figures[name]} for title, name in EMBEDDING_ROWS.items()]
    return table(rows, {"figure": "figure", "value": "value"})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="posec train card",
        description="Measure a network and write the figures into its model card.",
        epilog="example: posec train card --scenes toolkit/samples/scenes.json --out docs/model-card.md",
    )
    add = parser.add_argument
    add("--checkpoint", nargs="+", default=[REFERENCE], help="the networks (default: the shipped one)")
    add("--scenes", type=Path, nargs="*", default=[], help="scenes.json files of rendered scenes")
    add("--data", type=Path, help="folder with eval/tiny_coco, photos/lspet, photos/ccp and labels")
    add(
        "--sizes",
        nargs="*",
        default=[],
        metavar="CHECKPOINT@HEIGHTxWIDTH",
        help="networks at input sizes, for the scenes and tiny_coco",
    )
    add("--embedding", type=Path, help="safetensors of the pose embedding with its encoder")
    add("--mocap", type=Path, help="folder of motion-capture .npz files, for the embedding")
    add("--teacher", type=Path, help="folder of the 2D teacher's networks, for the scenes")
    add("--lifter", type=Path, help="safetensors of the lifter, for the teacher")
    add("--bundle", type=Path, help="bundle of the network, for its time beside the teacher's")
    add("--out", type=Path, required=True, help="the page, a Markdown file with marks")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all tables with given data, write them into the page, and print the tables left out."""
    options = _parser().parse_args(arguments)
    text = options.out.read_text()
    checkpoints, scenes = options.checkpoint, options.scenes
    of_teacher = ("scenes", "teacher", "embedding", "lifter")
    files = TeacherFiles(options.teacher, options.embedding, options.lifter)
    tables: dict[str, tuple[tuple[str, ...], Callable[[], str]]] = {
        "embedding": (("embedding", "mocap"), lambda: embedding_table(options.embedding, options.mocap)),
        "scenes": (("scenes",), lambda: scene_table(checkpoints, scenes)),
        "photos": (("data",), lambda: photo_table(checkpoints, options.data)),
        "sizes": (("sizes", "scenes", "data"), lambda: size_table(options.sizes, scenes, options.data)),
        "teacher": (of_teacher, lambda: teacher_table(checkpoints, scenes, files)),
        "time": (("bundle", *of_teacher), lambda: time_table(options.bundle, scenes, files)),
    }
    for name, (needs, measure) in tables.items():
        if missing := [f"--{need}" for need in needs if not getattr(options, need)]:
            print(f"left out: {name}, which needs {' and '.join(missing)}")
        else:
            text = put_table(text, name, measure())
    write_plain(options.out, text)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
