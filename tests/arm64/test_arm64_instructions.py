"""Instructions per inference, which do not wobble: what int8 gains on which board, with which library."""

from __future__ import annotations

import pytest
from decode_instructions import count_decoding
from instructions import count

BOARDS = ("raspberry-pi-4", "raspberry-pi-5")


@pytest.fixture(scope="module")
def counts(root, working_bundles):
    """(board, library, precision) → instructions of an inference."""
    found = {}
    for board in BOARDS:
        root.become(board)
        for runtime in ("litert", "tflite-runtime"):
            for precision, bundle in working_bundles.items():
                found[board, runtime, precision] = [one["all"] for one in count(root, runtime, bundle.folder)]
                print(board, runtime, precision, found[board, runtime, precision])
    root.become("raspberry-pi-4")
    return found


def test_the_same_inference_takes_the_same_instructions(counts):
    for case, (first, *others) in counts.items():
        assert all(abs(other / first - 1) < 1e-3 for other in others), case


def test_int8_gains_on_a_raspberry_pi_5_by_its_dot_product(counts):
    assert (
        counts["raspberry-pi-5", "litert", "int8"][-1]
        < 0.8 * counts["raspberry-pi-5", "litert", "float32"][-1]
    )
    assert (
        counts["raspberry-pi-5", "litert", "int8"][-1] < 0.8 * counts["raspberry-pi-4", "litert", "int8"][-1]
    )


def test_int8_loses_with_tflite_runtime_as_planned(counts):
    for board in BOARDS:
        assert counts[board, "tflite-runtime", "int8"][-1] > counts[board, "tflite-runtime", "float32"][-1]


def test_decoding_hardly_grows_with_people(root):
    root.become("raspberry-pi-5")
    counts = count_decoding(root, (1, 5, 20))
    assert counts[5] < 1.7 * counts[1]
    assert counts[20] < 3 * counts[1]
