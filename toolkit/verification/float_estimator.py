"""The float network as an estimator: what a compiled bundle is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import PosecError
from ..runtime.decoding.decode import decode_heads
from ..runtime.decoding.kinematics import layers
from ..runtime.decoding.refine import REFINEMENT, Refinement
from ..runtime.engines.onnxruntime import cpu_options, library
from ..runtime.pose import PoseFrame
from ..runtime.preprocess import Batch, Letterbox

if TYPE_CHECKING:
    from ..ir.graph import Graph


class FloatEstimator:
    """Finds people with a Graph in ONNX Runtime on the CPU, in float32, with the runtime's own steps before and after."""

    def __init__(
        self, graph: Graph, threads: int | None = None, refinement: Refinement | None = REFINEMENT
    ) -> None:
        """Open the graph as it is; `threads` None lets ONNX Runtime choose; `refinement` is that of `decode_heads`.

        Raises PosecError where the graph cannot run.
        """
        try:
            onnxruntime = library()
        except ImportError as error:
            raise PosecError(
                "the float network runs in ONNX Runtime, which is missing: pip install onnxruntime"
            ) from error
        options = cpu_options(onnxruntime, threads)
        try:
            self._session = onnxruntime.InferenceSession(
                graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises classes of its own, without a common parent
            raise PosecError(f"ONNX Runtime cannot open network '{graph.spec.name}': {error}") from error
        self.spec, self._refinement = graph.spec, refinement
        self._decoder = layers(graph.decoder)
        self._batch = Batch(graph.spec, graph.frame)
        self._input = graph.input_name
        self._heads = {name: tensor for name, (tensor, _) in graph.heads.items()}

    def heads(self, picture_bgr: np.ndarray) -> tuple[dict[str, np.ndarray], Letterbox]:
        """Return head name → (C, h, w) float32 of one picture (H, W, 3) uint8, and where the picture lies in the input."""
        box = self._batch.fill(picture_bgr)
        outputs = self._session.run(list(self._heads.values()), {self._input: self._batch.array})
        return {name: output[0] for name, output in zip(self._heads, outputs, strict=True)}, box

    def decode(
        self, heads: dict[str, np.ndarray], box: Letterbox, focal_px: float | None = None
    ) -> PoseFrame:
        """Return the people that heads describe, as `runtime.decoding.decode.decode_heads` does."""
        return decode_heads(heads, self.spec, self._decoder, box, focal_px, refinement=self._refinement)

    def __call__(self, picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR."""
        heads, box = self.heads(picture_bgr)
        return self.decode(heads, box, focal_px)
