"""The form of a verb, and the arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...runtime.command import arguments as runtime_arguments
from .outputs import FileOut, OwnFolderOut


class Argument(NamedTuple):
    """Flags and options of `argparse.ArgumentParser.add_argument`."""

    flags: Sequence[str]
    options: Mapping[str, Any]


class Verb(NamedTuple):
    """The interface of one command; its module also has `run`, which takes the parsed arguments.

    Attributes:
        help: one sentence.
        example: a command line.
        arguments: in the order of the help.
    """

    help: str
    example: str
    arguments: Sequence[Argument]


def argument(*flags: str, **options: Any) -> Argument:
    """Return an argument of a verb, in the notation of argparse."""
    return Argument(flags, options)


THREADS = Argument(*runtime_arguments.THREADS)
THRESHOLD = Argument(*runtime_arguments.THRESHOLD)
NO_REFINE = Argument(*runtime_arguments.NO_REFINE)
CAMERA = tuple(Argument(*each) for each in runtime_arguments.CAMERA)

CHECKPOINT = argument(
    "checkpoint",
    help="'reference' or the folder of a checkpoint; a suffix @HEIGHTxWIDTH sets the input size",
)
BUNDLE = argument("bundle", help="folder written by `posec export`")
TARGET = argument("--target", required=True, help="a board of `posec targets`, or a .toml file")
CALIBRATION = argument("--calibration", help="ranges from `posec calibrate`; required for int8")
FOLDER_OUT = argument("-o", "--out", required=True, type=OwnFolderOut, help="folder to write")
FILE_OUT = argument("-o", "--out", required=True, type=FileOut, help="file to write")
COUNT = argument("--count", type=int, help="number of frames (default: all)")
SEED = argument("--seed", type=int, default=0, help="seed of the choice of frames (default: 0)")
JSON = argument("--json", action="store_true", help="print JSON")
OVERWRITE = argument("--overwrite", action="store_true", help="replace an existing bundle")
KEEP_FLOAT = argument(
    "--keep-float",
    nargs="+",
    default=[],
    metavar="LAYER",
    help="layers that int8 leaves in float, as named by `posec blame`; 'backbone.levels.*' matches a prefix",
)
