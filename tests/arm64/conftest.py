"""Fixtures for Arm: an arm64 Debian that looks like a Raspberry Pi, and bundles for it.

Tests skip with a reason where it is not set up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tflite"))
sys.path.insert(0, str(Path(__file__).parent))
from arm64_pictures import PICTURES, SIZE
from networks import tiny_graph_of, tiny_spec
from working_network import working_graph

import calibration
import targets
from toolkit.compiler.build import build
from toolkit.emulation.root import Root, why_not
from toolkit.ir.graph import Graph
from toolkit.runtime.bundle import Bundle


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "arm64: needs the arm64 root that `make test-arm64` builds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("arm64")


@pytest.fixture(scope="session")
def root() -> Iterator[Root]:
    """The arm64 root, mounted; unmounted at the end."""
    if why := why_not():
        pytest.skip(why)
    made = Root()
    made.mount()
    yield made
    made.unmount()


@pytest.fixture(scope="session")
def bundles(root: Root, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """The tests' network for the Raspberry Pi 4, by precision."""
    return _build(tiny_graph_of(tiny_spec(SIZE)), tmp_path_factory.mktemp("pi4"))


@pytest.fixture(scope="session")
def working_bundles(root: Root, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A network that finds no people at the usual cost, by precision."""
    return _build(working_graph(), tmp_path_factory.mktemp("working"))


def _build(network: Graph, folder: Path) -> dict[str, Bundle]:
    pytest.importorskip("litert_torch")
    board, ranges = targets.load("raspberry-pi-4"), calibration.collect(network, PICTURES)
    return {
        precision: build(
            network,
            board,
            precision,
            ranges=ranges if precision == "int8" else None,
            out=folder / precision,
            golden=PICTURES,
        )
        for precision in ("float32", "int8")
    }
