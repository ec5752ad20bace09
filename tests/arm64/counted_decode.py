"""Run under the counting emulator: `counted_decode.py INPUT HEADS …` decodes files of heads between marks.

INPUT is an .npz file with the specification as JSON and the arrays of the decoder. PYTHONPATH finds
`toolkit`, which may be an older checkout.
"""

import contextlib
import json
import os
import sys

import numpy as np

from toolkit.runtime.pose import PoseSpec
from toolkit.runtime.preprocess import place

try:
    from toolkit.runtime.decoding.decode import decode_heads
    from toolkit.runtime.decoding.kinematics import layers
except ImportError:  # checkouts of before decoding had a folder
    from toolkit.runtime.decode import decode_heads
    from toolkit.runtime.kinematics import layers

MARK = 0x51A70000  # see instructions.c
COLD = 2  # calls that are not counted


def mark(number):
    with contextlib.suppress(OSError):  # there is no such process, but the emulator has seen the call
        os.getpgid(MARK + number)


with np.load(sys.argv[1]) as stored:
    arrays = {name: stored[name] for name in stored.files}
spec = PoseSpec.from_dict(json.loads(str(arrays.pop("spec"))))
decoder, box = layers(arrays), place(*spec.input_size, spec)[0]
for number, path in enumerate(sys.argv[2:]):
    with np.load(path) as stored:
        heads = {name: stored[name] for name in stored.files}
    for _ in range(COLD):
        decode_heads(heads, spec, decoder, letterbox=box)
    mark(2 * number)
    people = decode_heads(heads, spec, decoder, letterbox=box)
    mark(2 * number + 1)
    print(len(people))
