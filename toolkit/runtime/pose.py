"""The contract of a network: its input, its heads, and the skeleton that they describe.

Frames of reference used everywhere:
    picture   pixels, x right, y down, the centre of the top-left pixel is (0, 0)
    input     the same, in the letterboxed picture that enters the network
    camera    millimetres, x right, y down, z away from the camera
    torso     x to the person's left, y from pelvis to neck, z to the front
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, Dict, Mapping, Optional, Tuple

from .pose_frame import Person as Person
from .pose_frame import PoseFrame as PoseFrame
from .skeleton import MOST_JOINTS, MUPOTS17, Skeleton, SpecError, check_type

HEADS = ("centre", "offset", "embedding", "rotation", "depth")  # every network has them
KEYPOINT_HEADS = ("keypoints", "keypoint_offset")  # optional: 2D evidence that poses are fitted to
MOST_CHANNELS = 4096
_MOST_PIXELS = 4096 * 4096
_SMALLEST = 1e-6  # of every divisor
LARGEST_DEPTH = 20.0  # of the depth head, a logarithm: float32 then has room for its exponential


@dataclass(frozen=True)
class Head:
    """One output map of the network: its tensor name, channel count and value range."""

    tensor: str
    channels: int
    low: float
    high: float

    def __post_init__(self) -> None:
        check_type("a head's tensor", (self.tensor,), str)
        check_type("a head's channels", (self.channels,), Integral)
        check_type("a head's low and high", (self.low, self.high), Real)
        if not 1 <= self.channels <= MOST_CHANNELS or not self.low < self.high:
            raise SpecError(
                f"head '{self.tensor}' must have 1 to {MOST_CHANNELS} channels and low below high, got {self}"
            )


@dataclass(frozen=True)
class KeypointGrid:
    """The grid of the key-point heads, apart from that of the other heads.

    Attributes:
        stride: input pixels per cell.
        cell_origin_px: input pixel at the centre of cell 0, on both axes.
        joints: the joint of the skeleton for each of the K key points, or "" for a key point that is no
            joint, such as an eye.
    """

    stride: int
    cell_origin_px: float
    joints: Tuple[str, ...]

    def __post_init__(self) -> None:
        check_type("keypoints.stride", (self.stride,), Integral)
        check_type("keypoints.cell_origin_px", (self.cell_origin_px,), Real)
        check_type("keypoints.joints", self.joints, str)
        named = [joint for joint in self.joints if joint]
        if self.stride < 1 or not named or len(set(named)) < len(named) or len(self.joints) > MOST_JOINTS:
            raise SpecError(
                f"keypoints needs a stride of 1 or more and at least one joint, each once; got {self!r:.200}"
            )


@dataclass(frozen=True)
class PoseSpec:
    """The contract between a network and the code that feeds and decodes it.

    Attributes:
        name: of the network.
        input_size: (height, width) in pixels.
        colour_order: "RGB" or "BGR", as the network was trained.
        mean, std: per channel in that order; the network was trained on (x - mean) / std with x in 0..255.
        pad_value: grey level 0..255 of the letterbox border.
        stride: input pixels per cell of the heads.
        cell_origin_px: input pixel at the centre of cell 0, on both axes.
        heads: by name (see HEADS). `offset` (2: x, y) is in cells, from the cell to the person's centre;
            `rotation` (6) holds the torso's y then x axis in the frame of the viewing ray (Zhou et al., CVPR
            2019); `depth` (1) is d in z_mm = 1000 * focal_px * exp(d) / reference_px_per_m, focal_px in input
            pixels. Both or neither of KEYPOINT_HEADS, on the grid `keypoints`: `keypoints` (K) is the
            probability of each key point near the cell, `keypoint_offset` (2 K: x of all, then y of all) the
            offset to it, in cells of that grid.
        reference_px_per_m: see `depth`.
        centre_joints: the person's centre is the mean of these joints.
        skeleton: the joints that the decoder gives; see `Skeleton` for the joints that it must have.
        centre_threshold: a peak of the `centre` map must exceed this, between 0 and 1.
        focal_default: focal length if the camera's is unknown, relative to the longer side of the picture.
        keypoints: the grid of the key-point heads; None if there are none.
    """

    name: str
    input_size: Tuple[int, int]
    colour_order: str
    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]
    pad_value: int
    stride: int
    cell_origin_px: float
    heads: Mapping[str, Head]
    reference_px_per_m: float = 64.0
    centre_joints: Tuple[str, ...] = ("neck", "pelvis")
    skeleton: Skeleton = field(default=MUPOTS17)
    centre_threshold: float = 0.3
    focal_default: float = 0.8
    keypoints: Optional[KeypointGrid] = None

    def __post_init__(self) -> None:
        self._check_input()
        self._check_heads()
        if min(self.reference_px_per_m, self.focal_default, *self.std) < _SMALLEST:
            raise SpecError(f"reference_px_per_m, focal_default and std must be {_SMALLEST:g} or more")
        if not 0 < self.centre_threshold < 1:
            raise SpecError(f"centre_threshold must lie between 0 and 1, got {self.centre_threshold}")
        if not self.centre_joints:
            raise SpecError("centre_joints must name a joint")
        for joint in (*self.centre_joints, *(filter(None, self.keypoints.joints) if self.keypoints else ())):
            self.skeleton.index(joint)

    def _check_input(self) -> None:
        check_type("name and centre_joints", (self.name, *self.centre_joints), str)
        sizes = (*self.input_size, self.stride, self.pad_value)
        check_type("input_size, stride and pad_value", sizes, Integral)
        check_type("mean and std", (*self.mean, *self.std), Real)
        scalars = ("cell_origin_px", "reference_px_per_m", "centre_threshold", "focal_default")
        check_type(", ".join(scalars), tuple(getattr(self, name) for name in scalars), Real)
        if len(self.input_size) != 2:
            raise SpecError(f"input_size must be (height, width), got {self.input_size!r:.80}")
        if self.colour_order not in ("RGB", "BGR"):
            raise SpecError(f"colour_order must be RGB or BGR, got {self.colour_order!r:.80}")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise SpecError("mean and std must have 3 entries each")
        height, width = self.input_size
        divides = self.stride >= 1 and height % self.stride == 0 and width % self.stride == 0
        if not divides or min(height, width) < 1 or height * width > _MOST_PIXELS:
            raise SpecError(
                f"input_size {self.input_size} must be a positive multiple of stride {self.stride}, "
                "at most 4096 x 4096"
            )
        if not 0 <= self.pad_value <= 255:
            raise SpecError(f"pad_value must lie in 0..255, got {self.pad_value}")

    def _check_heads(self) -> None:
        missing, extra = set(HEADS) - set(self.heads), set(self.heads) - {*HEADS, *KEYPOINT_HEADS}
        if missing or extra:
            raise SpecError(
                f"heads must be {', '.join(HEADS)}; missing: {sorted(missing) or 'none'}, "
                f"unknown: {str(sorted(extra) or 'none')[:200]}"
            )
        wanted = {"centre": 1, "offset": 2, "rotation": 6, "depth": 1}
        if self.keypoints is not None:
            count, stride = len(self.keypoints.joints), self.keypoints.stride
            wanted.update(zip(KEYPOINT_HEADS, (count, 2 * count)))
            if any(side % stride for side in self.input_size):
                raise SpecError(
                    f"input_size {self.input_size} is not a multiple of keypoints.stride {stride}"
                )
        if len(self.heads) != len(self.head_names) or not set(self.head_names) <= set(self.heads):
            raise SpecError("key-point heads and the table keypoints come together or not at all")
        for name, channels in wanted.items():
            found = self.heads[name].channels
            if found != channels:
                raise SpecError(f"head '{name}' must have {channels} channels, got {found}")
        depth = self.heads["depth"]
        if max(-depth.low, depth.high) > LARGEST_DEPTH:
            raise SpecError(f"head 'depth' is a logarithm within {LARGEST_DEPTH:g} of 0, got {depth}")

    @property
    def head_names(self) -> Tuple[str, ...]:
        """Names of all heads, in the order in which a network returns them."""
        return HEADS if self.keypoints is None else (*HEADS, *KEYPOINT_HEADS)

    @property
    def map_size(self) -> Tuple[int, int]:
        """(height, width) of the heads except KEYPOINT_HEADS, in cells."""
        return self.input_size[0] // self.stride, self.input_size[1] // self.stride

    def head_shape(self, name: str) -> Tuple[int, int, int]:
        """(channels, height, width) of a head."""
        stride = self.keypoints.stride if self.keypoints and name in KEYPOINT_HEADS else self.stride
        return self.heads[name].channels, self.input_size[0] // stride, self.input_size[1] // stride

    @property
    def embedding_size(self) -> int:
        """Length of a pose embedding."""
        return self.heads["embedding"].channels

    def with_threshold(self, centre_threshold: Optional[float]) -> "PoseSpec":
        """Return the contract with another centre threshold; None keeps its own.

        Raises SpecError outside 0..1.
        """
        if centre_threshold is None:
            return self
        if not 0 < centre_threshold < 1:
            raise SpecError(
                f"centre_threshold must lie between 0 and 1, got {centre_threshold}; "
                f"this network's own is {self.centre_threshold:g}"
            )
        return replace(self, centre_threshold=centre_threshold)

    def to_dict(self) -> Dict[str, Any]:
        """Return plain lists, numbers and strings, for JSON or TOML; without `keypoints` if it is None."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("heads", "skeleton", "keypoints")
        }
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        plain["heads"] = {name: dict(vars(head)) for name, head in self.heads.items()}
        plain["skeleton"] = {name: list(value) for name, value in vars(self.skeleton).items()}
        if self.keypoints is not None:
            plain["keypoints"] = {**vars(self.keypoints), "joints": list(self.keypoints.joints)}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "PoseSpec":
        """Read what `to_dict` wrote; without `skeleton` it is MUPOTS17. Raises SpecError naming the field."""
        unknown = set(plain) - set(cls.__dataclass_fields__)
        if unknown:
            raise SpecError(
                f"unknown fields {sorted(unknown)!s:.200}; known: {', '.join(cls.__dataclass_fields__)}"
            )
        try:
            values: Dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
            }
            values["heads"] = {name: Head(**head) for name, head in plain["heads"].items()}
            if "skeleton" in plain:
                values["skeleton"] = Skeleton(
                    **{name: tuple(value) for name, value in plain["skeleton"].items()}
                )
            if "keypoints" in plain:
                values["keypoints"] = KeypointGrid(
                    **{**plain["keypoints"], "joints": tuple(plain["keypoints"]["joints"])}
                )
            spec = cls(**values)
            spec.skeleton.check_torso()
            return spec
        except (TypeError, KeyError, AttributeError) as error:
            raise SpecError(f"incomplete pose specification: {error}") from error
