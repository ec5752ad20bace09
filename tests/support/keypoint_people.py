"""People with key points: true ones, a network's answer that is a little off, and their heads."""

import dataclasses

import numpy as np
from networks import LIMBS, tiny_decoder
from recorded_heads import Recorded, keypoint_spec, mark, recorded_heads

from toolkit.runtime.decoding.bone_prior import REFINEMENT
from toolkit.runtime.decoding.decode import DecodeOptions, decode_heads
from toolkit.runtime.decoding.intrinsics import pinhole
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.pose import MUPOTS17
from toolkit.runtime.preprocess import place

SPEC = keypoint_spec()
DECODER = layers(tiny_decoder())
BOX = place(*SPEC.input_size, SPEC)[0]  # pixels of the picture are pixels of the input
JOINTS = [MUPOTS17.index(name) for name in LIMBS]


def decoded(heads, refinement=REFINEMENT, decoder=DECODER):
    camera = pinhole(400.0, BOX.picture_size)
    options = DecodeOptions(refinement=refinement)
    return decode_heads(heads, SPEC, decoder, letterbox=BOX, camera=camera, options=options)


def true_person(seed, row=16, column=28):
    random = np.random.default_rng(seed)
    return Recorded(
        row,
        column,
        0.8,
        tuple(random.uniform(-0.5, 0.5, 2)),
        tuple(random.uniform(-0.8, 0.8, 8)),
        tuple(random.uniform(-1, 1, 6)),
        float(random.uniform(-0.4, 0.2)),
    )


def predicted(person, seed, much=1.0):
    """Return the person as a network with errors would find it."""
    random = np.random.default_rng(100 + seed)
    return dataclasses.replace(
        person,
        offset=tuple(np.array(person.offset) + much * random.uniform(-0.3, 0.3, 2)),
        embedding=tuple(np.clip(np.array(person.embedding) + much * random.normal(0, 0.2, 8), -1, 1)),
        rotation=tuple(np.array(person.rotation) + much * random.normal(0, 0.1, 6)),
        depth=person.depth + much * random.uniform(-0.1, 0.1),
    )


def joints_of(*people):
    """Return the true joints (N, 17, 2) in pixels of the input."""
    return np.stack([decoded(recorded_heads([person], SPEC), None).joints_px[0] for person in people])


def heads_with_keypoints(people, predictions, heat=0.9, of=tuple(range(12))):
    heads = recorded_heads(predictions, SPEC)
    for person in joints_of(*people) if people else ():
        for channel in of:
            mark(heads, SPEC, 1 + channel, *person[JOINTS[channel]], heat)
    return heads


def error_px(frame, truth):
    return np.linalg.norm(frame.joints_px[:, JOINTS] - truth[:, JOINTS], axis=-1).mean()


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
