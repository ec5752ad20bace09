"""The float network as an engine; the drift of compiled networks is measured against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import PosecError
from ..runtime.decoding.decode import DecodeOptions
from ..runtime.decoding.kinematics import layers
from ..runtime.decoding.refine import REFINEMENT, Refinement
from ..runtime.engines import check_threads
from ..runtime.engines.onnxruntime import cpu_options, library
from ..runtime.estimator import PoseEstimator

if TYPE_CHECKING:
    from .graph import Graph


class FloatEngine:
    """Runs a Graph in ONNX Runtime on the CPU, in float32."""

    def __init__(self, graph: Graph, threads: int | None = None) -> None:
        """Open the graph as it is; `threads` None lets ONNX Runtime take all cores.

        Raises PosecError where the graph cannot run.
        """
        try:
            onnxruntime = library()
        except ImportError as error:
            raise PosecError(
                "the float network runs in ONNX Runtime, which is missing: pip install onnxruntime"
            ) from error
        options = cpu_options(onnxruntime, check_threads(threads))
        try:
            self._session = onnxruntime.InferenceSession(
                graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base class
            raise PosecError(f"ONNX Runtime cannot open network '{graph.spec.name}': {error}") from error
        self._input, self._threads, self._version = graph.input_name, threads, onnxruntime.__version__
        self._heads = {name: tensor for name, (tensor, _) in graph.heads.items()}

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32, newly allocated."""
        outputs = self._session.run(list(self._heads.values()), {self._input: batch})
        return {name: output[0] for name, output in zip(self._heads, outputs, strict=True)}

    def describe(self) -> dict[str, str]:
        """Return engine, version and threads."""
        return {"engine": "onnxruntime", "version": self._version, "threads": str(self._threads or "all")}


def float_estimator(
    graph: Graph, threads: int | None = None, refinement: Refinement | None = REFINEMENT
) -> PoseEstimator:
    """Return an estimator of a graph in float32, with the preprocessing and decoding of every bundle.

    Raises PosecError where the graph cannot run.
    """
    engine, options = FloatEngine(graph, threads), DecodeOptions(refinement=refinement)
    return PoseEstimator(graph.spec, graph.frame, layers(graph.decoder), engine, options=options)
