"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

import numpy as np

from ..bundle import Bundle
from . import EngineError
from .cpu import int8_saturates


def library() -> Any:
    """Import `onnxruntime` with its usage events disabled. Raises ImportError if it is not installed."""
    # The call below comes too late for events of the import itself.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def cpu_options(onnxruntime: Any, threads: Optional[int] = None) -> Any:
    """Return session options for this CPU; `threads` None uses all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Spinning threads would occupy the cores that capture and decoding need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if int8_saturates():
        # Without VNNI, the default kernels saturate in 16 bits. This option selects slower, exact kernels,
        # on CPUs with VNNI, too.
        options.add_session_config_entry("session.x64quantprecision", "1")
    # This optimization would quantize the weights of float layers, with one scale per tensor.
    options.add_session_config_entry("optimization.disable_specified_optimizers", "WeightBiasQuantization")
    return options


def run_session(
    session: Any, heads: Mapping[str, str], feed: Dict[str, np.ndarray], *, version: str
) -> Dict[str, np.ndarray]:
    """Return head name → (C, h, w) float32, newly allocated, of heads → outputs of a session.

    Raises EngineError if the session fails.
    """
    try:
        outputs = session.run(list(heads.values()), feed)
    except Exception as error:  # its exceptions have no common base class
        (batch,) = feed.values()
        raise EngineError(
            f"ONNX Runtime {version} failed on a batch {batch.dtype} {batch.shape}: {error}"
        ) from error
    return {name: output[0] for name, output in zip(heads, outputs)}


class Engine:
    """Runs an ONNX model, float or with QuantizeLinear and DequantizeLinear nodes."""

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int] = None) -> None:
        """Open the model; `threads` None uses all cores. Raises EngineError if that fails."""
        try:
            onnxruntime = library()
        except ImportError as error:
            raise EngineError(
                f"engine 'onnxruntime' cannot be imported ({error}): pip install onnxruntime"
            ) from error
        options = cpu_options(onnxruntime, threads)
        # The NCHWc layout of float convolutions and most int8 fusions need ALL.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._version = onnxruntime.__version__
        try:
            self._session: Any = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base class
            raise EngineError(f"ONNX Runtime {self._version} cannot open '{path}': {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._heads = {name: head.tensor for name, head in bundle.spec.heads.items()}
        missing = sorted(set(self._heads.values()) - {output.name for output in self._session.get_outputs()})
        if missing:
            raise EngineError(f"'{path}' has no outputs {', '.join(missing)}; export the bundle again")
        self._threads = threads
        self._saturation_safe = bundle.precision == "int8" and int8_saturates()

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32, newly allocated."""
        return run_session(self._session, self._heads, {self._input: batch}, version=self._version)

    def describe(self) -> Dict[str, str]:
        """Return engine, version, threads and provider."""
        provider = ", ".join(self._session.get_providers())
        about = {
            "engine": "onnxruntime",
            "version": self._version,
            "threads": str(self._threads or "all"),
            "provider": provider,
        }
        if self._saturation_safe:
            about["integers"] = "added up by slower, exact kernels: this CPU has no VNNI"
        return about
