"""Render single people with exact joints on a transparent background, in resumable shards."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ...runtime.command.refusals import exit_status
from ...runtime.files.pictures import write_picture
from ...runtime.files.plain_files import write_whole
from ...runtime.pose import MUPOTS17
from ..motion.clips import KINDS, Clips, read_clips
from ..motion.poses import vary
from ..motion.retarget import turns_of
from ..motion.turns import about
from .bodies import Body, BodyModel
from .dressed_body import colours, dress, random_light
from .outfits import random_outfit
from .rasterise import project, rasterise

FRAME_PX = 288
FILL = 0.92
PER_SHAPE = 16
PER_SHARD = 400
DEEPMIMIC_SHARE = 0.35
# COCO body key points 5 to 16 as indices into MUPOTS17.
COCO_BODY = tuple(
    MUPOTS17.index(f"{side}_{joint}")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)


@dataclass(frozen=True)
class CutOut:
    """One person on a transparent background.

    Attributes:
        picture: (S, S, 4) uint8 BGRA.
        joints_m: (17, 3) relative to the pelvis, frame of the viewing ray, true proportions.
        pelvis_px: (2,) projected pelvis.
        px_per_m: scale at the pelvis.
        keypoints_px: (12, 2) projected joints in the order of COCO_BODY.
    """

    picture: np.ndarray
    joints_m: np.ndarray
    pelvis_px: np.ndarray
    px_per_m: float
    keypoints_px: np.ndarray


def random_view(rng: np.random.Generator) -> np.ndarray:
    """Return a random camera rotation (3, 3): any yaw, a pitch up to 35 degrees from above, a slight roll."""
    yaw = rng.uniform(0, 360) if rng.random() < 0.75 else rng.normal(0, 40)
    pitch = np.clip(rng.normal(6, 9), -14, 35) if rng.random() < 0.7 else rng.uniform(10, 35)
    return about("z", rng.normal(0, 3)) @ about("x", pitch) @ about("y", yaw)


def cut_out(model: BodyModel, body: Body, rng: np.random.Generator, *, size_px: int = FRAME_PX) -> CutOut:
    """Render a body in a random outfit, light and view.

    The pelvis lies on the optical axis, so the camera frame is the frame of the viewing ray.
    """
    view, outfit = random_view(rng), random_outfit(rng)
    pelvis = body.joints_m[MUPOTS17.root]
    depth = np.exp(rng.uniform(np.log(2.2), np.log(9.0)))
    joints = (body.joints_m - pelvis) @ view.T
    at_depth = np.array([0.0, 0.0, depth])
    dressed = dress((body.vertices_m - pelvis) @ view.T + at_depth, model.surface, outfit)
    spread = dressed.vertices_m[:, :2] / dressed.vertices_m[:, 2:]
    low, high = spread.min(0), spread.max(0)
    focal = FILL * size_px / (high - low).max()
    principal = (size_px - 1) / 2 - focal * (low + high) / 2
    points = project(dressed.vertices_m, focal, tuple(principal))
    fragments = rasterise(points, dressed.vertices_m[:, 2], model.surface.faces, size=(size_px, size_px))
    light = random_light(rng, about("z", 0) if rng.random() < 0.5 else view)
    down = view @ [0.0, 1.0, 0.0]
    picture = np.zeros((size_px * size_px, 4), np.float32)
    picture[fragments.pixels, :3] = colours(dressed, model.surface, fragments, light=light, down=down)
    picture[fragments.pixels, 3] = 1
    return CutOut(
        picture=soft_edge(picture.reshape(size_px, size_px, 4)),
        joints_m=joints,
        pelvis_px=principal,
        px_per_m=focal / depth,
        keypoints_px=project(joints + at_depth, focal, tuple(principal))[list(COCO_BODY)],
    )


def soft_edge(picture: np.ndarray) -> np.ndarray:
    """Return BGRA uint8 with colours extended beyond the outline, so that downscaling adds no black edge.

    Args:
        picture: (H, W, 4) float32, colours 0..255, alpha 0 or 1.
    """
    alpha = picture[..., 3:]
    weight = np.maximum(cv2.blur(alpha[..., 0], (5, 5)), 1e-6)[..., None]
    blurred = cv2.blur(picture[..., :3] * alpha, (5, 5)) / weight
    colour = np.where(alpha > 0, picture[..., :3], blurred)
    soft_alpha = 255 * cv2.GaussianBlur(alpha[..., 0], (3, 3), 0.5)
    return np.clip(np.dstack([colour, soft_alpha]) + 0.5, 0, 255).astype(np.uint8)


def random_bodies(
    model: BodyModel, clips: Clips, rows: np.ndarray, *, count: int, rng: np.random.Generator
) -> list[Body]:
    """Return one random person in `count` varied poses, drawn from frames `rows` of the clips."""
    captured = turns_of(clips, rng.choice(rows, count))
    turns = captured.copy()
    for frame in turns:
        vary(clips, frame, rng, others=captured)
    return model.pose(model.random_shape(rng), clips, turns)


@dataclass(frozen=True)
class BodySet:
    """The set of cut-outs to render.

    Attributes:
        mocap: folder with cmu.npz and deepmimic.npz.
        split: train, val or test; the split of the clips.
        out: folder for the pictures and bodies.npz.
        count: number of cut-outs.
        seed: of the whole set; every shard draws from its own generator.
    """

    mocap: str
    split: str
    out: str
    count: int
    seed: int

    def shard_sizes(self) -> list[int]:
        """Return the number of cut-outs in each shard."""
        return [min(PER_SHARD, self.count - start) for start in range(0, self.count, PER_SHARD)]

    def shard_path(self, shard: int) -> Path:
        """Return the label file of a shard, which exists once the shard is complete."""
        return Path(self.out) / f"shard_{shard:03d}.npz"


def render_shard(model: BodyModel, sources: Sequence[Clips], bodies: BodySet, *, shard: int) -> None:
    """Render one shard: first its pictures, then its labels, which mark the shard as complete."""
    rng = np.random.default_rng([bodies.seed, shard])
    count = bodies.shard_sizes()[shard]
    cut_outs: list[CutOut] = []
    while len(cut_outs) < count:
        clips = sources[int(rng.random() < DEEPMIMIC_SHARE)]
        poses = min(PER_SHAPE, count - len(cut_outs))
        people = random_bodies(model, clips, clips.rows(bodies.split), count=poses, rng=rng)
        cut_outs += [cut_out(model, body, rng) for body in people]
    names = [f"body_{shard:03d}_{index:04d}.png" for index in range(count)]
    for name, one in zip(names, cut_outs, strict=True):
        write_picture(Path(bodies.out) / name, one.picture)
    write_labels(bodies.shard_path(shard), labels_of(names, cut_outs))


def labels_of(names: Sequence[str], cut_outs: Sequence[CutOut]) -> dict[str, np.ndarray]:
    """Return the labels of cut-outs as arrays, one row per picture."""
    labels = {"names": np.array(names)}
    for name in ("joints_m", "pelvis_px", "px_per_m", "keypoints_px"):
        labels[name] = np.array([getattr(one, name) for one in cut_outs], np.float32)
    return labels


def write_labels(path: Path, labels: dict[str, np.ndarray]) -> None:
    """Write an .npz atomically."""
    with write_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **labels)


def merge(folder: Path) -> int:
    """Write bodies.npz from the complete shards and return its number of cut-outs."""
    shards = []
    for path in sorted(folder.glob("shard_*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            shards.append(dict(arrays))
    labels = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    write_labels(folder / "bodies.npz", labels)
    return len(labels["names"])


class _Job(NamedTuple):
    """The shards of one process."""

    bodies: BodySet
    process: int
    shards: list[int]


def _run(job: _Job) -> None:
    cv2.setNumThreads(1)
    import torch

    torch.set_num_threads(1)
    bodies = job.bodies
    model, sources = BodyModel(), [read_clips(bodies.mocap, kind) for kind in KINDS]
    begun, done = time.perf_counter(), 0
    for shard in job.shards:
        render_shard(model, sources, bodies, shard=shard)
        done += bodies.shard_sizes()[shard]
        total, rate = merge(Path(bodies.out)), done / (time.perf_counter() - begun)
        progress = f"shard {shard} done, {total} of {bodies.count} bodies, {rate:.1f} per second"
        print(f"process {job.process}: {progress}", flush=True)


def render_bodies(bodies: BodySet, processes: int = 1) -> None:
    """Render a set of cut-outs and write bodies.npz beside them; complete shards are kept."""
    out = Path(bodies.out)
    out.mkdir(parents=True, exist_ok=True)
    left = [shard for shard in range(len(bodies.shard_sizes())) if not bodies.shard_path(shard).is_file()]
    jobs = [_Job(bodies, process, left[process::processes]) for process in range(processes)]
    if processes == 1:
        _run(jobs[0])
    else:
        with get_context("spawn").Pool(processes) as pool:
            pool.map(_run, jobs)
    print(f"bodies done: {merge(out)} of {bodies.count} in {out}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train bodies`."""
    parser = argparse.ArgumentParser(
        prog="posec train bodies",
        description="Render single people with exact 3D joints for training.",
        epilog="example: posec train bodies --mocap mocap/ --out bodies/ --count 12000",
    )
    parser.add_argument("--mocap", required=True, help="folder with cmu.npz and deepmimic.npz")
    parser.add_argument("--out", required=True, help="folder for the cut-outs and bodies.npz")
    parser.add_argument("--split", default="train", choices=("train", "val", "test"), help="of the clips")
    parser.add_argument("--count", type=int, default=12000, help="number of cut-outs")
    parser.add_argument("--seed", type=int, default=1, help="of the whole set")
    parser.add_argument("--processes", type=int, default=1, help="that render in parallel")
    given = parser.parse_args(arguments)
    bodies = BodySet(given.mocap, given.split, given.out, count=given.count, seed=given.seed)
    render_bodies(bodies, given.processes)


if __name__ == "__main__":
    sys.exit(exit_status(main))
