"""convert: a recording as BVH or CSV, for animation programs and spreadsheets."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PosecError
from ..runtime.files.plain_files import write_whole
from . import EXIT_OK
from .interface.arguments import FILE_OUT, Verb, argument
from .interface.terminal import say, write_text

if TYPE_CHECKING:
    from ..convert.recording import RecordedPicture
    from ..runtime.pose import Skeleton

SUFFIXES = (".bvh", ".csv")
MOST_FILES = 100

VERB = Verb(
    "Convert a recording to BVH, one file per person, or to CSV, one row per joint.",
    "posec convert found/people.jsonl -o take.bvh",
    [
        argument("recording", help="a people.jsonl of `posec run`"),
        FILE_OUT,
        argument("--person", type=int, help="number of the one person to convert (default: all)"),
        argument(
            "--rate", type=float, help="frames per second of BVH (default: the median of the recording)"
        ),
        argument(
            "--bundle", help="bundle that recorded it, for a skeleton other than the reference network's"
        ),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Write the file or files."""
    from ..convert.recording import choose_skeleton, read_recording

    out = Path(args.out)
    if out.exists() and os.path.realpath(out) == os.path.realpath(args.recording):
        raise PosecError(f"'{out}' is the recording itself; give another name")
    if out.suffix.lower() not in SUFFIXES:
        raise PosecError(f"'{out}' must end in .bvh or .csv, which is the format to write")
    if args.rate is not None and not 0.1 <= args.rate <= 1000:
        raise PosecError(f"--rate must be 0.1 to 1000 frames per second, got {args.rate:g}")
    skeleton = choose_skeleton(args.bundle)
    pictures = read_recording(args.recording, skeleton)
    write = _write_csv if out.suffix.lower() == ".csv" else _write_bvh
    write(args, out, pictures, skeleton)
    return EXIT_OK


def _write_csv(
    args: argparse.Namespace, out: Path, pictures: Iterator[RecordedPicture], skeleton: Skeleton
) -> None:
    from ..convert.csv_rows import write_csv

    with write_whole(out) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        rows = write_csv(text, pictures, skeleton, args.person)
        text.detach()
    say(f"wrote {out}: {rows} rows")


def _write_bvh(
    args: argparse.Namespace, out: Path, pictures: Iterator[RecordedPicture], skeleton: Skeleton
) -> None:
    from ..convert.bvh import bvh_text
    from ..convert.takes import at_times, constant_rate, read_takes

    seconds, takes = read_takes(pictures, args.person)
    times, hz = constant_rate(seconds, args.rate)
    if len(takes) > MOST_FILES:
        numbers = ", ".join(str(take.number) for take in takes[:5])
        raise PosecError(
            f"the recording has {len(takes)} people, more than {MOST_FILES} files; choose one with "
            f"--person ({numbers}, …)"
        )
    for take in takes:
        path = out if len(takes) == 1 else out.with_name(f"{out.stem}-{take.number}{out.suffix}")
        write_text(path, bvh_text(at_times(take, times), skeleton, hz))
        say(
            f"wrote {path}: person {take.number}, {len(times)} frames at {hz:.2f} Hz, seen from "
            f"{take.seconds[0] - seconds[0]:.2f} s to {take.seconds[-1] - seconds[0]:.2f} s"
        )
