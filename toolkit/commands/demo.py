"""The demo: what a user would type, in order, and what to look at afterwards."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

SCENE = Path(__file__).parents[1] / "samples" / "scenes" / "035.jpg"
TARGETS = ("intel-cpu", "generic-cpu")
PRECISIONS = ("float32", "int8")
SHOWN = "intel-cpu-int8"
# What keeps the allowance on the shipped scenes: the pyramid, and what is read from it; on photographs see docs/quantization.md.
OBSERVER = "percentile"
KEEP_FLOAT = ("backbone.levels.*", "keypoint_head.*")
BUNDLES = tuple(f"{target}-{precision}" for target in TARGETS for precision in PRECISIONS)
# Where `posec run` writes it: what it is called straight in the demo's folder.
GATHERED = {
    "found-clip/overlay.mp4": "clip.mp4",
    "found-clip/people.jsonl": "people.jsonl",
    f"found-picture/{SCENE.name}": "picture.jpg",
}
FOLDERS = ("results", *BUNDLES, *dict.fromkeys(name.partition("/")[0] for name in GATHERED))


def clear(out: str) -> None:
    """Make the folder, and empty it of an earlier demo; what else is there stays."""
    for name in FOLDERS:
        shutil.rmtree(Path(out) / name, ignore_errors=True)
    for name in ("calibration.json", "report.html", *GATHERED.values()):
        (Path(out) / name).unlink(missing_ok=True)
    Path(out).mkdir(parents=True, exist_ok=True)


def demo_lines(out: str) -> list[list[str]]:
    """Return the command lines."""
    bundles = [f"{out}/{name}" for name in BUNDLES]
    calibration = f"{out}/calibration.json"
    lines = [
        [
            "calibrate",
            "reference",
            "--frames",
            "samples",
            "--evaluation",
            "samples",
            "--observer",
            OBSERVER,
            "-o",
            calibration,
        ]
    ]
    for target in TARGETS:
        for precision in PRECISIONS:
            integers = (
                ["--calibration", calibration, "--keep-float", *KEEP_FLOAT] if precision == "int8" else []
            )
            lines.append(
                [
                    "export",
                    "reference",
                    "--target",
                    target,
                    "--precision",
                    precision,
                    "-o",
                    f"{out}/{target}-{precision}",
                    *integers,
                ]
            )
    lines += [["verify", bundle] for bundle in bundles]
    lines.append(["bench", *bundles, "--checkpoint", "reference", "--seconds", "3", "-o", f"{out}/results"])
    lines.append(["run", f"{out}/{SHOWN}", "--source", "samples", "-o", f"{out}/found-clip"])
    lines.append(["run", f"{out}/{SHOWN}", "--source", str(SCENE), "-o", f"{out}/found-picture"])
    lines.append(["report", f"{out}/results", "-o", f"{out}/report.html"])
    return lines


def gather(out: str) -> None:
    """Move what `posec run` found straight into the demo's folder."""
    for source, name in GATHERED.items():
        os.replace(Path(out) / source, Path(out) / name)
    for folder in dict.fromkeys(source.partition("/")[0] for source in GATHERED):
        shutil.rmtree(Path(out) / folder)


def next_steps(out: str) -> str:
    """Return what was written and where to look first."""
    return f"""
Look first at   {out}/report.html        pictures, table, accuracy against latency (opens without a network)
then at         {out}/clip.mp4           the sample clip with the people drawn in
                {out}/picture.jpg        a sample picture, likewise
                {out}/people.jsonl       the people of the clip, one JSON line per picture
                {out}/results/           what was measured, one file per bundle
bundles         {"  ".join(f"{out}/{name}/" for name in BUNDLES)}
Now your own:   posec run {out}/{SHOWN} --source 0      (a camera, a video, a folder, a picture)"""
