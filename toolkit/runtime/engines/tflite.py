"""TFLite on CPUs by ai_edge_litert, or by tflite_runtime if that is not installed."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ..bundle import Bundle
from . import EngineError

SIGNATURE = "serving_default"


class Engine:
    """Runs a TFLite file with NHWC heads as outputs, named by its signature."""

    def __init__(self, path: str, bundle: Bundle, threads: Optional[int] = None) -> None:
        """Open the file; None for `threads` takes the library's number. Raises EngineError if that fails.

        Libraries apply the XNNPACK delegate if they have it: ai_edge_litert for float and int8,
        tflite_runtime 2.14 for float only.
        """
        interpreter_of, self._library, self._version = _library()
        self._threads = threads
        try:
            self._interpreter: Any = interpreter_of(model_path=path, num_threads=threads)
            self._interpreter.allocate_tensors()
            outputs = self._interpreter.get_signature_runner(SIGNATURE).get_output_details()
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"{self._library} {self._version} cannot open '{path}': {error}") from error
        missing = sorted(set(bundle.spec.heads) - set(outputs))
        if missing:
            raise EngineError(f"'{path}' has no outputs {', '.join(missing)}; export the bundle again")
        batch = self._interpreter.get_input_details()[0]
        self._shape, self._dtype = tuple(int(size) for size in batch["shape"]), np.dtype(batch["dtype"])
        # The library refuses to run while a view of its memory exists, so heads are copied.
        self._written = [int(outputs[name]["index"]) for name in bundle.spec.heads]
        self._input = self._interpreter.tensor(batch["index"])
        self._outputs = {name: self._interpreter.tensor(outputs[name]["index"]) for name in bundle.spec.heads}
        # (scale, zero point) of a head that the file stores as integers; a scale of 0 marks a float head.
        self._integers = {name: outputs[name]["quantization"] for name in bundle.spec.heads}
        self._heads = {
            name: np.empty([int(size) for size in outputs[name]["shape"]], np.float32)
            for name in bundle.spec.heads
        }

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32, views that the next call overwrites."""
        if (batch.shape, batch.dtype) != (self._shape, self._dtype):
            raise EngineError(
                f"{self._library} {self._version} failed on a batch {batch.dtype} {batch.shape}: "
                f"the model takes {self._dtype} {self._shape}"
            )
        try:
            self._input()[...] = batch
            self._interpreter.invoke()
            for name, head in self._heads.items():
                head[...] = self._outputs[name]()
                scale, zero_point = self._integers[name]
                if scale:
                    head -= zero_point
                    head *= scale
        except (ValueError, RuntimeError) as error:
            raise EngineError(
                f"{self._library} {self._version} failed on a batch {batch.dtype} {batch.shape}: {error}"
            ) from error
        return {name: head[0].transpose(2, 0, 1) for name, head in self._heads.items()}

    def describe(self) -> Dict[str, str]:
        """Return engine, library, version, threads and kernels."""
        return {
            "engine": "tflite",
            "library": self._library,
            "version": self._version,
            "threads": str(self._threads or "library's choice"),
            "kernels": self._kernels(),
        }

    def _kernels(self) -> str:
        """Return which kernels run the operators, as far as the library reports it."""
        listed: List[Dict[str, Any]] = getattr(self._interpreter, "_get_ops_details", list)()
        if not listed:
            return "not reported by this version"
        delegated = [operator for operator in listed if operator["op_name"] == "DELEGATE"]
        maker = {
            int(tensor): operator for operator in [*listed, *delegated] for tensor in operator["outputs"]
        }
        # Delegated operators stay listed; those that still run are found backwards from the outputs.
        running, pending = set(), list(self._written)
        while pending:
            operator = maker.get(pending.pop())
            if operator is not None and operator["index"] not in running:
                running.add(operator["index"])
                pending += [int(tensor) for tensor in operator["inputs"]]
        own = len(running - {operator["index"] for operator in delegated})
        if not delegated:
            return "the library's own, no XNNPACK"
        return f"the library's own for {own} operators, XNNPACK for the rest" if own else "XNNPACK"


def _library() -> Tuple[Any, str, str]:
    """Return the class Interpreter, the library's name and version. Raises EngineError without either."""
    reasons = []
    try:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter, "ai_edge_litert", str(ai_edge_litert.__version__)
    except ImportError as error:
        reasons.append(str(error))
    try:
        import tflite_runtime
        from tflite_runtime.interpreter import Interpreter as RuntimeInterpreter

        return RuntimeInterpreter, "tflite_runtime", str(tflite_runtime.__version__)
    except ImportError as error:
        reasons.append(str(error))
    raise EngineError(
        f"engine 'tflite' cannot be imported ({'; '.join(reasons)}): pip install ai-edge-litert"
    )
