"""PoseEstimator: a picture in, its people out: preprocess, infer, decode."""

from __future__ import annotations

from time import perf_counter
from typing import Dict, Mapping, NamedTuple, Optional

import numpy as np

from .bundle import Bundle
from .decoding.centres import find_centres
from .decoding.decode import DECODING, DecodeOptions, check_heads, decode_people
from .decoding.intrinsics import CameraModel, Intrinsics, focal_length, pinhole
from .decoding.kinematics import Layers
from .engines import Engine
from .errors import HeadError, PoseError
from .frame import FrameInput
from .pose import Head, PoseFrame, PoseSpec
from .preprocess import Batch, Letterbox
from .temporal.evidence import DecodedPeople, Evidence


class Inference(NamedTuple):
    """A network's output for one picture.

    Attributes:
        heads: head name → (C, h, w) float32; the next picture may overwrite them.
        letterbox: place of the picture in the network's input.
    """

    heads: Dict[str, np.ndarray]
    letterbox: Letterbox


class Detection(NamedTuple):
    """The people of one picture, and the output of the network that they were decoded from.

    Attributes:
        people: best first.
        evidence: of the people, for the temporal stage.
        heads, letterbox: see Inference.
    """

    people: PoseFrame
    evidence: Evidence
    heads: Dict[str, np.ndarray]
    letterbox: Letterbox


