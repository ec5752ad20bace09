"""run: people in pictures, a video or a camera; the same code as `python -m toolkit.runtime`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from ..runtime.command.arguments import ARGUMENTS, SOURCES
from .interface import inputs
from .interface.arguments import BUNDLE, Argument, Verb, argument
from .interface.outputs import OwnFolderOut


def _checked(flags: Sequence[str], options: Mapping[str, Any]) -> Argument:
    """Return an argument of the runtime; its output is checked before the work, as that of every verb."""
    return Argument(flags, {**options, "type": OwnFolderOut} if "--out" in flags else options)


VERB = Verb(
    "Find people in pictures, a video or a camera.",
    "posec run intel/ --source street.mp4 -o found/",
    [
        BUNDLE,
        argument(
            "--source",
            required=True,
            nargs="+",
            help=f"{SOURCES}, or 'samples'; an existing file or folder of that name comes first; "
            "several with --fuse",
        ),
        *(_checked(*each) for each in ARGUMENTS),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Find people and write them."""
    from ..runtime.command.run import run as run_source

    return run_source(args, [inputs.source(source) for source in args.source])
