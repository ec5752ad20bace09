"""PoseEstimator: a picture in, its people out, in four steps."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Dict, Optional

import numpy as np

from .bundle import Bundle
from .decoding.centres import find_centres
from .decoding.decode import check_heads, decode_heads
from .decoding.refine import REFINEMENT, Refinement
from .engines import Engine
from .errors import PoseError
from .pose import PoseFrame
from .preprocess import Batch


class PoseEstimator:
    """Finds people in pictures with one bundle.

    Attributes:
        bundle: what runs, and its specification.
        engine: see `engines.Engine`.
        stages_ms: of the last call: `preprocess`, `inference`, `decode`.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        focal_px: Optional[float] = None,
        refinement: Optional[Refinement] = REFINEMENT,
    ) -> None:
        """Take an opened engine, and how poses are fitted to key points, None for not at all.

        Raises BundleError where the decoder does not fit the specification.
        """
        self.bundle, self.engine = bundle, engine
        self.stages_ms: Dict[str, float] = {}
        self._focal_px = _checked(focal_px)
        self._refinement = refinement
        self._decoder = bundle.decoder()
        self._batch = Batch(bundle.spec, bundle.frame)

    def __call__(self, picture_bgr: np.ndarray, focal_px: Optional[float] = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR, best first.

        `focal_px`, in picture pixels, holds for this picture; None takes what the estimator was made with. Raises
        PictureError where the picture is none, EngineError where the model fails, HeadError where its outputs are no numbers.
        """
        focal_px = self._focal_px if focal_px is None else _checked(focal_px)
        started = perf_counter()
        letterbox = self._batch.fill(picture_bgr)
        filled = perf_counter()
        heads = self.engine(self._batch.array)
        inferred = perf_counter()
        people = decode_heads(
            heads, self.bundle.spec, self._decoder, letterbox, focal_px, refinement=self._refinement
        )
        decoded = perf_counter()
        self.stages_ms = {
            "preprocess": 1000 * (filled - started),
            "inference": 1000 * (inferred - filled),
            "decode": 1000 * (decoded - inferred),
        }
        return people

    def heads(self, picture_bgr: np.ndarray) -> Dict[str, np.ndarray]:
        """Return copies of the heads of a picture: name → (C, h, w) float32."""
        self._batch.fill(picture_bgr)
        return {name: np.array(values, np.float32) for name, values in self.engine(self._batch.array).items()}

    def explain(self, picture_bgr: np.ndarray) -> str:
        """Return, in a few lines, what the network said of a picture and why it does or does not show people."""
        spec, heads = self.bundle.spec, self.heads(picture_bgr)
        letterbox = self._batch.fill(picture_bgr)
        lines = [f"picture: {picture_bgr.shape[1]} x {picture_bgr.shape[0]}, mean grey level {picture_bgr.mean():.0f}, "
                 f"seen at {letterbox.scale:.2f} of its size in {spec.input_size[1]} x {spec.input_size[0]}"]  # fmt: skip
        lines += [
            _range(name, heads[name], spec.heads[name].low, spec.heads[name].high)
            for name in spec.head_names
            if name in heads
        ]
        try:
            check_heads(heads, spec)
        except PoseError as error:
            return "\n".join([*lines, f"nobody can be found: {error}"])
        centre = heads["centre"][0]
        row, column = np.unravel_index(int(centre.argmax()), centre.shape)
        x, y = letterbox.to_picture(spec.cell_origin_px + spec.stride * np.array([column, row], np.float32))
        peaks = len(find_centres(centre, spec.centre_threshold)[0])
        lines.append(
            f"highest centre score {centre[row, column]:.3f} near x {x:.0f}, y {y:.0f}; a person must exceed {spec.centre_threshold:g}"
        )
        if not peaks:
            return "\n".join([*lines, "nobody is found: no centre score exceeds the threshold"])
        people = len(
            decode_heads(heads, spec, self._decoder, letterbox, self._focal_px, refinement=self._refinement)
        )
        return "\n".join(
            [
                *lines,
                f"{people} people are found: {peaks} peaks, {peaks - people} of them the same person again",
            ]
        )

    def describe(self) -> Dict[str, str]:
        """Return what runs: bundle, target, precision, and what the engine says of itself."""
        bundle = self.bundle
        return {
            "network": bundle.name,
            "target": bundle.target,
            "precision": bundle.precision,
            **self.engine.describe(),
        }


def _checked(focal_px: Optional[float]) -> Optional[float]:
    """Return a focal length as it is. Raises PoseError where it is no positive number of pixels."""
    if focal_px is not None and not (math.isfinite(focal_px) and focal_px > 0):
        raise PoseError(f"focal_px must be a positive number of picture pixels, got {focal_px}")
    return focal_px


def _range(name: str, values: np.ndarray, low: float, high: float) -> str:
    """Return one line on the values of a head, beside what the specification promises."""
    finite = values[np.isfinite(values)]
    span = f"{finite.min():.3f} to {finite.max():.3f}" if finite.size else "no numbers"
    broken = f", {values.size - finite.size} of {values.size} not finite" if finite.size < values.size else ""
    margin = 0.01 * (high - low)
    outside = (
        ", OUTSIDE" if finite.size and (finite.min() < low - margin or finite.max() > high + margin) else ""
    )
    constant = ", the same everywhere" if finite.size and finite.min() == finite.max() else ""
    return f"head {name}: {span} (promised {low:g} to {high:g}){outside}{constant}{broken}"
