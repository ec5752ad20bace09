"""TensorRT on a Jetson: builds a plan from the bundle's ONNX file once; ONNX Runtime is the fallback."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from ..bundle import Bundle
from . import EngineError
from ._tensorrt.board import board_facts
from ._tensorrt.cuda import Cuda, NoCudaError
from ._tensorrt.plan_cache import cache_folder, key_of
from ._tensorrt.plan_runner import PlanRunner, report, workspace_bytes
from .onnxruntime import cpu_options, library, run_session

INSTALL = (
    "engine 'tensorrt' needs the module tensorrt, a part of JetPack (sudo apt install "
    "python3-libnvinfer-dev; "
    "a virtual environment must be made with --system-site-packages), or, slower, ONNX Runtime: "
    "pip install onnxruntime"
)
# The best first.
_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


class Engine:
    """Runs a bundle's ONNX file with TensorRT, or with ONNX Runtime if TensorRT or a GPU is missing.

    Raises EngineError if neither is installed, no plan can be built, or its tensors differ from the bundle's.
    """

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int] = None) -> None:
        """Load or build the plan; `threads` apply to ONNX Runtime on the CPU only."""
        try:
            import tensorrt as trt

            if not hasattr(trt, "Builder"):  # a folder of that name on the path imports, too
                raise ImportError("the module found is not TensorRT")
            self._runner: Any = PlanRunner(trt, Cuda(), path, bundle=bundle)
        except ImportError as error:
            self._runner = _OnnxRunner(path, bundle, threads, reason=f"TensorRT cannot be imported ({error})")
        except NoCudaError as error:
            self._runner = _OnnxRunner(path, bundle, threads, reason=str(error))

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32; the next call overwrites the arrays."""
        heads: Dict[str, np.ndarray] = self._runner(batch)
        return heads

    def describe(self) -> Dict[str, str]:
        """Return engine, version, GPU and precision, or ONNX Runtime's provider and the reason."""
        described: Dict[str, str] = self._runner.describe()
        return described


class _OnnxRunner:
    """ONNX Runtime on the best provider that is installed."""

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int], *, reason: str) -> None:
        try:
            onnxruntime = library()
        except ImportError as error:
            raise EngineError(f"{reason}; {INSTALL}") from error
        settings = cpu_options(onnxruntime, threads)
        self._version = onnxruntime.__version__
        installed = onnxruntime.get_available_providers()
        here = [
            (name, _provider_options(name, path, bundle, version=self._version))
            for name in _PROVIDERS
            if name in installed
        ]
        try:
            self._session: Any = onnxruntime.InferenceSession(path, settings, providers=here)
        except Exception as error:  # its exceptions have no common base class
            raise EngineError(
                f"{reason}; ONNX Runtime {self._version} cannot open '{path}' either: {error}"
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._heads = {name: head.tensor for name, head in bundle.spec.heads.items()}
        # Providers that are installed but cannot start are missing here.
        self._described = {
            "engine": "onnxruntime",
            "version": self._version,
            "provider": self._session.get_providers()[0],
            "threads": str(threads or "all"),
            "instead of tensorrt": reason,
        }
        report(f"{reason}; ONNX Runtime runs the bundle on {self._described['provider']} instead")

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        return run_session(self._session, self._heads, {self._input: batch}, version=self._version)

    def describe(self) -> Dict[str, str]:
        return dict(self._described)


def _provider_options(provider: str, path: str, bundle: Bundle, *, version: str) -> Dict[str, str]:
    """Return the options of ONNX Runtime's TensorRT provider: precision, memory and DLA core of the plan.

    ONNX Runtime names its plans by the network's structure alone, so other weights or another JetPack would
    load the first plan. Each file and machine therefore has a folder of its own.
    """
    if provider != "TensorrtExecutionProvider":
        return {}
    core = bundle.options.get("dla_core")
    parts = {
        "model_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "precision": bundle.precision,
        "dla_core": core,
        "workspace": workspace_bytes(bundle),
        "onnxruntime": version,
        **board_facts(),
    }
    folder = cache_folder() / "onnxruntime" / key_of(parts)
    on_dla = {} if core is None else {"trt_dla_enable": "True", "trt_dla_core": str(core)}
    return {
        "trt_fp16_enable": str(bundle.precision != "float32"),
        "trt_int8_enable": str(bundle.precision == "int8"),
        "trt_max_workspace_size": str(workspace_bytes(bundle)),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
        **on_dla,
    }
