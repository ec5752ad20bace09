"""Fixtures for every part: a tiny network with five heads, as checkpoint and Graph, and pictures for it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from toolkit.ir.graph import Graph

sys.path.insert(0, str(Path(__file__).parent / "support"))  # so that tests can `from networks import …`
import check_run

if "--check" in sys.argv:  # before anything imports an engine
    check_run.install()
from networks import spot_picture, tiny_graph_of, write_checkpoint

TESTS = Path(__file__).parent
# A shell ignores SIGINT for its background jobs, nohup ignores SIGHUP, and a child inherits both.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--check", action="store_true", help="only tests without torch, processes and engines but replay"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the folders of long modules: processes then end together, since each module runs in one."""
    longest = {name: place for place, name in enumerate(("training", "tflite", "targets", "verification"))}
    items.sort(key=lambda item: longest.get(item.path.relative_to(TESTS).parts[0], len(longest)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give torch one thread if processes share the cores; more would wait for each other."""
    torch = sys.modules.get("torch")
    if torch is not None and "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint folder: spec.toml, model.onnx, pose.safetensors; input 64 x 96, stride 8, embedding of 8."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def tiny_graph() -> Graph:
    """The same network as a Graph before any pass; each test has its own."""
    return tiny_graph_of()


@pytest.fixture(scope="session")
def people_pictures() -> list[np.ndarray]:
    """Five BGR pictures (120, 160, 3) uint8 with 0, 1, 2, 3 and 4 people for the tiny network."""
    return [spot_picture(people, seed=people) for people in range(5)]
