"""Faults of the stand-in for TensorRT, and its record of calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Faults:
    """What goes wrong, and where.

    Attributes:
        parser: the parser refuses node 3, in these words.
        memory_bytes: the builder runs out of memory with a larger workspace.
        build: the builder finds no plan, in these words.
        context, execute, deserialize: these fail.
        hang: the build touches this file and never ends.
        fast_int8: the GPU has int8 instructions.
        starts: the library finds a driver.
        seconds: that a build takes.
    """

    parser: str = ""
    memory_bytes: int = 1 << 40
    build: str = ""
    context: bool = False
    execute: bool = False
    deserialize: bool = False
    hang: Path | None = None
    fast_int8: bool = True
    starts: bool = True
    seconds: float = 0.0


@dataclass
class Record:
    """What was asked of the builder."""

    workspaces: list[int] = field(default_factory=list)
    flags: list[set[str]] = field(default_factory=list)
    builds: int = 0
    timings_taken: int = 0
