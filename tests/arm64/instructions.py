"""How many instructions one inference takes on a board's CPU, counted under emulation: `python tests/arm64/instructions.py BUNDLE …`.

These are counts, not times: nothing is known of caches, memory or how many instructions a cycle takes. They do not wobble:
with one thread the same file gives the same number to five digits, so they show what a change costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from arm64_root import HERE, PYTHON, RUNTIMES, Root
from pretend_pi import BOARDS

CLASSES = ("all", "simd", "memory", "branch")


def count(root: Root, runtime: str, bundle: Path) -> list[dict[str, int]]:
    """Return the instructions of two inferences, by class, on the board that the root is."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        plugin = ["-plugin", f"{root.where / 'instructions.so'},out={out}"]
        environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHOME": f"{root.system}/usr",
                       "PYTHONPATH": f"{root.system}{root.site(runtime)}:{HERE.parents[1]}", "PYTHONNOUSERSITE": "1"}  # fmt: skip
        # Without random addresses, and out of the root: the emulator that counts needs the host's libraries.
        emulator = ["setarch", "-R", "qemu-aarch64", "-L", str(root.system), "-cpu", root.board.cpu, *plugin]
        command = [*emulator, str(root.system / "usr/bin" / PYTHON), str(HERE / "counted.py"), str(bundle)]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=1800)
        marks = {int(words[0]): [int(word) for word in words[1:]] for words in map(str.split, out.read_text().splitlines())}
    return [
        {name: end - begin for name, begin, end in zip(CLASSES, marks[2 * number], marks[2 * number + 1], strict=True)}
        for number in range(2)
    ]


def table(root: Root, bundles: list[Path]) -> list[dict[str, object]]:
    """Return one row per bundle, board and runtime, in millions of instructions."""
    rows: list[dict[str, object]] = []
    for bundle in bundles:
        for board in BOARDS:
            root.become(board)
            for runtime in RUNTIMES:
                counts = count(root, runtime, bundle)[-1]
                rows.append(
                    {
                        "bundle": bundle.name,
                        "board": board,
                        "runtime": runtime,
                        **{name: round(value / 1e6, 3) for name, value in counts.items()},
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    here = Root()
    here.mount()
    try:
        table(here, [Path(name).resolve() for name in sys.argv[1:]])
    finally:
        here.unmount()
