"""Inputs, bundles and files of the demo, as data."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "samples"
SCENE, CLIP = SAMPLES / "scenes" / "035.jpg", SAMPLES / "clip.mp4"
TARGETS = ("intel-cpu", "generic-cpu")
PRECISIONS = ("float32", "int8")
SHOWN = "intel-cpu-int8"
# Float layers that keep int8 within the drift limits on the shipped scenes; for photographs see docs/int8.md.
OBSERVER = "percentile"
KEEP_FLOAT = ("backbone.levels.*", "keypoint_head.*")
BUNDLES = tuple(f"{target}-{precision}" for target in TARGETS for precision in PRECISIONS)
# File of `posec run` → its name in the demo's folder.
GATHERED = {
    "found-clip/overlay.mkv": "clip.mkv",
    "found-clip/people.jsonl": "people.jsonl",
    f"found-picture/{SCENE.name}": "picture.jpg",
}
