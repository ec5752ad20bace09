"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional

import numpy as np

from ..bundle import Bundle
from . import EngineError
from .cpu import int8_saturates

PRECISION_HINTS = {"float32": "f32", "int8": "f32", "float16": "f16"}


class Engine:
    """Runs an ONNX model or an OpenVINO IR; integers come from QuantizeLinear and DequantizeLinear nodes or FakeQuantize."""

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int] = None) -> None:
        """Compile the model; `threads` None lets OpenVINO take all cores. Raises EngineError where it cannot.

        The bundle's option `inference_precision` says what float layers compute in. Without it that is what the
        bundle's precision says: left alone, OpenVINO computes in bf16 on some x86 CPUs and in f16 on Arm.
        """
        # Without this module OpenVINO takes its own stub, which sends no usage events.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except ImportError as error:
            raise EngineError(
                f"engine 'openvino' cannot be imported ({error}): pip install openvino"
            ) from error
        self._tensor = openvino.Tensor
        self._version = openvino.__version__
        hint = bundle.options.get("inference_precision", PRECISION_HINTS.get(bundle.precision, "f32"))
        settings: Dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._emulates = bundle.precision == "int8" and int8_saturates()
        if self._emulates:
            # Rounds to the same integers, and multiplies them as floats: right, and slower than float32.
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
        """Return head name → (C, h, w) float32, views that the next call writes again."""
        try:
            if batch is not self._batch:
                # The request reads the caller's memory: nothing is copied while the same array is filled anew.
                self._request.set_input_tensor(self._tensor(batch, shared_memory=True))
                self._batch = batch
            self._request.infer()
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {self._version} failed on a batch {batch.dtype} {batch.shape}: {error}"
            ) from error
        return {name: tensor.data[0] for name, tensor in self._outputs.items()}

    def describe(self) -> Dict[str, str]:
        """Return engine, version, and what OpenVINO says it took: threads, precision of float layers, streams."""
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
        return (
            {**about, "integers": "multiplied as floats: this CPU has no VNNI; float32 is faster"}
            if self._emulates
            else about
        )
