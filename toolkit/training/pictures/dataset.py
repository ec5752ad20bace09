"""An endless, reproducible stream of composed pictures with their labels in arrays of fixed size."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from ...runtime.pose import PoseSpec
from .compose import Mixture, compose
from .people import BODY_KEYPOINTS, People
from .photos import Photos

MAX_PEOPLE = 16
NO_PERSON, PERSON, IGNORED = 0, 1, 2
# Misfit, in half box sizes, at which a fitted pose counts 1 / e of an exact one.
RESIDUAL_SCALE = 0.05


class ComposedPictures(IterableDataset):
    """Training pictures; the n-th depends on the seed and n alone, so a run can go on where it stopped.

    Yields dicts: `image` (H, W, 3) uint8 in the spec's colour order, and the arrays of `pack`.
    """

    def __init__(
        self, photos: Photos, mixture: Mixture, spec: PoseSpec, *, seed: int = 0, start: int = 0
    ) -> None:
        self.photos, self.mixture, self.spec, self.seed, self.start = photos, mixture, spec, seed, start

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        worker = get_worker_info()
        number, stride = (self.start + worker.id, worker.num_workers) if worker else (self.start, 1)
        if worker:
            torch.set_num_threads(1)
            cv2.setNumThreads(1)
        while True:
            yield self.picture(number)
            number += stride

    def picture(self, number: int) -> dict[str, np.ndarray]:
        """Return the picture of this number."""
        rng = np.random.default_rng([self.seed, number])
        picture, people = compose(self.photos, self.mixture, self.spec.input_size, pad_value=self.spec.pad_value, rng=rng)
        if self.spec.colour_order == "RGB":
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return {"image": np.ascontiguousarray(picture), **pack(people, self.spec.embedding_size)}


def pack(people: People, embedding_size: int) -> dict[str, np.ndarray]:
    """Return the largest MAX_PEOPLE people as arrays of fixed size.

    `status` (16,) says which rows are a PERSON, IGNORED (somebody is there, the pose is unknown) or NO_PERSON; `trust` (16,)
    weights a pose; the others are named as the attributes of People.
    """
    people = people.select(np.argsort(-people.px_per_m, kind="stable")[:MAX_PEOPLE])
    count = len(people)
    rotation = np.tile(np.eye(3, dtype=np.float32), (MAX_PEOPLE, 1, 1))
    shapes = {"centres_px": (2,), "embedding": (embedding_size,), "joints_m": (17, 3), "keypoints_px": (BODY_KEYPOINTS, 2),
              "seen": (BODY_KEYPOINTS,), "exact": ()}  # fmt: skip
    packed = {name: np.zeros((MAX_PEOPLE, *shape), np.float32) for name, shape in shapes.items()}
    packed |= {"rotation": rotation, "px_per_m": np.ones(MAX_PEOPLE, np.float32)}
    for name, array in packed.items() if count else ():  # nobody may have embeddings of another size
        array[:count] = getattr(people, name)
    status, trust = np.full(MAX_PEOPLE, NO_PERSON, np.int64), np.zeros(MAX_PEOPLE, np.float32)
    status[:count] = np.where(people.usable, PERSON, IGNORED)
    # The misfit of an exact pose is that of the reference skeleton's proportions, no reason for doubt.
    trust[:count] = np.where(people.exact, 1.0, np.exp(-people.residual / RESIDUAL_SCALE))
    return {**packed, "status": status, "trust": trust}
