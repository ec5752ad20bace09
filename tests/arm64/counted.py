"""Under the counting emulator, `counted.py BUNDLE` runs the engine and marks its second and third run."""

import contextlib
import os
import sys

import numpy as np

from toolkit.runtime.bundle import read_bundle
from toolkit.runtime.engines import open_engine

MARK = 0x51A70000  # see instructions.c


def mark(number):
    with contextlib.suppress(OSError):  # there is no such process, but the emulator has seen the call
        os.getpgid(MARK + number)


bundle = read_bundle(sys.argv[1])
engine = open_engine(bundle, threads=1)
frame, (height, width) = bundle.frame, bundle.spec.input_size
batch = np.zeros((1, height, width, 3), frame.dtype)
batch[...] = np.random.default_rng(0).integers(-100, 100, batch.shape)
engine(batch)
for number in range(2):
    mark(2 * number)
    engine(batch)
    mark(2 * number + 1)
