"""Learned filters of the temporal network: slow versions of its own input, mixed in by gates.

The network's hidden values are too few to carry the jitter of every number of a person, and so to remove it.
Each of these numbers therefore has learned causal kernels over FRAMES frames, of sum 1. The network mixes the
newest value with the filtered ones, for each bone and each joint separately.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..pose import PoseSpec

FILTERS = 2


class Filtered(NamedTuple):
    """Which numbers are filtered.

    Attributes:
        inputs: (D,) their rows among the network's inputs: bones, joints in the picture, ray, log distance.
        gates: (D,) the gate of each.
        groups: number of gates.
    """

    inputs: np.ndarray
    gates: np.ndarray
    groups: int


def filtered(spec: PoseSpec, keypoints: int) -> Filtered:
    """Return the filtered numbers of a specification, in the order of the outputs."""
    bones, joints = len(spec.skeleton.bones), len(spec.skeleton.names)
    after = 6 * bones + 2 * joints + keypoints  # where distance and ray are
    inputs = [
        *range(3 * bones),
        *range(6 * bones, 6 * bones + 2 * joints),
        after + 1,
        after + 2,
        after,
    ]
    gates = [
        *(index % bones for index in range(3 * bones)),
        *(bones + index // 2 for index in range(2 * joints)),
        *(bones + joints, bones + joints, bones + joints + 1),
    ]
    return Filtered(np.array(inputs), np.array(gates), bones + joints + 2)


def mix(outputs: np.ndarray, newest: np.ndarray, slow: np.ndarray, *, of: Filtered) -> np.ndarray:
    """Return corrections (D + 1, N): the direct outputs plus the gated differences to the filtered numbers.

    Args:
        outputs: (D + 1 + FILTERS * groups, N) of the network: direct ones, then logits of the filters.
        newest: (D, N) the numbers that are corrected; see `Filtered`.
        slow: (D, FILTERS, N) their filtered versions.
        of: the filtered numbers.
    """
    size, count = newest.shape
    logits = outputs[size + 1 :].reshape(FILTERS, of.groups, count)
    largest = np.maximum(logits.max(axis=0), 0)
    shares = np.exp(logits - largest)
    shares /= shares.sum(axis=0) + np.exp(-largest)  # the newest value has logit 0
    slow -= newest[:, None]
    slow *= shares.take(of.gates, axis=1).transpose(1, 0, 2)
    changes = slow.sum(axis=1)
    changes[-3:-1] *= np.exp(newest[-1])  # rays to metres at the person
    mixed = outputs[: size + 1]
    mixed[:size] += changes
    return mixed
