"""An endless, reproducible stream of composed pictures with labels in arrays of fixed size."""

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
# Residual, in half box sizes, at which a fitted pose has weight 1 / e of an exact one.
RESIDUAL_SCALE = 0.05


class ComposedPictures(IterableDataset):
    """Training pictures; the n-th depends only on the seed and n, so a run can be resumed.

    Yields dicts: `image` (H, W, 3) uint8 in the colour order of the spec, and the arrays of `pack`.
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
        """Return the picture with this number."""
        rng = np.random.default_rng([self.seed, number])
        picture, people = compose(
            self.photos, self.mixture, self.spec.input_size, pad_value=self.spec.pad_value, rng=rng
        )
        if self.spec.colour_order == "RGB":
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return {"image": np.ascontiguousarray(picture), **pack(people, self.spec.embedding_size)}


def pack(people: People, embedding_size: int) -> dict[str, np.ndarray]:
    """Return the MAX_PEOPLE largest people as arrays of fixed size.

    `status` (16,) is PERSON, IGNORED (a person with unknown pose) or NO_PERSON. `trust` (16,) is the weight
    of a pose. All other arrays are attributes of People.
    """
    people = people.select(np.argsort(-people.px_per_m, kind="stable")[:MAX_PEOPLE])
    count = len(people)
    rotation = np.tile(np.eye(3, dtype=np.float32), (MAX_PEOPLE, 1, 1))
    shapes: dict[str, tuple[int, ...]] = {
        "centres_px": (2,),
        "embedding": (embedding_size,),
        "joints_m": (17, 3),
        "keypoints_px": (BODY_KEYPOINTS, 2),
        "visible": (BODY_KEYPOINTS,),
        "exact": (),
    }
    packed = {name: np.zeros((MAX_PEOPLE, *shape), np.float32) for name, shape in shapes.items()}
    packed |= {"rotation": rotation, "px_per_m": np.ones(MAX_PEOPLE, np.float32)}
    for name, array in packed.items() if count else ():  # no people: their embeddings may have another size
        array[:count] = getattr(people, name)
    status, trust = np.full(MAX_PEOPLE, NO_PERSON, np.int64), np.zeros(MAX_PEOPLE, np.float32)
    status[:count] = np.where(people.usable, PERSON, IGNORED)
    # The residual of an exact pose comes from the proportions of the reference skeleton, so its weight stays
    # 1.
    trust[:count] = np.where(people.exact, 1.0, np.exp(-people.residual / RESIDUAL_SCALE))
    return {**packed, "status": status, "trust": trust}