class PoseEstimator:
    """Finds people in pictures with one network in one engine.

    Attributes:
        spec: contract of the network; decoding follows it.
        decoder: from embeddings to bone directions, see `kinematics.layers`.
        engine: see `engines.Engine`.
        bundle: the bundle of a compiled network; None for a float one.
        stages_ms: durations in the last call: `preprocess`, `inference`, `decode`.
    """

    def __init__(
        self,
        spec: PoseSpec,
        frame: FrameInput,
        decoder: Layers,
        *,
        engine: Engine,
        camera: Optional[CameraModel] = None,
        options: DecodeOptions = DECODING,
        bundle: Optional[Bundle] = None,
    ) -> None:
        """Combine a network's contract with an opened engine.

        Args:
            spec: contract of the network.
            frame: the layout of the engine's input.
            decoder: from embeddings to bone directions, see `kinematics.layers`.
            engine: returns heads for a batch.
            camera: camera model of the pictures; None assumes the specification's focal length.
            options: settings of decoding.
            bundle: the bundle that all of this comes from.
        """
        self.spec, self.engine, self.bundle = spec, engine, bundle
        self.stages_ms: Dict[str, float] = {}
        self.decoder, self._camera, self._options = decoder, camera, options
        self._batch = Batch(spec, frame)

    def __call__(self, picture_bgr: np.ndarray, focal_px: Optional[float] = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR, best first.

        `focal_px` is the focal length of this picture in its pixels; None takes the estimator's camera.
        Raises PictureError for a wrong picture, EngineError if the model fails, HeadError for outputs that
        are not finite.
        """
        return self.detect(picture_bgr, focal_px).people

    def detect(self, picture_bgr: np.ndarray, focal_px: Optional[float] = None) -> Detection:
        """Return the people of a picture as a call does, with their evidence and the heads.

        The next picture may overwrite the heads.
        """
        camera = self._camera if focal_px is None else focal_length(focal_px)
        inference = self.infer(picture_bgr)
        inferred = perf_counter()
        decoded = self._decode(inference, camera)
        self.stages_ms["decode"] = 1000 * (perf_counter() - inferred)
        return Detection(*decoded, *inference)

    def decode_inference(self, inference: Inference) -> DecodedPeople:
        """Return the people of an inference and their evidence, as `detect` does; see `decode` for errors."""
        return self._decode(inference, self._camera)

    def infer(self, picture_bgr: np.ndarray) -> Inference:
        """Return the heads of a picture (H, W, 3) uint8 BGR, for `decode`.

        Raises PictureError and EngineError.
        """
        started = perf_counter()
        letterbox = self._batch.fill(picture_bgr)
        filled = perf_counter()
        heads = self.engine(self._batch.array)
        self.stages_ms = {
            "preprocess": 1000 * (filled - started),
            "inference": 1000 * (perf_counter() - filled),
        }
        return Inference(heads, letterbox)

    def decode(
        self, heads: Mapping[str, np.ndarray], letterbox: Letterbox, camera: Optional[CameraModel] = None
    ) -> PoseFrame:
        """Return the people that heads describe, best first; None for `camera` takes the estimator's.

        Raises HeadError for heads of other shapes than specified, and for people that are not finite.
        """
        inference = Inference(dict(heads), letterbox)
        return self._decode(inference, self._camera if camera is None else camera).people

    def heads(self, picture_bgr: np.ndarray) -> Dict[str, np.ndarray]:
        """Return copies of the heads of a picture: name → (C, h, w) float32."""
        return {name: np.array(values, np.float32) for name, values in self.infer(picture_bgr).heads.items()}

    def explain(self, picture_bgr: np.ndarray) -> str:
        """Return a few lines on the heads for a picture, and why the network finds people in it or not."""
        spec, (heads, letterbox) = self.spec, self.infer(picture_bgr)
        lines = [
            f"picture: {picture_bgr.shape[1]} x {picture_bgr.shape[0]}, "
            f"mean gray level {picture_bgr.mean():.0f}, "
            f"scaled by {letterbox.scale:.2f} to fit {spec.input_size[1]} x {spec.input_size[0]}",
            self._describe_camera(letterbox),
        ]
        lines += [
            _describe_range(name, heads[name], spec.heads[name]) for name in spec.head_names if name in heads
        ]
        try:
            check_heads(heads, spec)
            people = len(self._decode(Inference(heads, letterbox), self._camera).people)
        except PoseError as error:
            return "\n".join([*lines, f"no people: {error}"])
        centre = heads["centre"][0]
        row, column = np.unravel_index(int(centre.argmax()), centre.shape)
        x, y = letterbox.to_picture(spec.cell_origin_px + spec.stride * np.array([column, row], np.float32))
        peaks = len(find_centres(centre, spec.centre_threshold)[0])
        lines.append(
            f"highest centre score {centre[row, column]:.3f} near x {x:.0f}, y {y:.0f}; "
            f"a person must exceed {spec.centre_threshold:g}"
        )
        if not peaks:
            return "\n".join([*lines, "no people: no centre score exceeds the threshold"])
        return "\n".join(
            [
                *lines,
                f"{people} people: {peaks} peaks, {peaks - people} of them duplicates",
            ]
        )

    def describe(self) -> Dict[str, str]:
        """Return network, target and precision of the bundle, if any, and the description of the engine."""
        bundle = self.bundle
        identity = (
            {}
            if bundle is None
            else {"network": bundle.name, "target": bundle.target, "precision": bundle.precision}
        )
        return {**identity, **self.engine.describe()}

    def _decode(self, inference: Inference, camera: Optional[CameraModel]) -> DecodedPeople:
        heads, letterbox = inference
        intrinsics = self._intrinsics(camera, letterbox)
        # Overflow on the way shows in the result, which is checked.
        with np.errstate(all="ignore"):
            decoded = decode_people(
                heads,
                self.spec,
                self.decoder,
                letterbox=letterbox,
                camera=intrinsics,
                options=self._options,
            )
            finite = np.isfinite(sum(float(values.sum()) for values in vars(decoded.people).values()))
        if not finite:
            raise HeadError("a person's joints are not finite; the arithmetic overflowed: build with float32")
        return decoded

    def _intrinsics(self, camera: Optional[CameraModel], letterbox: Letterbox) -> Intrinsics:
        size = letterbox.picture_size
        return pinhole(self.spec.focal_default * max(size), size) if camera is None else camera(size)

    def _describe_camera(self, letterbox: Letterbox) -> str:
        intrinsics = self._intrinsics(self._camera, letterbox)
        degrees = intrinsics.field_of_view(letterbox.picture_size)
        origin = "assumed; state the camera's" if self._camera is None else "given"
        view = f"field of view {degrees:.0f} degrees across the longer side ({origin})"
        return f"camera: focal length {intrinsics.mean_focal_px:.0f} px, {view}"


def _describe_range(name: str, values: np.ndarray, head: Head) -> str:
    """Return one line on the values of a head and the range in the specification."""
    low, high = head.low, head.high
    finite = values[np.isfinite(values)]
    span = f"{finite.min():.3f} to {finite.max():.3f}" if finite.size else "no numbers"
    broken = f", {values.size - finite.size} of {values.size} not finite" if finite.size < values.size else ""
    margin = 0.01 * (high - low)
    outside = (
        ", OUTSIDE" if finite.size and (finite.min() < low - margin or finite.max() > high + margin) else ""
    )
    constant = ", the same everywhere" if finite.size and finite.min() == finite.max() else ""
    return f"head {name}: {span} (specified {low:g} to {high:g}){outside}{constant}{broken}"
