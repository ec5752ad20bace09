"""run: people in pictures, a video or a camera; the same code as `python -m toolkit.runtime`."""

from __future__ import annotations

import argparse

from ..runtime.arguments import ARGUMENTS, SOURCES
from . import inputs
from .arguments import BUNDLE, Argument, Verb, argument

VERB = Verb(
    "Find people in pictures, a video or a camera.",
    "posec run intel/ --source street.mp4 -o found/",
    [
        BUNDLE,
        argument(
            "--source",
            required=True,
            help=f"{SOURCES}, or 'samples'; an existing file or folder of that name comes first",
        ),
        *(Argument(*each) for each in ARGUMENTS),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Find people and write them."""
    from ..runtime.run import run as run_source

    return run_source(args, inputs.source(args.source))
