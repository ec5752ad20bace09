"""Decoding time by number of people, heads to PoseFrame, without the network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...runtime.decoding.decode import MOST_PEOPLE, DecodeOptions, decode_heads
from ...runtime.decoding.kinematics import Layers
from ...runtime.decoding.refine import REFINEMENT
from ...runtime.pose import PoseSpec
from ...runtime.preprocess import place

PEOPLE = (0, 1, 2, 5, 10, 20, 50)
LEAST = 5
COLD = 2  # calls that find cold caches
SPACING = 2  # cells between centres: neighbours are no peaks
FAR = 2.0  # depth head: bodies so small that neighbours are no duplicates of each other


def crowd_heads(spec: PoseSpec, people: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return heads, name → (C, h, w) float32, that decode to `people` people of random poses; ValueError where so many have no room."""
    random, (rows, columns) = np.random.default_rng(seed), spec.map_size
    places = [(row, column) for row in range(0, rows, SPACING) for column in range(0, columns, SPACING)]
    if people > len(places):
        raise ValueError(f"{rows} x {columns} cells have room for {len(places)} people, not for {people}")
    heads = {
        name: random.uniform(-1, 1, spec.head_shape(name)).astype(np.float32) for name in spec.head_names
    }
    for name in set(heads) & {"keypoints", "keypoint_offset"}:
        heads[name] *= 0
    heads["offset"] *= 0.4
    heads["depth"][:] = FAR
    heads["centre"] = random.uniform(0, 0.9 * spec.centre_threshold, (1, rows, columns)).astype(np.float32)
    for row, column in (places[index] for index in random.permutation(len(places))[:people]):
        heads["centre"][0, row, column] = random.uniform(0.5, 1)
        if spec.keypoints:  # each with all key points within reach
            cell = (np.array([row, column]) * spec.stride) // spec.keypoints.stride
            heads["keypoints"][:, cell[0], cell[1]] = random.uniform(0.5, 1, len(spec.keypoints.joints))
    return heads


def decode_cost(
    spec: PoseSpec,
    decoder: Layers,
    *,
    people: Sequence[int] = PEOPLE,
    repeats: int = 200,
    seconds: float = 0.3,
) -> list[dict[str, Any]]:
    """Return rows with `people`, `p50_us`, `p90_us`, and `unfitted_p50_us`, without the fit to key points.

    Counts that do not fit into the maps are left out. Each row is of `repeats` calls, or as many as fit into so many
    seconds, at least five. Calls with and without the fit take turns.
    """
    box = place(*spec.input_size, spec)[0]
    room = ((spec.map_size[0] + 1) // SPACING) * ((spec.map_size[1] + 1) // SPACING)
    rows = []
    for count in (number for number in people if number <= room):
        heads = crowd_heads(spec, count)
        fitted: list[float] = []
        unfitted: list[float] = []
        most = max(MOST_PEOPLE, count)
        while len(fitted) < LEAST + COLD or (len(fitted) < repeats + COLD and sum(fitted) < 1e6 * seconds):
            for refinement, took in ((None, unfitted), (REFINEMENT, fitted)):
                options = DecodeOptions(most=most, refinement=refinement)
                start = time.perf_counter()
                found = decode_heads(heads, spec, decoder, letterbox=box, options=options)
                took.append(1e6 * (time.perf_counter() - start))
        p50, p90 = (round(float(value), 1) for value in np.percentile(fitted[COLD:], (50, 90)))
        plain = round(float(np.median(unfitted[COLD:])), 1)
        rows.append({"people": len(found), "p50_us": p50, "p90_us": p90, "unfitted_p50_us": plain})
    return rows
