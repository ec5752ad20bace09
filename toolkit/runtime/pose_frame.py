"""The people of one picture; `pose` defines the frames of reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Sequence, Union, overload

import numpy as np


@dataclass(frozen=True)
class Person:
    """One person of a PoseFrame; shapes as there, without the leading N."""

    score: float
    centre_px: np.ndarray
    joints_mm: np.ndarray
    root_mm: np.ndarray
    joints_px: np.ndarray


@dataclass(frozen=True)
class PoseFrame:
    """The people of one picture, best first. N may be 0.

    Attributes:
        scores: (N,) float32 in 0..1.
        centres_px: (N, 2) float32, x and y in the original picture.
        joints_mm: (N, J, 3) float32, relative to the pelvis, camera frame.
        roots_mm: (N, 3) float32, the pelvis in the camera frame; its distance is proportional to the focal
            length that was assumed.
        joints_px: (N, J, 2) float32, in the original picture, by scaled orthographic projection about the
            centre; joints near their key point lie on it.
    """

    scores: np.ndarray
    centres_px: np.ndarray
    joints_mm: np.ndarray
    roots_mm: np.ndarray
    joints_px: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.scores)
        joints = self.joints_mm.shape[1] if self.joints_mm.ndim == 3 else 0
        shapes = {
            "scores": (count,),
            "centres_px": (count, 2),
            "joints_mm": (count, joints, 3),
            "roots_mm": (count, 3),
            "joints_px": (count, joints, 2),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, which: int) -> Person: ...

    @overload
    def __getitem__(self, which: Union[slice, Sequence[int], np.ndarray]) -> "PoseFrame": ...

    def __getitem__(self, which: Union[int, slice, Sequence[int], np.ndarray]) -> Union[Person, "PoseFrame"]:
        """Return one person by index, or a PoseFrame of several by a slice, a mask (N,) or indices."""
        if isinstance(which, (int, np.integer)):
            values = (self.centres_px, self.joints_mm, self.roots_mm, self.joints_px)
            return Person(float(self.scores[which]), *(value[which] for value in values))
        if not isinstance(which, slice):
            which = np.asarray(which)
            which = which if which.size else which.astype(int)
        return PoseFrame(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def to_dict(self) -> Dict[str, Any]:
        """Return nested lists, for one line of JSON."""
        return {
            name: np.round(getattr(self, name).astype(float), 4).tolist()
            for name in self.__dataclass_fields__
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], joints: int = 17) -> "PoseFrame":
        """Read what `to_dict` wrote, of people with `joints` joints.

        Raises ValueError if a value is not finite or a shape differs.
        """
        trailing = {
            "scores": (),
            "centres_px": (2,),
            "joints_mm": (joints, 3),
            "roots_mm": (3,),
            "joints_px": (joints, 2),
        }
        arrays = {}
        with np.errstate(over="ignore"):
            for name, shape in trailing.items():
                values = np.asarray(plain[name], np.float32)
                arrays[name] = values if len(values) else values.reshape(0, *shape)
                if arrays[name].shape[1:] != shape or not np.isfinite(values).all():
                    raise ValueError(
                        f"{name} must be finite numbers of shape (N, {', '.join(map(str, shape))}), "
                        f"got {values.shape}"
                    )
        return cls(**arrays)
