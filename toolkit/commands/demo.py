"""demo: the whole pipeline on the shipped network and pictures."""

from __future__ import annotations

import argparse
import shlex
import time

from . import EXIT_OK, EXIT_REFUSED
from .demonstration.files import BUNDLES, CLIP, KEEP_FLOAT, OBSERVER, PRECISIONS, SCENE, SHOWN, TARGETS
from .interface.arguments import Verb, argument
from .interface.command_line import main
from .interface.outputs import FolderOut
from .interface.terminal import put, say

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


def run(args: argparse.Namespace) -> int:
    """Run the commands of the demo, and print the files to look at."""
    from .demonstration.folder import claimed, gather, note_files

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
