"""Under the counting emulator, `count_models.py FOLDER` runs TFLite files in a folder between two marks.

The first run of a file is not counted. Files are taken in order of their names.
"""

import contextlib
import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

MARK = 0x51A70000  # see instructions.c


def mark(number: int) -> None:
    """Let the emulator note its counts."""
    with contextlib.suppress(OSError):  # there is no such process, but the emulator has seen the call
        os.getpgid(MARK + number)


for number, name in enumerate(sorted(os.listdir(sys.argv[1]))):
    interpreter = Interpreter(os.path.join(sys.argv[1], name), num_threads=1)
    interpreter.allocate_tensors()
    random = np.random.default_rng(0)
    for given in interpreter.get_input_details():
        values = random.integers(-100, 100, given["shape"])
        interpreter.set_tensor(given["index"], values.astype(given["dtype"]))
    interpreter.invoke()
    mark(2 * number)
    interpreter.invoke()
    mark(2 * number + 1)
