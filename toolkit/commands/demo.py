"""demo: the whole pipeline on the shipped network and pictures."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from . import EXIT_OK, EXIT_REFUSED
from .arguments import Verb, argument
from .outputs import FolderOut
from .terminal import put, say

VERB = Verb(
    "Run the whole pipeline on the shipped network and pictures, with the commands that a user types.",
    "posec demo --out out",
    [
        argument(
            "--out",
            type=FolderOut,
            default="out",
            help="folder to write; an earlier demo in it is replaced, nothing else (default: out)",
        )
    ],
)

SAMPLES = Path(__file__).parents[1] / "samples"
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


def run(args: argparse.Namespace) -> int:
    """Run the commands of the demo, and print the files to look at."""
    from ..cli import main
    from .demo_folder import claimed, gather, note_files

    started = time.monotonic()
    with claimed(args.out):
        for line in demo_lines(args.out):
            say(f"\n[{time.monotonic() - started:3.0f} s] $ posec {shlex.join(line)}")
            status = main(line)
            note_files(args.out)
            if status == EXIT_REFUSED:
                return status
        gather(args.out)
        note_files(args.out)
    say(f"\ndone in {time.monotonic() - started:.0f} s")
    put(next_steps(args.out))
    return EXIT_OK


def demo_lines(out: str) -> list[list[str]]:
    """Return the command lines; `--overwrite` replaces bundles and recordings of an interrupted demo."""
    ranges = f"{out}/calibration.json"
    calibrate = ["calibrate", "reference", "--frames", "samples", "--evaluation", "samples"]
    lines = [[*calibrate, "--observer", OBSERVER, "-o", ranges]]
    for target in TARGETS:
        for precision in PRECISIONS:
            export = ["export", "reference", "--target", target, "--precision", precision]
            export += ["-o", f"{out}/{target}-{precision}", "--overwrite"]
            if precision == "int8":
                export += ["--calibration", ranges, "--keep-float", *KEEP_FLOAT]
            lines.append(export)
    bundles = [f"{out}/{name}" for name in BUNDLES]
    lines += [["verify", bundle] for bundle in bundles]
    lines.append(["bench", *bundles, "--checkpoint", "reference", "--seconds", "3", "-o", f"{out}/results"])
    for source, folder in ((CLIP, "found-clip"), (SCENE, "found-picture")):
        find = ["run", f"{out}/{SHOWN}", "--source", str(source)]
        lines.append([*find, "-o", f"{out}/{folder}", "--overwrite"])
    lines.append(["report", f"{out}/results", "-o", f"{out}/report.html"])
    return lines


def next_steps(out: str) -> str:
    """Return the files to look at."""
    return f"""
Look first at   {out}/report.html        pictures, table, accuracy against latency (opens without a network)
then at         {out}/clip.mkv           the sample clip with the people drawn in
                {out}/picture.jpg        a sample picture with the people drawn in
                {out}/people.jsonl       the people of the clip, one JSON line per picture
                {out}/results/           the measurements, one file per bundle
bundles         {"  ".join(f"{out}/{name}/" for name in BUNDLES)}
Now your own:   posec run {out}/{SHOWN} --source 0      (a camera, a video, a folder, a picture)"""
