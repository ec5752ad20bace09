"""What every command of `posec` is and takes: a sentence, an example, its arguments, as data."""

from __future__ import annotations

import argparse
from typing import Any

from ..runtime.arguments import ARGUMENTS, CAMERA, NO_REFINE, SOURCES, THREADS, THRESHOLD
from .outputs import FileOut, FolderOut, OwnFolderOut

# Stage of the training: the module that has its main().
STAGES = {"embedding": ".training.embedding.train_embedding", "lifter": ".training.labels.train_lifter", "bodies": ".training.render.render_bodies",
          "teacher": ".training.labels.label_pictures", "annotations": ".training.labels.annotations", "labels": ".training.labels.label_people", "network": ".training.learning.train_network",
          "lift": ".training.learning.pretrain_lift", "equalize": ".training.int8.equalize", "grid": ".training.int8.snap_weights", "ship": ".training.release.export_checkpoint",
          "card": ".training.release.model_card", "sheet": ".training.release.contact_sheet", "samples": ".training.scenes.render_samples",
          "scenes": ".training.scenes.render_scenes", "quantized": ".commands.train_quantized"}  # fmt: skip


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, such as 1280x720; got '{text}'")
    return int(height), int(width)


# Arguments that several commands share: flags, and what argparse is told.
CHECKPOINT = (
    ["checkpoint"],
    {"help": "'reference' or the folder of a checkpoint; @HEIGHTxWIDTH behind it sets the size of the input"},
)
BUNDLE = (["bundle"], {"help": "a folder that `posec export` wrote"})
TARGET = (["--target"], {"required": True, "help": "a board of `posec targets`, or a .toml file"})
PRECISION = (["--precision"], {"help": "float32, float16 or int8 (default: the first that the target lists)"})
FILE_OUT = (["-o", "--out"], {"required": True, "type": FileOut, "help": "file to write"})
FOLDER_OUT = (["-o", "--out"], {"required": True, "type": OwnFolderOut, "help": "folder to write"})
COUNT = (["--count"], {"type": int, "help": "take so many frames (default: all)"})
JSON = (["--json"], {"action": "store_true", "help": "print JSON"})
SEED = (["--seed"], {"type": int, "default": 0, "help": "of the choice of frames (default: 0)"})
KEEP_FLOAT = (
    ["--keep-float"],
    {
        "nargs": "+",
        "default": [],
        "metavar": "LAYER",
        "help": "layers that int8 is to leave alone, as `posec blame` names them; 'backbone.levels.*' stands for all that begin so",
    },
)
OVERWRITE = (["--overwrite"], {"action": "store_true", "help": "replace what is there"})
CALIBRATION = (["--calibration"], {"help": "ranges that `posec calibrate` wrote; needed for int8"})

