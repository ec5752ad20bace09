"""Bundles for the Raspberry Pi 5, and the import path of the support modules here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """The tiny network for the Raspberry Pi 5 in every precision."""
    pytest.importorskip("litert_torch")
    from networks import tiny_graph_of
    from tflite_files import PI5, PICTURES

    import calibration
    from toolkit.compiler.build import build

    ranges = calibration.collect(tiny_graph_of(), PICTURES)
    folder = tmp_path_factory.mktemp("pi5")
    built = {}
    for precision in PI5.precisions:
        chosen = ranges if precision == "int8" else None
        out = folder / precision
        built[precision] = build(tiny_graph_of(), PI5, precision, ranges=chosen, out=out, golden=PICTURES)
    return built
