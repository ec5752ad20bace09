"""Fixtures for Jetson: a bundle for the engine `tensorrt`, and the stand-ins for TensorRT and CUDA."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from toolkit.runtime.bundle import Bundle
from toolkit.runtime.engines._tensorrt import cuda as cuda_module
from toolkit.runtime.engines._tensorrt.plan_cache import FOLDER_VARIABLE

sys.path.insert(0, str(Path(__file__).parent))
from jetson_bundles import jetson_bundle
from standin_cuda import StandInCuda
from standin_tensorrt import Faults, make_module


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return jetson_bundle(tmp_path / "bundle", workspace_mb=256, build_minutes=[2, 4])


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where plans are kept."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "plans"))
    return tmp_path / "plans"


@pytest.fixture
def board(
    plans: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[ModuleType, StandInCuda]]]:
    """A function that makes this machine a Jetson with a TensorRT; afterwards no rule may be broken."""
    made: list[StandInCuda] = []

    def make(
        tensorrt: str = "10.3.0", faults: Faults | None = None, **facts: object
    ) -> tuple[ModuleType, StandInCuda]:
        cuda = StandInCuda(**facts)
        made.append(cuda)
        monkeypatch.setattr(cuda_module, "open_library", lambda: cuda)
        module = make_module(tensorrt, cuda, faults)
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        return module, cuda

    yield make
    gc.collect()
    for cuda in made:
        assert not cuda.breaches
        assert not cuda.device, "device memory is left"
        assert not cuda.pinned, "pinned memory is left"
        assert not cuda.streams, "a stream is left"
