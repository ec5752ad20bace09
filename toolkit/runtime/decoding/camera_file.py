"""Camera calibration files of OpenCV and ROS, and the choice of a camera by an option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

import numpy as np

from ..errors import PoseError
from ..files.plain_files import read_plain
from ..files.plain_json import parse_json
from .intrinsics import CameraModel, Intrinsics, field_of_view, focal_length

LARGEST_BYTES = 2**20
LARGEST = 1e6  # of any number in a calibration
DISTORTIONS = (0, 4, 5, 8, 12, 14)  # numbers of coefficients in OpenCV's model
# If both sides changed by one factor, up to rounding, the picture is scaled; otherwise it is cropped.
SAME_SHAPE = 0.01
_MATRIX = ("camera_matrix", "cameraMatrix", "K", "mtx", "intrinsic_matrix")
_COEFFICIENTS = ("distortion_coefficients", "dist_coeffs", "distCoeffs", "distortion", "dist", "D")
_SIDES = (("image_width", "image_height"), ("width", "height"))
_FLAT = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
# YAML: `name: value`, a list item, a tag such as !!opencv-matrix, and the separators of a list in brackets.
_ENTRY = re.compile(r"( *)(\w+) *: *(.*)")
_ITEM = re.compile(r" *(?:- +)+([-+]?[\d.]+(?:[eE][-+]?\d+)?)")
_TAG = re.compile(r"!\S+")
_BRACKETS = str.maketrans("[],", "   ")
_OTHER_MODELS = ("fisheye", "equidistant", "kannala_brandt", "omnidirectional")


def choose_camera(
    focal_px: Optional[float] = None, fov: Optional[float] = None, intrinsics: Union[str, Path, None] = None
) -> Optional[CameraModel]:
    """Return the camera model of one option, or None without any.

    Raises PoseError for several, or a wrong value.
    """
    given = [
        name
        for name, value in (("--focal-px", focal_px), ("--fov", fov), ("--intrinsics", intrinsics))
        if value is not None
    ]
    if len(given) > 1:
        raise PoseError(f"{' and '.join(given)} contradict each other; give one")
    if focal_px is not None:
        return focal_length(focal_px)
    if fov is not None:
        return field_of_view(fov)
    return None if intrinsics is None else read_intrinsics(intrinsics)


def read_intrinsics(path: Union[str, Path]) -> CameraModel:
    """Return the camera model of a calibration file.

    The file is YAML or JSON with a camera matrix and distortion coefficients, as OpenCV and ROS write it, or
    with fx, fy, cx, cy, k1, k2, p1, p2, k3. If it states the size of the pictures, the camera scales to other
    sizes.

    Raises PoseError for any other file. The model raises PoseError for pictures of another aspect ratio.
    """
    content = read_plain(
        path,
        most_bytes=LARGEST_BYTES,
        error=PoseError,
        advice="give a calibration file of OpenCV (.yaml, .json)",
    )
    try:
        plain = _parse(content.decode("utf-8-sig"))
        camera, size = _camera(plain), _size(plain)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise PoseError(
            f"'{path}' is not a camera calibration: {reason}; it needs fx, fy, cx and cy, or a camera_matrix"
        ) from error
    return lambda shown: _scaled(camera, size, shown, name=str(path))


def _parse(text: str) -> Dict[str, Any]:
    """Return the mapping in JSON, or in YAML of two levels. Raises ValueError if there is none."""
    plain = parse_json(text.encode()) if text.lstrip()[:1] == "{" else _parse_yaml(text)
    if not isinstance(plain, dict) or not plain:
        raise ValueError("it holds no named values")
    return plain


def _parse_yaml(text: str) -> Dict[str, Any]:
    plain: Dict[str, Any] = {}
    level, numbers = plain, []  # type: Dict[str, Any], List[float]
    for line in _whole_lines(text):
        item, entry = _ITEM.fullmatch(line), _ENTRY.fullmatch(line)
        if item:
            numbers.append(float(item.group(1)))
        elif entry:
            indent, name, value = entry.groups()
            level = level if indent else plain
            if value:
                level[name] = _value(value)
                continue
            numbers = []
            level[name] = numbers if indent else {"data": numbers}
            level = level if indent else plain[name]
    return plain


def _whole_lines(text: str) -> Iterator[str]:
    """Yield the lines of YAML without comments and tags; a list in brackets is one line."""
    held: List[str] = []
    opened = 0
    for line in text.splitlines():
        held.append(_TAG.sub("", line.split("#", 1)[0]))
        opened += line.count("[") - line.count("]")
        if opened <= 0:
            yield " ".join(held).rstrip()
            held, opened = [], 0


def _value(text: str) -> Union[str, float, List[float]]:
    try:
        return (
            [float(number) for number in text.translate(_BRACKETS).split()]
            if text.startswith("[")
            else float(text)
        )
    except ValueError:  # a name, or a list of names
        return text.strip("\"'")


def _first(plain: Mapping[str, Any], names: Tuple[str, ...]) -> Any:
    return next((plain[name] for name in names if name in plain), None)


def _array(values: Any) -> List[float]:
    """Return the numbers of a list, of nested lists, or of OpenCV's matrix with `data`."""
    data = values.get("data") if isinstance(values, dict) else values
    return [float(value) for value in np.asarray(data, np.float64).ravel()]


