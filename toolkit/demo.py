"""The demo: what a user would type, in order, and what to look at afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

TARGETS = ("intel-cpu", "generic-cpu")
PRECISIONS = ("float32", "int8")
SHOWN = "intel-cpu-int8"


def demo_lines(out: str) -> list[list[str]]:
    """Return the command lines; `out` is emptied of an earlier demo first."""
    folder = Path(out)
    for name in ("results", "clip", "pictures", *(f"{target}-{precision}" for target in TARGETS for precision in PRECISIONS)):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    bundles = [f"{out}/{target}-{precision}" for target in TARGETS for precision in PRECISIONS]
    lines = [["calibrate", "reference", "--frames", "samples", "-o", f"{out}/calibration.json"]]
    for target in TARGETS:
        for precision in PRECISIONS:
            ranges = ["--calibration", f"{out}/calibration.json"] if precision == "int8" else []
            lines.append(
                ["export", "reference", "--target", target, "--precision", precision, *ranges, "-o", f"{out}/{target}-{precision}"]
            )
    lines += [["verify", bundle] for bundle in bundles]
    lines.append(["bench", *bundles, "--checkpoint", "reference", "--seconds", "5", "-o", f"{out}/results"])
    lines.append(["run", f"{out}/{SHOWN}", "--source", "samples", "-o", f"{out}/clip"])
    lines.append(["report", f"{out}/results", "-o", f"{out}/report.html"])
    return lines


def next_steps(out: str) -> str:
    """Return what was written and where to look first."""
    return f"""
Look first at   {out}/report.html             pictures, table, accuracy against latency (opens without a network)
then at         {out}/clip/overlay.mp4        the sample clip with the people drawn in
                {out}/clip/people.jsonl       the same people as one JSON line per picture
bundles         {out}/<target>-<precision>/   copy one to its board, with toolkit/runtime
Now your own:   posec run {out}/{SHOWN} --source 0      (a camera, a video, a folder, a picture)"""
