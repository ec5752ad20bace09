"""The errors of a pose network over time, as a model that sequences of errors are drawn from.

An error has these PARTS: bones and the pose before the fit (3 B each), centre (2, metres), joints relative to
it (2 J, metres), log of the scale, pulls of key points (K) and score. Pulls and score are plain values.
An error is the sum of

    bias       linear in the true pose and place; a measured model keeps its mean alone
    noise      principal components, each a sum of four processes: constant over a track, Ornstein-Uhlenbeck
               processes of 0.5 s and of 0.1 s, and white noise
    factors    the noise is larger for small people, in side and back views, and on difficult tracks

and of events that last: front and back exchanged, missed people, and another person's detection.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ...errors import PosecError
from ...network.checkpoint_files import read_tensors
from ...runtime.files.plain_files import read_plain, write_plain
from ...runtime.pose import MUPOTS17
from .truth import Truth

DEFAULT = Path(__file__).with_name("errors.safetensors")
BONES, JOINTS, KEYPOINTS = len(MUPOTS17.bones), len(MUPOTS17.names), 12
# Sizes of the parts of an error, in order.
PARTS = {
    "bones": 3 * BONES,
    "poses": 3 * BONES,
    "centre": 2,
    "joints": 2 * JOINTS,
    "log_scale": 1,
    "pulls": KEYPOINTS,
    "score": 1,
}
SIZE = sum(PARTS.values())
CONSTANTS_S = (0.5, 0.1)  # of the two Ornstein-Uhlenbeck processes
# Nodes of the factors: pixels per metre (as log2), and degrees between the front and the camera.
SIZE_NODES = np.log2([40.0, 70.0, 110.0, 170.0])
VIEW_NODES = np.array([0.0, 60.0, 120.0, 180.0])
LONGEST_MISS = 5  # frames
LARGEST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class ErrorModel:
    """Parameters of the errors; SIZE numbers per error.

    Attributes:
        bias: (P, SIZE), from `conditions` of the truth.
        components: (R, SIZE) principal components, scaled to their standard deviation.
        shares: (R, 4) of each component's variance: constant, 0.5 s, 0.1 s, white.
        by_size, by_view: factors at SIZE_NODES and VIEW_NODES.
        track_spread: (2,) standard deviation of the log factor of a track, of its slow and its fast noise.
        fast_level: mean log factor of the fast noise.
        flips, misses, swaps: (2,) starts per second, and mean duration in seconds.
        flipped_keypoints: share of exchanges of front and back that exchange the joints in the picture, too.
    """

    bias: np.ndarray
    components: np.ndarray
    shares: np.ndarray
    by_size: np.ndarray
    by_view: np.ndarray
    track_spread: np.ndarray
    fast_level: np.ndarray
    flips: np.ndarray
    misses: np.ndarray
    swaps: np.ndarray
    flipped_keypoints: np.ndarray


def conditions(truth: Truth) -> np.ndarray:
    """Return what the bias depends on (N, P): bones, their absolute depths, log distance, ray, and 1."""
    bones = truth.bones.reshape(len(truth.bones), -1)
    depths = np.abs(truth.bones[:, 2])
    distance = np.log(truth.focal_px / truth.px_per_m)
    ones = np.ones((len(bones), 1))
    return np.concatenate([bones, depths, distance[:, None], truth.rays[:, :2], ones], axis=1)


def factors(model: ErrorModel, truth: Truth) -> np.ndarray:
    """Return the factors (N,) of the noise by size and view."""
    by_size = np.interp(np.log2(truth.px_per_m), SIZE_NODES, model.by_size)
    result: np.ndarray = by_size * np.interp(facing_deg(truth.bones), VIEW_NODES, model.by_view)
    return result


def facing_deg(bones: np.ndarray) -> np.ndarray:
    """Return the angles (N,) between a torso's front and the direction to the camera, of bones (N, 3, B)."""
    forward = torso_front(bones)
    degrees: np.ndarray = np.degrees(np.arccos(np.clip(-forward[:, 2], -1, 1)))
    return degrees


def torso_front(bones: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, 3) to the front of torsos with bones (N, 3, B)."""
    name = {
        joint: MUPOTS17.bones.index(MUPOTS17.index(joint)) for joint in MUPOTS17.names if joint != "pelvis"
    }
    up = bones[..., name["spine"]] + bones[..., name["neck"]]
    left = bones[..., name["left_shoulder"]] + bones[..., name["left_hip"]]
    left = left - bones[..., name["right_shoulder"]] - bones[..., name["right_hip"]]
    front = np.cross(left, up)
    unit: np.ndarray = front / np.maximum(np.linalg.norm(front, axis=-1, keepdims=True), 1e-6)
    return unit


def draw_noise(model: ErrorModel, seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return noise (T, SIZE) of one track, without its factors by size and view.

    `seconds` (T,) are the time steps.
    """
    frames, rank = len(seconds), len(model.components)
    parts = np.empty((4, frames, rank))
    parts[0] = rng.normal(size=rank)
    for index, constant in enumerate(CONSTANTS_S, 1):
        keep = np.exp(-seconds / constant)
        steps = rng.normal(size=(frames, rank))
        parts[index, 0] = steps[0]
        for frame in range(1, frames):
            fresh = np.sqrt(1 - keep[frame] ** 2) * steps[frame]
            parts[index, frame] = keep[frame] * parts[index, frame - 1] + fresh
    parts[3] = rng.normal(size=(frames, rank))
    difficulty = np.exp(np.clip(rng.normal(), -2, 2) * model.track_spread)
    parts *= np.array([1, 1, *[np.exp(float(model.fast_level))] * 2])[:, None, None]
    parts *= np.repeat(difficulty, 2)[:, None, None]
    noise: np.ndarray = (np.sqrt(model.shares.T)[:, None] * parts).sum(axis=0) @ model.components
    return noise


def draw_spans(starts: np.ndarray, seconds: np.ndarray, rng: np.random.Generator, longest: int) -> np.ndarray:
    """Return (T,) the number of each span, 0 outside; `starts` are starts per second and mean seconds."""
    spans, count = np.zeros(len(seconds), int), 0
    rate, lasting = (float(value) for value in starts)
    frame = 0
    while frame < len(seconds):
        if rng.random() < rate * seconds[frame]:
            count += 1
            length = min(longest, 1 + int(rng.exponential(lasting) / seconds[frame]))
            spans[frame : frame + length] = count
            frame += length
        frame += 1
    return spans


def save_errors(path: Path, model: ErrorModel) -> None:
    """Write a model as safetensors, in float32."""
    names = [field.name for field in fields(model)]
    write_plain(path, save({name: np.array(getattr(model, name), np.float32, order="C") for name in names}))


def load_errors(path: Path = DEFAULT) -> ErrorModel:
    """Read a model. Raises PosecError for a file that holds none."""
    try:
        arrays = read_tensors(read_plain(path, most_bytes=LARGEST_BYTES))
        model = ErrorModel(**{name: values.astype(float) for name, values in arrays.items()})
    except (ValueError, TypeError) as error:
        raise PosecError(f"'{path}' is no error model: {error}; see `posec train errors`") from error
    if model.components.shape[1:] != (SIZE,) or model.bias.shape[1:] != (SIZE,):
        raise PosecError(f"'{path}' is an error model of another skeleton; measure it again")
    return model
