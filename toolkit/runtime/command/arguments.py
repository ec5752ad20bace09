"""The arguments of `posec run` and `python -m toolkit.runtime`: flags and options of argparse.

The module imports neither numpy nor cv2.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, Tuple

from ..console import put, say
from .amounts import rotation, size

# Exit statuses of a run that ends by itself; 1 is a limit exceeded, 2 a request refused.
EXIT_CAMERA_GONE, EXIT_OUTPUT_FAILED, EXIT_ENGINE_FAILED = 3, 4, 5
# Seconds to wait for a camera that stopped sending, and for the first picture of a pipe.
RETRY_S = 60.0
# Filters over time of people without a temporal stage.
SMOOTHING = ("one-euro", "exponential", "none")
SOURCES = (
    "a picture, a folder, a video, a pipe, '-', a camera's number, /dev/video0, a GStreamer pipeline, "
    "rtsp://, http:// or picamera2"
)


def count(text: str) -> int:
    """Return a whole number from 1. Raises argparse.ArgumentTypeError for other text."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"a number from 1 is needed, got '{text}'")
    return int(text)


def score(text: str) -> float:
    """Return a number between 0 and 1. Raises argparse.ArgumentTypeError for other text."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"a score between 0 and 1 is needed, got '{text}'")
    return value


THREADS = (["--threads"], {"type": count, "help": "threads of the engine (default: as the bundle states)"})
THRESHOLD = (
    ["--threshold"],
    {
        "type": score,
        "help": "score that a person must exceed, 0..1: higher finds fewer people and invents fewer "
        "(default: as the spec states)",
    },
)
NO_REFINE = (
    ["--no-refine"],
    {"action": "store_true", "help": "skip the fit of poses to key points: faster, less accurate"},
)
OVER_TIME: Tuple[Any, ...] = (
    (
        ["--smooth"],
        {
            "choices": SMOOTHING,
            "help": "smooth the people of videos and cameras with this filter, "
            "in place of the bundle's temporal stage",
        },
    ),
    (
        ["--no-temporal"],
        {"action": "store_true", "help": "leave out the bundle's temporal stage: no correction over time"},
    ),
    (
        ["--lookahead"],
        {
            "type": int,
            "default": 0,
            "metavar": "PICTURES",
            "help": "pictures that the temporal stage waits for: better poses, later (default: 0)",
        },
    ),
)
CAMERA: Tuple[Any, ...] = (
    (
        ["--focal-px"],
        {
            "type": float,
            "help": "focal length of the camera in pixels of its pictures "
            "(default: stated in the spec; the shipped network's is 0.8 of the longer side, a field of view "
            "of 64 degrees)",
        },
    ),
    (
        ["--fov"],
        {
            "type": float,
            "metavar": "DEGREES",
            "help": "field of view of the camera across the longer side of its pictures, "
            "in place of --focal-px",
        },
    ),
    (
        ["--intrinsics"],
        {
            "metavar": "FILE",
            "help": "calibration of the camera, in place of --focal-px: .yaml or .json of OpenCV or ROS, "
            "or with fx, fy, cx, cy, k1, ...",
        },
    ),
)
ARGUMENTS: Tuple[Any, ...] = (
    (["-o", "--out"], {"help": "folder for people.jsonl and overlays (default: none)"}),
    *CAMERA,
    (["--most"], {"type": count, "help": "stop after so many pictures"}),
    (
        ["--every"],
        {"type": count, "default": 1, "metavar": "N", "help": "use one of N pictures (default: 1)"},
    ),
    (
        ["--rotate"],
        {
            "type": rotation,
            "metavar": "LIMIT",
            "help": "begin new files at a size or an age, such as 100MB or 1h, and continue an earlier "
            "recording in the folder",
        },
    ),
    (
        ["--max-disk"],
        {
            "type": size,
            "metavar": "SIZE",
            "help": "with --rotate: remove the oldest files when all take more, such as 2GB",
        },
    ),
    (
        ["--fsync"],
        {"action": "store_true", "help": "flush every line to the disk (default: every 5 seconds)"},
    ),
    (["--no-overlay"], {"action": "store_true", "help": "write no pictures"}),
    THRESHOLD,
    NO_REFINE,
    *OVER_TIME,
    (
        ["--beside"],
        {
            "action": "store_true",
            "help": "draw the people of each picture alone, too, on the left",
        },
    ),
    (["--no-inset"], {"action": "store_true", "help": "draw no view from above and from the side"}),
    (
        ["--no-overlap"],
        {"action": "store_true", "help": "read, infer and draw one after the other, for measurements"},
    ),
    (
        ["--retry"],
        {
            "type": float,
            "default": RETRY_S,
            "metavar": "SECONDS",
            "help": "give up so long after a camera went away, "
            f"with exit status {EXIT_CAMERA_GONE}, or if a pipe sends no picture (default: {RETRY_S:g})",
        },
    ),
    (
        ["--fuse"],
        {
            "metavar": "POSES",
            "help": "merge the people of several sources in the frame of the first; a file of `posec locate` "
            "with the cameras' poses, in the order of --source",
        },
    ),
    THREADS,
    (
        ["--require-signature"],
        {
            "metavar": "KEY",
            "help": "refuse a bundle that the owner of this public key did not sign; keep the key where a "
            "bundle's maker cannot write",
        },
    ),
    (
        ["--overwrite"],
        {
            "action": "store_true",
            "help": "replace an earlier recording in the folder; anything else is never replaced",
        },
    ),
    (
        ["--web"],
        {
            "metavar": "[HOST:]PORT",
            "help": "serve a page with the live picture, people in 3D and times; on this machine alone, or "
            "on an address such as 0.0.0.0:8000 with a key in the link",
        },
    ),
    (["--show"], {"action": "store_true", "help": "show the picture in a window; q or Esc ends the run"}),
    (["--json"], {"action": "store_true", "help": "print one JSON line per picture"}),
    (
        ["--udp"],
        {"metavar": "HOST:PORT", "help": "send the JSON lines as UDP datagrams, without waiting"},
    ),
    (
        ["--unix"],
        {
            "metavar": "PATH",
            "help": "listen on a Unix socket and send the JSON lines to every program that connects; "
            "slow ones miss lines",
        },
    ),
)


class Parser(argparse.ArgumentParser):
    """An argument parser with printable messages; it exits with status 2 where help cannot be printed."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if not message:
            return
        if file is not sys.stdout:
            say(message.rstrip("\n"))
            return
        try:
            put(message.rstrip("\n"))
        except OSError as error:
            say(f"{self.prog}: {error.strerror or error}")
            raise SystemExit(2) from error