def _camera(plain: Mapping[str, Any]) -> Intrinsics:
    """Return the camera.

    Raises ValueError for missing numbers, numbers out of range, and other distortion models.
    """
    model = str(_first(plain, ("distortion_model", "camera_model", "model")) or "")
    if any(other in model.lower() for other in _OTHER_MODELS):
        raise ValueError(
            f"its distortion model '{model}' is not supported; calibrate with OpenCV's standard model"
        )
    matrix = _first(plain, _MATRIX)
    if matrix is not None:
        values = _array(matrix)
        if len(values) != 9:
            raise ValueError(f"its camera matrix has {len(values)} numbers, not 9")
        x, y, column, row = values[0], values[4], values[2], values[5]
        coefficients = _array(_first(plain, _COEFFICIENTS) or [])
    else:
        x, y, column, row = (float(plain[name]) for name in ("fx", "fy", "cx", "cy"))
        coefficients = [float(plain.get(name, 0.0)) for name in _FLAT]
        coefficients = coefficients if any(coefficients) else []
    if len(coefficients) not in DISTORTIONS:
        raise ValueError(
            f"it has {len(coefficients)} distortion coefficients; "
            f"OpenCV's model has {', '.join(map(str, DISTORTIONS))}"
        )
    if not (np.abs([x, y, column, row, *coefficients]).max() <= LARGEST and min(x, y) >= 1):
        raise ValueError(f"its focal lengths must be at least 1 pixel and no number above {LARGEST:g}")
    return Intrinsics((x, y), (column, row), tuple(coefficients))


def _size(plain: Mapping[str, Any]) -> Optional[Tuple[int, int]]:
    """Return (height, width) of the calibrated pictures, or None if the file does not state it."""
    for width, height in _SIDES:
        if width in plain and height in plain:
            size = int(plain[height]), int(plain[width])
            if min(size) < 1:
                raise ValueError("its picture size must be above 0")
            return size
    return None


def _scaled(
    camera: Intrinsics, size: Optional[Tuple[int, int]], shown: Tuple[int, int], *, name: str
) -> Intrinsics:
    """Return the camera for pictures of size `shown`.

    Raises PoseError if they cannot come from this camera.
    """
    if size is None or size == shown:
        column, row = camera.principal_px
        if 0 <= column < shown[1] and 0 <= row < shown[0]:
            return camera
        raise PoseError(
            f"the principal point of '{name}' lies outside a picture of {shown[1]} x {shown[0]}; "
            "use the calibration of this camera"
        )
    along_y, along_x = shown[0] / size[0], shown[1] / size[1]
    if abs(along_y / along_x - 1) > SAME_SHAPE:
        raise PoseError(
            f"'{name}' is for pictures of {size[1]} x {size[0]}, "
            f"this one has {shown[1]} x {shown[0]}; calibrate at this shape"
        )
    (x, y), (column, row) = camera.focal_px, camera.principal_px
    principal_px = (column + 0.5) * along_x - 0.5, (row + 0.5) * along_y - 0.5
    return Intrinsics((x * along_x, y * along_y), principal_px, camera.distortion)
