"""schema: the JSON Schema of a line of people.jsonl."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..runtime import outputs
from . import EXIT_OK
from .interface.arguments import Verb
from .interface.terminal import put

SCHEMA_FILE = Path(outputs.__file__).with_name("people.schema.json")

VERB = Verb(
    "Print the JSON Schema of a line of `posec run`, in people.jsonl, on standard output and on sockets.",
    "posec schema",
    [],
)


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    put(SCHEMA_FILE.read_text(encoding="utf-8").rstrip("\n"))
    return EXIT_OK
