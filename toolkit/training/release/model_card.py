"""The figures of docs/network.md, measured anew: `python -m toolkit.training.release.model_card`. Tables between marks are replaced in place."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import PosecError
from ...evaluation.photos import BODY, BODY_NAMES, Annotated, Photos, evaluate_photos, read_photos
from ...evaluation.run import Estimate, find_people
from ...evaluation.scenes import evaluate_scenes, read_scenes
from ...frontend.trace import REFERENCE, checkpoint_folder, split_size, trace
from ...ir.float_engine import float_estimator
from ...network.checkpoint import load_checkpoint
from ...network.embedding import load_embedding
from ...network.heads import cost
from ...runtime import load
from ...runtime.plain_files import write_plain
from ...runtime.pose import MUPOTS17, PoseFrame, Skeleton
from ..embedding.train_embedding import EmbeddingTraining, evaluate
from ..labels.fit_keypoints import Refinement
from ..labels.labels import read_teacher
from ..labels.lifter import load_lifter
from ..labels.teacher import open_teacher
from ..motion.mocap import load_mocap
from ..pictures.photos import held_out
from .compare_teacher import compare_on_scenes, compare_time
from .lifted_people import lifted_estimator, teachers_keypoints

# LSPET's joints in COCO's places: left shoulder to right ankle.
LSPET_AS_COCO = (9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0)
# An outline covers about so much of the box around the joints, grown by a tenth; COCO measures by the area of the outline.
OUTLINE_SHARE = 0.45
SURE = 0.5
PHOTO_COLUMNS = {"people": "people", "centre_recall": "centre recall", "oks50": "OKS.5", "oks75": "OKS.75", "pck20": "PCK@0.2",
                 "predictions": "predictions", "off_person": "off-person"}  # fmt: skip
SCENE_COLUMNS = {"people": "people", "centre_recall": "centre recall", "centre_precision": "precision", "pck_rel150": "PCK_rel@150",
                 "pck_rel150_matched": "of found", "mpjpe_mm": "MPJPE mm", "pa_mpjpe_mm": "PA-MPJPE mm", "ap_root25": "AP_root@25"}  # fmt: skip
SIZE_COLUMNS = {"network": "network", "size": "input", "gmac": "GMAC", "scene_recall": "rendered: recall", "pck_rel150": "PCK_rel@150", "mpjpe_mm": "MPJPE mm",
                "centre_recall": "tiny_coco: recall", "oks50": "OKS.5", "oks75": "OKS.75", "predictions": "predictions",
                "off_person": "off-person"}  # fmt: skip
TEACHER_COLUMNS = {"people": "people", "centre_recall": "centre recall", "centre_precision": "precision", "pck_rel150": "PCK_rel@150",
                   "ap_root25": "AP_root@25", "common": "common", "mpjpe_mm": "MPJPE mm", "pa_mpjpe_mm": "PA-MPJPE mm",
                   "root_depth_mm": "depth mm"}  # fmt: skip
EMBEDDING_ROWS = {"reconstruction, training clips, mm": "train_mm", "reconstruction, validation clips, mm": "val_mm",
                  "reconstruction, test clips, mm": "test_mm", "the same, 95th percentile, mm": "test_p95_mm",
                  "random embeddings within joint limits": "random_within_limits", "captured test poses within them": "test_within_limits",
                  "spread of embeddings (uniform: 0.577)": "code_std"}  # fmt: skip


def read_lspet(data: Path, kept: bool = True) -> Photos:
    """Return every tenth photograph of Leeds Sports Pose Extended with its one person, joints as COCO orders them, or all but those."""
    with np.load(data / "photos/lspet/joints.npz", allow_pickle=False) as stored:
        rows = [
            (str(name), joints, seen)
            for name, joints, seen in zip(stored["names"], stored["joints"], stored["labelled"], strict=True)
        ]
    people = {}
    for name, joints, seen in rows:
        if held_out(name) == kept:
            points = np.zeros((17, 3))
            points[BODY] = np.column_stack([joints, 2.0 * seen])[list(LSPET_AS_COCO)]
            people[name] = (_around(points),)
    return Photos(people, data / "photos/lspet/photos.tar")


def held_out_ccp(data: Path) -> Photos:
    """Return every tenth photograph of Clothing Co-Parsing with the people that the 2D teacher is sure of."""
    teacher = read_teacher(data / "labels/ccp.npz")
    people = {}
    for index, name in enumerate(map(str, teacher["names"])):
        if held_out(name):
            found = teacher["kpts"][teacher["ptr"][index] : teacher["ptr"][index + 1]].astype(np.float64)
            found[..., 2] = 2.0 * (found[..., 2] > SURE)
            people[name] = tuple(_around(person) for person in found if (person[BODY, 2] > 0).sum() >= 6)
    return Photos(people, data / "photos/ccp/photos.tar")


def _around(points: np.ndarray) -> Annotated:
    seen = points[points[:, 2] > 0, :2]
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.1 * (high - low).max()
    width, height = high - low + 2 * margin
    return Annotated(
        np.array([*(low - margin), width, height]), points, float(OUTLINE_SHARE * width * height), True
    )


def people_of_keypoints(keypoints: np.ndarray, skeleton: Skeleton) -> PoseFrame:
    """Return people whose joints in the picture are COCO key points (N, 17, 3: x, y, confidence); everything else is zero."""
    count, joints = len(keypoints), len(skeleton.names)
    joints_px = np.zeros((count, joints, 2), np.float32)
    for index, name in zip(BODY, BODY_NAMES, strict=True):
        joints_px[:, skeleton.index(name)] = keypoints[:, index, :2]
    torso = keypoints[:, [5, 6, 11, 12], :2].mean(axis=1)
    zeros = np.zeros((count, joints, 3), np.float32)
    return PoseFrame(
        keypoints[:, :, 2].mean(axis=1).astype(np.float32),
        torso.astype(np.float32),
        zeros,
        zeros[:, 0],
        joints_px,
    )


def teachers_people(path: Path, photos: Photos, skeleton: Skeleton) -> dict[str, PoseFrame]:
    """Return what the 2D teacher found in the photographs, from the file of its key points."""
    teacher = read_teacher(path)
    starts = teacher["ptr"]
    return {str(name): people_of_keypoints(teacher["kpts"][starts[i] : starts[i + 1]], skeleton)
            for i, name in enumerate(teacher["names"]) if str(name) in photos.people}  # fmt: skip


def photo_table(checkpoints: Sequence[str], data: Path) -> str:
    """Return the table of real photographs: networks beside the teacher."""
    networks, skeleton = open_networks(checkpoints), MUPOTS17
    tiny, rows = tiny_coco(data), []
    for title, photos, labels in (("tiny_coco", tiny, "tiny_coco"), ("LSPET, held-out tenth", read_lspet(data), "lspet"),
                                  ("CCP, held-out tenth, against the teacher", held_out_ccp(data), "")):  # fmt: skip
        found = {name: find_people(estimate, photos) for name, estimate in networks.items()}
        if labels:
            found["2D teacher"] = teachers_people(data / f"labels/{labels}.npz", photos, skeleton)
        for who, people in found.items():
            for row in evaluate_photos(people, photos, skeleton)[: 3 if labels == "tiny_coco" else 1]:
                if labels == "lspet":
                    row |= {
                        "predictions": None,
                        "off_person": None,
                    }  # only one person of each photograph is annotated
                rows.append({"photos": title, "by": who, "people of": row["subset"], **row})
    return table(rows, {"photos": "photos", "by": "by", "people of": "box height, px", **PHOTO_COLUMNS})


def scene_table(checkpoints: Sequence[str], scenes: Sequence[Path]) -> str:
    """Return the table of rendered scenes."""
    rows = []
    for path in scenes:
        truth = read_scenes(path, MUPOTS17)
        for name, estimate in open_networks(checkpoints).items():
            figures = evaluate_scenes(find_people(estimate, truth), truth, MUPOTS17)
            rows += [{"network": name, "scenes": len(truth), **row} for row in figures]
    return table(rows, {"network": "network", "scenes": "scenes", "subset": "of", **SCENE_COLUMNS})


def size_table(sizes: Sequence[str], scenes: Sequence[Path], data: Path) -> str:
    """Return the table of checkpoints at several input sizes, "NAME@HEIGHTxWIDTH", on rendered scenes and on tiny_coco."""
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


def open_networks(checkpoints: Sequence[str]) -> dict[str, Estimate]:
    """Return the float networks of checkpoints by the names that they were asked for with."""
    return {name: float_estimator(trace(name)) for name in checkpoints}


def tiny_coco(data: Path) -> Photos:
    """Return the photographs of tiny_coco in a data folder."""
    return read_photos(data / "eval/tiny_coco/person_keypoints.json", data / "eval/tiny_coco/images.tar")


def teacher_table(
    checkpoints: Sequence[str], scenes: Sequence[Path], teacher: Path, embedding: Path, lifter: Path
) -> str:
    """Return the table of networks beside what taught them on rendered scenes."""
    networks, how, skeleton = (load_embedding(embedding), load_lifter(lifter)), Refinement(), MUPOTS17
    estimators = open_networks(checkpoints)
    estimators["2D teacher, lifted and fitted"] = lifted_estimator(
        teachers_keypoints(open_teacher(teacher), how), *networks, how
    )
    rows = []
    for path in scenes:
        truth = read_scenes(path)
        rows += compare_on_scenes(
            {who: find_people(estimate, truth) for who, estimate in estimators.items()}, truth, skeleton
        )
    return table(rows, {"group": "of", "by": "by", **TEACHER_COLUMNS})


def time_table(bundle: Path, scenes: Sequence[Path], teacher: Path, embedding: Path, lifter: Path) -> str:
    """Return the table of milliseconds per picture, one thread each: a bundle of the network beside the steps of the teacher's way."""
    networks, how = (load_embedding(embedding), load_lifter(lifter)), Refinement()
    find = teachers_keypoints(open_teacher(teacher, threads=1), how)
    estimators: dict[str, Estimate] = {
        "this network": load(str(bundle), threads=1),
        "teacher, lifted": lifted_estimator(find, *networks, replace(how, steps=0)),
        "teacher, lifted and fitted": lifted_estimator(find, *networks, how),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [row for path in scenes for row in compare_time(estimators, read_scenes(path, MUPOTS17))]
    finally:
        torch.set_num_threads(threads)
    return table(
        rows,
        {
            "group": "people in the picture",
            "pictures": "pictures",
            **{who: f"{who}, ms" for who in estimators},
        },
    )


def embedding_table(embedding: Path, mocap: Path) -> str:
    """Return the table of the pose embedding."""
    poses = {split: torch.from_numpy(array) for split, array in load_mocap(mocap).items()}
    figures = evaluate(load_embedding(embedding), poses, EmbeddingTraining())
    return table(
        [{"figure": title, "value": figures[name]} for title, name in EMBEDDING_ROWS.items()],
        {"figure": "figure", "value": "value"},
    )


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return rows as a Markdown table; `columns` are names and titles."""

    def cell(value: Any) -> str:
        if value is None:
            return "–"
        return (
            f"{value:.3g}"
            if isinstance(value, float) and abs(value) < 100
            else f"{value:.0f}"
            if isinstance(value, float)
            else str(value)
        )

    lines = [
        list(columns.values()),
        ["---"] * len(columns),
        *([cell(row.get(name)) for name in columns] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put_table(text: str, name: str, content: str) -> str:
    """Return a page with the table between `<!-- figures: name -->` and `<!-- end -->` replaced. Raises PosecError without them."""
    replaced, count = re.subn(rf"(<!-- figures: {name} -->\n).*?(\n?<!-- end -->)", lambda found: found[1] + content + "\n<!-- end -->", text,
                              flags=re.DOTALL)  # fmt: skip
    if count != 1:
        raise PosecError(
            f"the page needs the marks '<!-- figures: {name} -->' and '<!-- end -->' once; found {count} of them"
        )
    return replaced


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments give the data for, write it into the page, and name the tables that were left out."""
    parser = argparse.ArgumentParser(
        prog="posec train card",
        description="Measure a network and write the figures into its model card.",
        epilog="example: posec train card --data data/ --scenes toolkit/samples/scenes.json --out docs/network.md",
    )
    parser.add_argument(
        "--checkpoint", nargs="+", default=[REFERENCE], help="the networks (default: the one shipped)"
    )
    parser.add_argument(
        "--scenes", type=Path, nargs="*", default=[], help="scenes.json files of rendered scenes"
    )
    parser.add_argument(
        "--data", type=Path, help="folder with eval/tiny_coco, photos/lspet, photos/ccp and labels"
    )
    parser.add_argument(
        "--sizes",
        nargs="*",
        default=[],
        metavar="CHECKPOINT@HEIGHTxWIDTH",
        help="networks and input sizes to compare, on the scenes and tiny_coco",
    )
    parser.add_argument("--embedding", type=Path, help="safetensors of the pose embedding, encoder included")
    parser.add_argument("--mocap", type=Path, help="folder of motion-capture .npz files, for the embedding")
    parser.add_argument(
        "--teacher", type=Path, help="folder of the 2D teacher's networks, to compare with on the scenes"
    )
    parser.add_argument("--lifter", type=Path, help="safetensors of the lifter, for the teacher")
    parser.add_argument(
        "--bundle", type=Path, help="bundle of the network, to compare its time with the teacher's"
    )
    parser.add_argument("--out", type=Path, required=True, help="the page, a Markdown file with marks")
    chosen = parser.parse_args(arguments)
    text = chosen.out.read_text()
    taught = ("scenes", "teacher", "embedding", "lifter")
    given = [getattr(chosen, name) for name in taught]
    tables: dict[str, tuple[tuple[str, ...], Callable[[], str]]] = {
        "embedding": (("embedding", "mocap"), lambda: embedding_table(chosen.embedding, chosen.mocap)),
        "scenes": (("scenes",), lambda: scene_table(chosen.checkpoint, chosen.scenes)),
        "photos": (("data",), lambda: photo_table(chosen.checkpoint, chosen.data)),
        "sizes": (("sizes", "scenes", "data"), lambda: size_table(chosen.sizes, chosen.scenes, chosen.data)),
        "teacher": (taught, lambda: teacher_table(chosen.checkpoint, *given)),
        "time": (("bundle", *taught), lambda: time_table(chosen.bundle, *given)),
    }
    for name, (needs, measure) in tables.items():
        if missing := [f"--{need}" for need in needs if not getattr(chosen, need)]:
            print(f"left out: {name}, which needs {' and '.join(missing)}")
        else:
            text = put_table(text, name, measure())
    write_plain(chosen.out, text)
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    main()
