"""Count the instructions of Python scripts on the emulated CPU, by the plug-in `instructions.c`.

These are counts, not times: caches, memory and instructions per cycle are not emulated. With one thread, the
same work gives the same number to five digits.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import PosecError
from .root import HERE, PYTHON, Root

CHECKOUT = HERE.parents[1]
LONGEST_S = 1800
CLASSES = ("all", "simd", "memory", "branch")


def count_models(root: Root, models: Sequence[bytes]) -> list[int]:
    """Return the instructions of an inference of each TFLite file, by LiteRT on one thread.

    Raises PosecError where a file does not run on the emulated board.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(models):
            (Path(folder) / f"{number:05}.tflite").write_bytes(content)
        try:
            counts = run_counted(root, "litert", [str(HERE / "count_models.py"), folder])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            lines = str(error.stderr or error).strip().splitlines()[-1:]
            raise PosecError(
                f"the emulated {root.board.title} did not run the models: {' '.join(lines)}; "
                "unpack it again with `python -m toolkit.emulation clean` and `setup`"
            ) from error
    return [count["all"] for count in counts]


def run_counted(
    root: Root, runtime: str, script: Sequence[str], *, checkout: Path = CHECKOUT
) -> list[dict[str, int]]:
    """Run a Python script, and return the instructions between its pairs of marks, by class.

    The script imports `toolkit` of the checkout.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        plugin = ["-plugin", f"{root.where / 'instructions.so'},out={out}"]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHOME": f"{root.system}/usr",
            "PYTHONPATH": f"{root.system}{root.site(runtime)}:{checkout}",
            "PYTHONNOUSERSITE": "1",
            "OPENBLAS_NUM_THREADS": "1",  # threads that wait would be counted
        }
        # Without random addresses, and out of the root: the emulator that counts needs the host's libraries.
        emulator = ["setarch", "-R", "qemu-aarch64", "-L", str(root.system), "-cpu", root.board.cpu, *plugin]
        command = [*emulator, str(root.system / "usr/bin" / PYTHON), *script]
        subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=LONGEST_S
        )
        marks = {
            int(words[0]): [int(word) for word in words[1:]]
            for words in map(str.split, out.read_text().splitlines())
        }
    return [
        {
            name: end - begin
            for name, begin, end in zip(CLASSES, marks[2 * number], marks[2 * number + 1], strict=True)
        }
        for number in range(len(marks) // 2)
    ]
