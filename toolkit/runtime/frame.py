"""Layout of a model's input: number type, axes, color order."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import PoseError


@dataclass(frozen=True)
class FrameInput:
    """Layout of the letterboxed picture in the batch; see `preprocess.Batch`.

    Attributes:
        dtype: "uint8" (pixels as they are), "int8" (pixel - 128) or "float32".
        layout: "NHWC" or "NCHW".
        colour_order: "BGR" or "RGB", the order of the graph's input channels; cv2 gives BGR.
        normalized: True if the caller applies the spec's mean and std (float32 only), False if the graph
            does.
    """

    dtype: str = "float32"
    layout: str = "NCHW"
    colour_order: str = "RGB"
    normalized: bool = True

    def __post_init__(self) -> None:
        for name, choices in (
            ("dtype", ("uint8", "int8", "float32")),
            ("layout", ("NHWC", "NCHW")),
            ("colour_order", ("BGR", "RGB")),
        ):
            if getattr(self, name) not in choices:
                raise PoseError(
                    f"frame {name} must be one of {', '.join(choices)}; got '{getattr(self, name)}'"
                )
        if not isinstance(self.normalized, bool):
            raise PoseError(f"frame normalized must be true or false; got {self.normalized!r}")
        if self.normalized and self.dtype != "float32":
            raise PoseError(f"only float32 frames can be normalized by the caller, not {self.dtype}")
