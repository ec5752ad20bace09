"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional

import numpy as np

from ..bundle import Bundle
from . import EngineError
from .cpu import NO_BFLOAT16, computes_bfloat16, int8_saturates

# Precision of the bundle → arithmetic of float layers; OpenVINO's default depends on the CPU.
PRECISION_HINTS = {"float32": "f32", "int8": "f32", "float16": "f16", "bfloat16": "bf16"}


class Engine:
    """Runs an ONNX model, float or with QuantizeLinear and DequantizeLinear nodes."""

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int] = None) -> None:
        """Compile the model; `threads` None uses all cores.

        Raises EngineError if OpenVINO is missing or cannot open the model. A bfloat16 bundle needs a CPU
        with bfloat16: computed in float32, it would not be the verified network.
        """
        hint = _precision_hint(bundle)
        # Without this module OpenVINO falls back to a stub of its own, which sends no usage events.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except ImportError as error:
            raise EngineError(
                f"engine 'openvino' cannot be imported ({error}): pip install openvino"
            ) from error
        self._tensor = openvino.Tensor
        self._version = openvino.__version__
        settings: Dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._saturation_safe = bundle.precision == "int8" and int8_saturates()
        if self._saturation_safe:
            # Rounds to the same integers and multiplies them as floats: exact, but slower than float32.
            settings["LP_TRANSFORMS_MODE"] = False
        try:
            self._compiled: Any = openvino.Core().compile_model(path, "CPU", settings)
            outputs = {name: self._compiled.output(head.tensor) for name, head in bundle.spec.heads.items()}
        except RuntimeError as error:
            raise EngineError(f"OpenVINO {self._version} cannot open '{path}': {error}") from error
        self._request = self._compiled.create_infer_request()
        self._outputs = {name: self._request.get_tensor(output) for name, output in outputs.items()}
        self._batch: Optional[np.ndarray] = None

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32, views that the next call overwrites."""
        try:
            if batch is not self._batch:
                # The request reads the caller's memory, so an array that is refilled is never copied.
                self._request.set_input_tensor(self._tensor(batch, shared_memory=True))
                self._batch = batch
            self._request.infer()
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {self._version} failed on a batch {batch.dtype} {batch.shape}: {error}"
            ) from error
        return {name: tensor.data[0] for name, tensor in self._outputs.items()}

    def describe(self) -> Dict[str, str]:
        """Return engine, version, and the threads, float precision and streams that OpenVINO reports."""
        threads, streams = (
            str(self._compiled.get_property(name)) for name in ("INFERENCE_NUM_THREADS", "NUM_STREAMS")
        )
        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        about = {
            "engine": "openvino",
            "version": self._version,
            "threads": threads,
            "float precision": precision,
            "streams": streams,
        }
        if self._saturation_safe:
            about["integers"] = "multiplied as floats: this CPU has no VNNI; float32 is faster"
        return about


def _precision_hint(bundle: Bundle) -> str:
    """Return the value of INFERENCE_PRECISION_HINT.

    Raises EngineError if the bundle's option contradicts its precision, or the CPU lacks bfloat16.
    """
    hint = PRECISION_HINTS.get(bundle.precision, "f32")
    stated = bundle.options.get("inference_precision", hint)
    if stated != hint:
        raise EngineError(
            f"the option inference_precision = {stated!r} contradicts the bundle's precision, "
            f"{bundle.precision}; remove it from the target's [options] and export again"
        )
    if hint == "bf16" and not computes_bfloat16():
        raise EngineError(f"{NO_BFLOAT16}; export the bundle with --precision int8 or float32")
    return hint
