"""What every command of `posec` takes: an example and its arguments, as data."""

from __future__ import annotations

import argparse
from typing import Any

# Stage of the training: the module that has its main().
STAGES = {"embedding": "train_embedding", "lifter": "train_lifter", "bodies": "render_bodies", "labels": "label_people",
          "network": "train_network", "samples": "render_samples", "scenes": "render_scenes"}  # fmt: skip


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, such as 1280x720; got '{text}'")
    return int(height), int(width)


# Arguments that several commands share: flags, and what argparse is told.
CHECKPOINT = (["checkpoint"], {"help": "'reference', or the folder of a checkpoint"})
BUNDLE = (["bundle"], {"help": "a folder that `posec export` wrote"})
TARGET = (["--target"], {"required": True, "help": "a board of `posec targets`, or a .toml file"})
PRECISION = (["--precision"], {"default": "float32", "help": "float32, float16 or int8 (default: float32)"})
OUT = (["-o", "--out"], {"required": True, "help": "what to write"})
COUNT = (["--count"], {"type": int, "help": "take so many frames (default: all)"})
THREADS = (["--threads"], {"type": int, "help": "of the engine (default: the bundle's)"})
JSON = (["--json"], {"action": "store_true", "help": "print JSON"})
OVERWRITE = (["--overwrite"], {"action": "store_true", "help": "replace what is there"})
CALIBRATION = (["--calibration"], {"help": "ranges that `posec calibrate` wrote; needed for int8"})

# Command: (example, arguments).
COMMANDS: dict[str, tuple[str, list[Any]]] = {
    "targets": ("posec targets --json", [JSON]),
    "plan": ("posec plan reference --target intel-cpu --precision int8", [CHECKPOINT, TARGET, PRECISION, CALIBRATION, JSON]),
    "calibrate": ("posec calibrate reference --frames photos/ --count 256 -o calibration.json",
        [CHECKPOINT, (["--frames"], {"required": True, "help": "a folder of pictures, a video, or 'samples'"}), COUNT,
         (["--seed"], {"type": int, "default": 0, "help": "of the choice of frames (default: 0)"}),
         (["--observer"], {"default": "min-max", "help": "how ranges are taken (default: min-max)"}), OUT, JSON],
    ),
    "export": ("posec export reference --target intel-cpu --precision int8 --calibration calibration.json -o intel/",
        [CHECKPOINT, TARGET, PRECISION, CALIBRATION,
         (["--keep-float"], {"nargs": "+", "default": [], "metavar": "LAYER", "help": "layers that int8 is to leave alone"}), OUT, OVERWRITE, JSON],
    ),
    "verify": ("posec verify intel/ --checkpoint reference --frames photos/",
        [BUNDLE, (["--frames"], {"help": "a folder, a video, or 'samples' (default: the bundle's golden pictures)"}),
         (["--checkpoint"], {"default": "reference", "help": "that the bundle was exported from; for --frames (default: reference)"}), COUNT, THREADS, JSON],
    ),
    "run": ("posec run intel/ --source street.mp4 -o found/",
        [BUNDLE, (["--source"], {"required": True, "help": "picture, folder, video, camera number, GStreamer pipeline, 'picamera2' or 'samples'"}),
         (["-o", "--out"], {"help": "folder for people.jsonl and overlays (default: none)"}),
         (["--focal-px"], {"type": float, "help": "focal length of the camera in pixels of its pictures (default: stated in the spec)"}),
         (["--most"], {"type": int, "help": "stop after so many pictures"}),
         (["--no-overlay"], {"action": "store_true", "help": "write no pictures"}),
         (["--no-inset"], {"action": "store_true", "help": "draw no view from above and from the side"}), THREADS, OVERWRITE,
         (["--json"], {"action": "store_true", "help": "print one JSON line per picture"})],
    ),
    "explain": ("posec explain intel/ --source picture.jpg",
        [BUNDLE, (["--source"], {"required": True, "help": "a picture, or what `run` takes"}), (["--focal-px"], {"type": float, "help": "see `run`"}), THREADS],
    ),
    "evaluate": ("posec evaluate reference --scenes samples",
        [(["network"], {"help": "'reference', the folder of a checkpoint, or of a bundle"}),
         (["--scenes"], {"default": "samples", "help": "scenes.json of rendered scenes with exact 3D (default: the shipped ones)"}),
         (["--photos"], {"nargs": 2, "metavar": ("JSON", "PICTURES"), "help": "COCO key points instead, and the folder or tar of their pictures"}),
         THREADS, JSON],
    ),
    "bench": ("posec bench intel-float32/ intel-int8/ -o results/",
        [(["bundle"], {"nargs": "+", "help": "folders that `posec export` wrote"}), (["-o", "--out"], {"help": "folder for one result file per bundle"}),
         (["--source"], {"help": "a picture, a folder, or 'samples' (default: the golden pictures)"}),
         (["--size"], {"type": _size, "default": (720, 1280), "metavar": "WIDTHxHEIGHT", "help": "of the pictures shown (default: 1280x720)"}),
         (["--seconds"], {"type": float, "default": 10.0, "help": "per bundle (default: 10)"}),
         (["--sustained"], {"type": float, "default": 0.0, "metavar": "SECONDS", "help": "then work so long without a pause (default: 0)"}),
         (["--again"], {"metavar": "RESULT", "help": "measure as this result file says, and say whether it still holds"}),
         (["--checkpoint"], {"help": "also compare with this float network on the sample scenes, and name the head to blame"}),
         (["--no-accuracy"], {"action": "store_true", "help": "measure time and drift alone"}), THREADS, JSON],
    ),
    "report": ("posec report results/ -o report.html",
        [(["results"], {"help": "the folder or file that `posec bench` wrote"}), OUT, JSON],
    ),
    "train": ("posec train embedding --mocap mocap/ --out embedding.safetensors",
        [(["stage"], {"choices": list(STAGES), "help": "see docs/training.md"}),
         (["rest"], {"nargs": argparse.REMAINDER, "help": "options of the stage; --help lists them"})],
    ),
    "demo": ("posec demo --out out", [(["--out"], {"default": "out", "help": "folder to write, replaced (default: out)"})]),
}  # fmt: skip
