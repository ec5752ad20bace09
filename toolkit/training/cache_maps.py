"""PoseNet's maps of composed pictures, made once: the real part of what the map network learns from."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import PosecError
from ..network.maps import MAP_STRIDE, MAPS
from ..network.pose_network import reference_spec
from .anchor import PoseNetAnchor
from .compose import Mixture
from .dataset import ComposedPictures
from .photos import load_photos
from .posenet import load_trunk

MAPS_FILE, LABELS_FILE = "raw.npy", "labels.npz"
BATCH = 8
REPORT_EVERY = 400


class MapCache:
    """PoseNet's outputs (N, 115, h, w), float16, on disk, and the packed labels of their pictures.

    Raises PosecError where the folder lacks either, or they do not fit.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.maps = np.load(folder / MAPS_FILE, mmap_mode="r", allow_pickle=False)
            with np.load(folder / LABELS_FILE, allow_pickle=False) as stored:
                self.labels = {name: torch.from_numpy(stored[name]) for name in stored.files}
        except (OSError, ValueError) as error:
            raise PosecError(f"no cached maps in '{folder}': {error}; write them with toolkit.training.cache_maps") from error
        self.count = min(len(self.maps), min((len(part) for part in self.labels.values()), default=0))
        if self.maps.ndim != 4 or self.maps.shape[1] != MAPS or not self.count:
            raise PosecError(f"'{folder}' holds maps {self.maps.shape} with {self.count} labels, needed: (N, {MAPS}, h, w)")

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the outputs (count, 115, h, w) float32 and the labels of random pictures."""
        chosen = torch.randint(self.count, (count,), generator=generator, device=generator.device).cpu()
        maps = torch.from_numpy(self.maps[chosen.numpy()].astype(np.float32))
        return maps.to(generator.device), {name: part[chosen].to(generator.device) for name, part in self.labels.items()}


@torch.no_grad()
def cache_maps(pictures: ComposedPictures, posenet: Path, out: Path, count: int) -> None:
    """Compose `count` pictures (rounded up to whole batches) and write PoseNet's outputs on them, and their labels, to a folder."""
    anchor, trunk, spec = PoseNetAnchor(posenet), load_trunk(posenet).eval(), pictures.spec
    out.mkdir(parents=True, exist_ok=True)
    count = -(-count // BATCH) * BATCH
    shape = (count, MAPS, *(side // MAP_STRIDE for side in spec.input_size))
    stored = np.lib.format.open_memmap(out / MAPS_FILE, mode="w+", dtype=np.float16, shape=shape)
    labels: dict[str, list[np.ndarray]] = {}
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    for start in range(0, count, BATCH):
        batch = [pictures.picture(number) for number in range(start, start + BATCH)]
        images = torch.from_numpy(np.stack([picture.pop("image") for picture in batch])).permute(0, 3, 1, 2).float()
        _, deep = trunk(((images - mean) / std).contiguous(memory_format=torch.channels_last))
        stored[start : start + BATCH] = anchor.outputs(deep).numpy().astype(np.float16)
        for name in batch[0]:
            labels.setdefault(name, []).append(np.stack([picture[name] for picture in batch]))
        if (start + BATCH) % REPORT_EVERY == 0 or start + BATCH == count:
            stored.flush()
            beside = out / (LABELS_FILE + ".part")
            with beside.open("wb") as target:
                np.savez(target, allow_pickle=False, **{name: np.concatenate(parts) for name, parts in labels.items()})
            os.replace(beside, out / LABELS_FILE)
            print(f"{start + BATCH} of {count}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `cache_maps` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train cache-maps",
        description="Write PoseNet's maps of composed pictures.",
        epilog="example: posec train cache-maps --data data/ --labels labels/ --bodies bodies/ --trunk posenet.tflite --out cache/ --count 6000",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--labels", type=Path, required=True, help="folder of label files")
    parser.add_argument("--bodies", type=Path, help="folder of rendered bodies")
    parser.add_argument("--trunk", type=Path, required=True, help="PoseNet as .tflite")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--tier", default="ship")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    mixture = Mixture(mosaic=0.25, scene=0.2, pasted=0.5, empty=0.05, scene_tile=0.3, small=1.0, stature_px=(30.0, 600.0))
    photos = load_photos(options.data, options.labels, options.tier, options.bodies)
    cache_maps(ComposedPictures(photos, mixture, reference_spec(), options.seed), options.trunk, options.out, options.count)


if __name__ == "__main__":
    main()
