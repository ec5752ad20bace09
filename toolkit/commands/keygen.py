"""keygen: a pair of keys for signatures of bundles."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..errors import PosecError
from . import EXIT_OK
from .interface.arguments import Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import put

VERB = Verb(
    "Make a pair of Ed25519 keys: NAME.key signs and stays secret, NAME.pub checks.",
    "posec keygen release",
    [argument("name", type=FileOut, help="path of the keys without a suffix")],
)


def run(args: argparse.Namespace) -> int:
    """Write both keys; existing ones are never replaced."""
    from ..runtime.files.signature import make_keys

    keys = make_keys()
    paths = [Path(f"{args.name}{suffix}") for suffix in (".key", ".pub")]
    for path in paths:
        if os.path.lexists(path):
            raise PosecError(f"'{path}' is there already and is never replaced; give another name")
    made: list[Path] = []
    try:
        for path, content, mode in zip(paths, keys, (0o600, 0o644), strict=True):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                made.append(path)
                file.write(content)
    except BaseException:
        for path in made:
            path.unlink()
        raise
    put(f"wrote {paths[0]} (keep it secret) and {paths[1]}")
    return EXIT_OK
