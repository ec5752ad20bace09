"""Render single people as cut-outs with exact joints, in shards that can be resumed: `python -m toolkit.training.render.render_bodies`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from ...runtime.files.pictures import write_picture
from ...runtime.files.plain_files import write_whole
from ...runtime.pose import MUPOTS17
from ..motion.clips import KINDS, Clips, read_clips
from ..motion.poses import about, vary
from ..motion.retarget import turns_of
from .bodies import Body, BodyModel
from .dressed_body import colours, dress, random_light
from .outfits import random_outfit
from .rasterise import project, rasterise

FRAME_PX = 288
FILL = 0.92
PER_SHAPE = 16
PER_SHARD = 400
DEEPMIMIC_SHARE = 0.35
# The 12 body joints of COCO, numbers 5 to 16, among those of MUPOTS17.
COCO_BODY = tuple(
    MUPOTS17.index(f"{side}_{joint}")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)


@dataclass(frozen=True)
class CutOut:
    """One person on nothing, photographed along the optical axis.

    Attributes:
        picture: (S, S, 4) uint8 BGRA.
        joints_m: (17, 3) relative to the pelvis, in the frame of the viewing ray, true proportions.
        pelvis_px: (2,) and its scale px_per_m.
        keypoints_px: (12, 2) projected joints in the order of COCO_BODY.
    """

    picture: np.ndarray
    joints_m: np.ndarray
    pelvis_px: np.ndarray
    px_per_m: float
    keypoints_px: np.ndarray


def random_view(rng: np.random.Generator) -> np.ndarray:
    """Return a camera (3, 3) for a person: turned to any side, seen from up to 35 degrees above, rolled a little."""
    yaw = rng.uniform(0, 360) if rng.random() < 0.75 else rng.normal(0, 40)
    pitch = np.clip(rng.normal(6, 9), -14, 35) if rng.random() < 0.7 else rng.uniform(10, 35)
    return about("z", rng.normal(0, 3)) @ about("x", pitch) @ about("y", yaw)


def cut_out(model: BodyModel, body: Body, rng: np.random.Generator, size_px: int = FRAME_PX) -> CutOut:
    """Dress, light and photograph a body; its pelvis lies on the optical axis, so camera axes and viewing ray agree."""
    view, outfit = random_view(rng), random_outfit(rng)
    pelvis = body.joints_m[MUPOTS17.root]
    depth = np.exp(rng.uniform(np.log(2.2), np.log(9.0)))
    joints = (body.joints_m - pelvis) @ view.T
    at_depth = np.array([0.0, 0.0, depth])
    figure = dress((body.vertices_m - pelvis) @ view.T + at_depth, model.surface, outfit)
    spread = figure.vertices_m[:, :2] / figure.vertices_m[:, 2:]
    low, high = spread.min(0), spread.max(0)
    focal = FILL * size_px / (high - low).max()
    principal = (size_px - 1) / 2 - focal * (low + high) / 2
    points = project(figure.vertices_m, focal, tuple(principal))
    fragments = rasterise(points, figure.vertices_m[:, 2], model.surface.faces, (size_px, size_px))
    light = random_light(rng, about("z", 0) if rng.random() < 0.5 else view)
    picture = np.zeros((size_px * size_px, 4), np.float32)
    picture[fragments.pixels, :3] = colours(figure, model.surface, fragments, light, view @ [0.0, 1.0, 0.0])
    picture[fragments.pixels, 3] = 1
    return CutOut(
        picture=soft_edge(picture.reshape(size_px, size_px, 4)),
        joints_m=joints,
        pelvis_px=principal,
        px_per_m=focal / depth,
        keypoints_px=project(joints + at_depth, focal, tuple(principal))[list(COCO_BODY)],
    )


def soft_edge(picture: np.ndarray) -> np.ndarray:
    """Return BGRA uint8 with colours continued a little beyond the outline, so that shrinking it brings in no black."""
    alpha = picture[..., 3:]
    blurred = (
        cv2.blur(picture[..., :3] * alpha, (5, 5))
        / np.maximum(cv2.blur(alpha[..., 0], (5, 5)), 1e-6)[..., None]
    )
    colour = np.where(alpha > 0, picture[..., :3], blurred)
    return np.clip(
        np.dstack([colour, 255 * cv2.GaussianBlur(alpha[..., 0], (3, 3), 0.5)]) + 0.5, 0, 255
    ).astype(np.uint8)


def random_bodies(
    model: BodyModel, clips: Clips, rows: np.ndarray, count: int, rng: np.random.Generator
) -> list[Body]:
    """Return `count` poses of one random person, from frames `rows` of the clips, varied."""
    captured = turns_of(clips, rng.choice(rows, count))
    turns = captured.copy()
    for frame in turns:
        vary(clips, frame, rng, captured)
    return model.pose(model.random_shape(rng), clips, turns)


def render_shard(
    model: BodyModel, sources: Sequence[Clips], split: str, folder: Path, shard: int, count: int, seed: int
) -> None:
    """Render one shard of `count` cut-outs into a folder: pictures first, then their labels, which mark the shard as done."""
    rng = np.random.default_rng([seed, shard])
    found: list[CutOut] = []
    while len(found) < count:
        clips = sources[int(rng.random() < DEEPMIMIC_SHARE)]
        bodies = random_bodies(model, clips, clips.rows(split), min(PER_SHAPE, count - len(found)), rng)
        found += [cut_out(model, body, rng) for body in bodies]
    names = [f"body_{shard:03d}_{index:04d}.png" for index in range(count)]
    for name, one in zip(names, found, strict=True):
        write_picture(folder / name, one.picture)
    write_labels(folder / f"shard_{shard:03d}.npz", labels_of(names, found))


def labels_of(names: Sequence[str], found: Sequence[CutOut]) -> dict[str, np.ndarray]:
    """Return the labels of cut-outs as arrays, one row per picture."""
    fields = ("joints_m", "pelvis_px", "px_per_m", "keypoints_px")
    return {
        "names": np.array(names),
        **{name: np.array([getattr(one, name) for one in found], np.float32) for name in fields},
    }


def write_labels(path: Path, labels: dict[str, np.ndarray]) -> None:
    """Write an .npz whole or not at all."""
    with write_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **labels)


def merge(folder: Path) -> int:
    """Write bodies.npz from the shards that are done; return how many cut-outs it names."""
    shards = []
    for path in sorted(folder.glob("shard_*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            shards.append(dict(arrays))
    labels = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    write_labels(folder / "bodies.npz", labels)
    return len(labels["names"])


def _work(job: tuple[str, str, str, int, int, int, list[int], list[int]]) -> None:
    mocap, split, out, seed, count, process, shards, counts = job
    cv2.setNumThreads(1)
    import torch

    torch.set_num_threads(1)
    model, sources = BodyModel(), [read_clips(mocap, kind) for kind in KINDS]
    begun, done = time.perf_counter(), 0
    for shard, size in zip(shards, counts, strict=True):
        render_shard(model, sources, split, Path(out), shard, size, seed)
        done += size
        total = merge(Path(out))
        print(
            f"process {process}: shard {shard} done, {total} of {count} bodies, {done / (time.perf_counter() - begun):.1f} per second",
            flush=True,
        )


def render_bodies(mocap: str, split: str, out: str, count: int, seed: int, processes: int = 1) -> None:
    """Render `count` cut-outs of a split into folder `out`, beside bodies.npz; shards already there are kept."""
    Path(out).mkdir(parents=True, exist_ok=True)
    sizes = [min(PER_SHARD, count - start) for start in range(0, count, PER_SHARD)]
    left = [shard for shard in range(len(sizes)) if not (Path(out) / f"shard_{shard:03d}.npz").is_file()]
    jobs = [
        (
            mocap,
            split,
            out,
            seed,
            count,
            process,
            left[process::processes],
            [sizes[shard] for shard in left[process::processes]],
        )
        for process in range(processes)
    ]
    if processes == 1:
        _work(jobs[0])
    else:
        with get_context("spawn").Pool(processes) as pool:
            pool.map(_work, jobs)
    print(f"bodies done: {merge(Path(out))} of {count} in {out}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(
        prog="posec train bodies",
        description="Render single people with exact 3D joints for training.",
        epilog="example: posec train bodies --mocap mocap/ --out bodies/ --count 12000",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder for the cut-outs and bodies.npz")
    parser.add_argument("--split", default="train", choices=("train", "val", "test"))
    parser.add_argument("--count", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    render_bodies(given.mocap, given.split, given.out, given.count, given.seed, given.processes)


if __name__ == "__main__":
    main()