# Command: (what it does, an example, its arguments).
COMMANDS: dict[str, tuple[str, str, list[Any]]] = {
    "targets": ("List the boards: back end, precisions, what is missing here.", "posec targets --json", [JSON]),
    "plan": ("Say what an export would do, and do nothing.",
        "posec plan reference --target jetson-orin-nano", [CHECKPOINT, TARGET, PRECISION, CALIBRATION, KEEP_FLOAT, JSON]),
    "calibrate": ("Look calibration frames over, and collect the ranges of every tensor of the float network on them.",
        "posec calibrate reference --frames photos/ --count 256 -o calibration.json",
        [CHECKPOINT, (["--frames"], {"required": True, "help": "a folder of pictures or of scenes that `posec train scenes` rendered, a video, a .txt file "
                                                               "that lists pictures, or 'samples'"}), COUNT,
         (["--choose"], {"choices": ("random", "coverage"), "default": "random", "help": "how --count frames are chosen: at random, or so that every number, size and place "
                                                                                         "of people and every light is among them (default: random)"}), SEED,
         (["--observer"], {"help": "how ranges are taken: min-max, moving-average, percentile, entropy, mean-squared-error (default: min-max; with --compare the best)"}),
         (["--evaluation"], {"metavar": "FRAMES", "help": "pictures that accuracy will be measured on; frames that are among them stop the calibration"}),
         (["--force"], {"action": "store_true", "help": "calibrate in spite of findings that stop"}),
         (["--no-lint"], {"action": "store_true", "help": "do not look the frames over"}),
         (["--compare"], {"action": "store_true", "help": "show what each observer costs in drift, in the integers of --target"}),
         (["--target"], {"default": "generic-cpu", "help": "for --compare (default: generic-cpu)"}),
         (["--judge"], {"default": "samples", "metavar": "FRAMES", "help": "for --compare: other pictures with people (default: samples, the shipped scenes)"}),
         (["-o", "--out"], {"type": FileOut, "help": "file to write; an interrupted run goes on from OUT.unfinished"}), JSON],
    ),
    "export": ("Compile a checkpoint into a bundle for one board.",
        "posec export reference --target intel-cpu --precision int8 --calibration calibration.json -o intel/",
        [CHECKPOINT, TARGET, (["--precision"], {"help": "float32, float16, int8, or auto: the lowest whose people survive (default: the first that the target lists)"}),
         CALIBRATION, KEEP_FLOAT, (["--golden"], {"metavar": "PICTURES", "help": "a folder, a video or a .txt list with people as your camera shows them; the bundle carries up to 8 of them, "
                                                                                "and a board is judged by the people on them (default: shipped scenes)"}),
         (["--frames"], {"default": "samples", "help": "for auto: pictures with people to judge on (default: samples, the shipped scenes)"}),
         COUNT, THREADS, (["--ladder"], {"type": FileOut, "metavar": "FILE", "help": "for auto: where every rung is kept for the report (default: OUT.ladder.json)"}), FOLDER_OUT, OVERWRITE, JSON],
    ),
    "tensorrt-check": ("Check an ONNX file against the rules of TensorRT versions, without TensorRT; exit status 1 where one would not take it.",
        "posec tensorrt-check orin/model.onnx --tensorrt 8.6 10.3",
        [(["model"], {"help": "an ONNX file, such as model.onnx of a bundle"}),
         (["--tensorrt"], {"nargs": "+", "required": True, "metavar": "VERSION", "help": "versions such as 8.2, 8.6 or 10.3"}), JSON]),
    "verify": ("Compare the people that a bundle finds with those of the float network; exit status 1 over the allowance.",
        "posec verify intel/ --checkpoint reference --frames photos/",
        [BUNDLE, (["--frames"], {"help": "a folder, a video, or 'samples' (default: the bundle's golden pictures)"}),
         (["--checkpoint"], {"default": "reference", "help": "that the bundle was exported from; for --frames (default: reference)"}), COUNT, THREADS, JSON],
    ),
    "blame": ("Say which head and which layer of the int8 network loses the people or the millimetres.",
        "posec blame reference --target intel-cpu --calibration calibration.json -o blame.svg",
        [CHECKPOINT, TARGET, (["--calibration"], {"required": True, "help": "ranges that `posec calibrate` wrote"}),
         (["--frames"], {"default": "samples", "help": "pictures with people (default: samples, the shipped scenes)"}),
         (["--count"], {"type": int, "default": 16, "help": "so many of them; every layer runs over all (default: 16)"}), SEED, KEEP_FLOAT,
         (["--heads-only"], {"action": "store_true", "help": "leave out the layers, which take a hundred times as long as the heads"}),
         (["--spare"], {"action": "store_true", "help": "also run with each layer alone in float; takes twice as long"}),
         (["--most"], {"type": int, "default": 20, "help": "show so many layers, worst first (default: 20)"}),
         (["-o", "--out"], {"type": FileOut, "help": "write the table as a picture, .svg"}), JSON],
    ),
    "run": ("Find people in pictures, a video or a camera.", "posec run intel/ --source street.mp4 -o found/",
        [BUNDLE, (["--source"], {"required": True, "help": f"{SOURCES}, or 'samples'; a file or folder of that name comes first"}), *ARGUMENTS],
    ),
    "explain": ("Show the network's scores on the first picture of the source.", "posec explain intel/ --source picture.jpg",
        [BUNDLE, (["--source"], {"required": True, "help": "a picture, or any source of `run`"}), *CAMERA, THRESHOLD, THREADS],
    ),
    "deploy": ("Bring a bundle to a board over SSH: copy it, check and measure it there, fetch the result, switch to it; exit status 1 where it is not accepted.",
        "posec deploy pi5/ pi@raspberrypi.local --python posec-env/bin/python",
        [BUNDLE, (["host"], {"help": "user@host, or a host of your SSH configuration"}), (["--port"], {"type": int, "help": "of SSH (default: SSH's)"}),
         (["-o", "--out"], {"type": FolderOut, "default": "results", "help": "folder here for the result (default: results)"}),
         (["--folder"], {"default": "posec", "help": "on the board, in the home folder (default: posec)"}),
         (["--python"], {"default": "python3", "help": "on the board; needs numpy, cv2 and the engine's library, unless --wheels brings them (default: python3)"}),
         (["--wheels"], {"help": "folder of wheels for a board without network"}),
         (["--seconds"], {"type": float, "default": 10.0, "help": "of the bench there (default: 10)"}), THREADS,
         (["--wait"], {"type": float, "default": 600.0, "metavar": "SECONDS", "help": "for another deployment to the same folder to end (default: 600)"}),
         (["--clean-up"], {"action": "store_true", "help": "measure only: remove what was copied again, and leave what runs there"}),
         (["--ssh"], {"default": "ssh", "help": "the SSH command, with options (default: ssh)"}), JSON],
    ),
    "evaluate": ("Measure the accuracy of a checkpoint or a bundle on labelled pictures.", "posec evaluate reference --scenes samples",
        [(["network"], {"help": "'reference', the folder of a checkpoint, or of a bundle"}),
         (["--scenes"], {"default": "samples", "help": "scenes.json of rendered scenes with exact 3D (default: the shipped ones)"}),
         (["--photos"], {"nargs": 2, "metavar": ("JSON", "PICTURES"), "help": "COCO key points instead, and the folder or tar of their pictures"}),
         THRESHOLD, NO_REFINE, THREADS, JSON],
    ),
    "bench": ("Measure bundles side by side: latency stage by stage, drift, accuracy on labelled scenes; exit status 1 where one is not accepted.",
        "posec bench intel-float32/ intel-int8/ -o results/",
        [(["bundle"], {"nargs": "+", "help": "folders that `posec export` wrote"}), (["-o", "--out"], {"type": FolderOut, "help": "folder for one result file per bundle"}),
         (["--source"], {"help": "a picture, a folder, or 'samples' (default: the golden pictures)"}),
         (["--size"], {"type": _size, "default": (720, 1280), "metavar": "WIDTHxHEIGHT", "help": "of the pictures shown (default: 1280x720)"}),
         (["--seconds"], {"type": float, "default": 10.0, "help": "per bundle (default: 10)"}),
         (["--sustained"], {"type": float, "default": 0.0, "metavar": "SECONDS", "help": "then work so long without a pause (default: 0)"}),
         (["--again"], {"metavar": "RESULT", "help": "measure as this result file says, and say whether it still holds"}),
         (["--checkpoint"], {"help": "also compare with this float network on the sample scenes, and name the head to blame"}),
         (["--no-accuracy"], {"action": "store_true", "help": "measure time and drift alone"}), THREADS, JSON],
    ),
    "report": ("Write one page: pictures, table, accuracy against latency.", "posec report results/ -o report.html",
        [(["results"], {"help": "the folder or file that `posec bench` or `posec deploy` wrote; ladders in it are shown, too"}),
         (["--ladder"], {"nargs": "+", "default": [], "metavar": "FILE", "help": "also show the rungs that `posec export --precision auto` tried"}), FILE_OUT, JSON],
    ),
    "train": ("Run one stage of the reference network's training.", "posec train embedding --mocap mocap/ --out embedding.safetensors",
        [(["stage"], {"choices": list(STAGES), "help": "see docs/training.md"}),
         (["rest"], {"nargs": argparse.REMAINDER, "help": "options of the stage; --help lists them"})],
    ),
    "demo": ("Run the whole pipeline on the shipped network and pictures, by the commands that a user types.", "posec demo --out out",
        [(["--out"], {"type": FolderOut, "default": "out", "help": "folder to write; an earlier demo in it is replaced, nothing else (default: out)"})]),
}  # fmt: skip
