"""The 2D teacher of the reference network: PicoDet-S for people, PP-TinyPose for key points.

Any function from a picture to `Detections` is a teacher, see `label_pictures`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ...errors import PosecError

DETECTOR, POSER = "picodet_s_320_lcnet_pedestrian.xml", "tinypose_256_192.xml"
DETECTOR_SIZE, POSER_SIZE = (320, 320), (256, 192)
KEYPOINTS = 17
CELL_PX = 4
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
MIN_SCORE = 0.35
MAX_OVERLAP = 0.5
# Boxes are enlarged by 15 % of their size on each side.
ENLARGEMENT = 1.3
BLUR_CELLS = 3
MIN_HEAT = 1e-10


class Detections(NamedTuple):
    """The N people detected in a picture, in its pixels; N may be 0."""

    boxes: np.ndarray  # (N, 5) float32: x0, y0, x1, y1, score
    keypoints: np.ndarray  # (N, 17, 3) float32: x, y, confidence, in COCO's order


Teacher = Callable[[np.ndarray], Detections]
Network = Callable[[np.ndarray], list[np.ndarray]]


def open_teacher(folder: str | Path, threads: int | None = None) -> Teacher:
    """Return the teacher: a function from a picture (H, W, 3) uint8 BGR to its detections.

    Args:
        folder: with the OpenVINO files of both networks.
        threads: of OpenVINO; None uses all cores.

    Raises PosecError where a file is missing or holds another network.
    """
    detector = _network(Path(folder) / DETECTOR, DETECTOR_SIZE, [(1, 2125, 4), (1, 1, 2125)], threads=threads)
    heat_shape = (1, KEYPOINTS, POSER_SIZE[0] // CELL_PX, POSER_SIZE[1] // CELL_PX)
    poser = _network(
        Path(folder) / POSER,
        POSER_SIZE,
        [heat_shape],
        threads=threads,
    )

    def detect(picture_bgr: np.ndarray) -> Detections:
        height, width = picture_bgr.shape[:2]
        # Cubic interpolation, as for the labels of the reference network: it changes scores near the
        # threshold.
        resized = cv2.resize(picture_bgr, DETECTOR_SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        boxes, scores = detector(_batch(resized))
        to_picture = np.array([width, height, width, height], np.float32) / DETECTOR_SIZE[0]
        kept = distinct_boxes(boxes[0] * to_picture, scores[0, 0])
        people = [_keypoints(picture_bgr, box, poser) for box in kept]
        return Detections(kept, np.array(people, np.float32).reshape(-1, KEYPOINTS, 3))

    return detect


def distinct_boxes(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Apply greedy non-maximum suppression.

    Args:
        boxes: (N, 4) x0, y0, x1, y1.
        scores: (N,).

    Returns:
        The kept boxes with their scores, (K, 5), best first.
    """
    sound = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    boxes, scores = boxes[sound], scores[sound]
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    kept = np.array(cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), MIN_SCORE, MAX_OVERLAP), int).reshape(
        -1
    )
    return np.concatenate([boxes[kept], scores[kept, None]], 1).astype(np.float32)


def crop_of_box(box: np.ndarray) -> np.ndarray:
    """Return the affine map (2, 3) from the picture to the input of the key-point network.

    The box (x0, y0, x1, y1) is enlarged, then padded to an aspect ratio of 3:4. Its corner maps to pixel (0,
    0).
    """
    height, width = POSER_SIZE
    (x0, y0), (x1, y1) = box[:2], box[2:4]
    px_per_px = min(width / (ENLARGEMENT * (x1 - x0)), height / (ENLARGEMENT * (y1 - y0)))
    return np.array(
        [
            [px_per_px, 0, width / 2 - px_per_px * (x0 + x1) / 2],
            [0, px_per_px, height / 2 - px_per_px * (y0 + y1) / 2],
        ]
    )


def find_peaks(heat: np.ndarray) -> np.ndarray:
    """Return the sub-cell peak of each map (J, h, w) as (J, 3) float32: column, row and height.

    The refinement is one Newton step on the logarithm of the blurred map (Zhang et al., "Distribution-aware
    coordinate representation", CVPR 2020), limited to one cell. Peaks at the border, and peaks that are no
    maximum after the blur, stay on their cell.
    """
    peaks = np.zeros((len(heat), 3), np.float32)
    for joint, values in enumerate(heat):
        row, column = (int(index) for index in np.unravel_index(values.argmax(), values.shape))
        peaks[joint] = column, row, values[row, column]
        if 2 <= row < values.shape[0] - 2 and 2 <= column < values.shape[1] - 2:
            blurred = cv2.GaussianBlur(values, (BLUR_CELLS, BLUR_CELLS), 0, borderType=cv2.BORDER_CONSTANT)
            near = blurred[row - 2 : row + 3, column - 2 : column + 3]
            peaks[joint, :2] += _newton_step(np.log(np.maximum(near, MIN_HEAT)))
    return peaks


def _newton_step(near: np.ndarray) -> np.ndarray:
    """Return the offset (x, y) to the maximum of the parabola through a (5, 5) neighbourhood, else (0, 0)."""
    x, y = (near[2, 3] - near[2, 1]) / 2, (near[3, 2] - near[1, 2]) / 2
    xx, yy = (near[2, 4] - 2 * near[2, 2] + near[2, 0]) / 4, (near[4, 2] - 2 * near[2, 2] + near[0, 2]) / 4
    xy = (near[3, 3] - near[1, 3] - near[3, 1] + near[1, 1]) / 4
    if xx >= 0 or xx * yy - xy * xy <= 0:
        return np.zeros(2)
    return np.clip(np.array([xy * y - yy * x, xy * x - xx * y]) / (xx * yy - xy * xy), -1, 1)


def _keypoints(picture_bgr: np.ndarray, box: np.ndarray, poser: Network) -> np.ndarray:
    matrix = crop_of_box(box)
    crop = cv2.warpAffine(picture_bgr, matrix, POSER_SIZE[::-1], flags=cv2.INTER_LINEAR)
    peaks = find_peaks(poser(_batch(crop))[0][0])
    peaks[:, :2] = (peaks[:, :2] * CELL_PX - matrix[:, 2]) / matrix[0, 0]
    return peaks


def _batch(picture_bgr: np.ndarray) -> np.ndarray:
    normalized = (picture_bgr[..., ::-1].astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(normalized.transpose(2, 0, 1)[None])


def _network(
    path: Path, size: tuple[int, int], shapes: list[tuple[int, ...]], *, threads: int | None
) -> Network:
    """Return a network as a function from its input batch to its first outputs of the given shapes."""
    try:
        import openvino
    except ImportError as error:
        raise PosecError(
            f"the teacher runs in OpenVINO, which cannot be imported ({error}): pip install openvino"
        ) from error
    for part in (path, path.with_suffix(".bin")):
        if not part.is_file():
            wanted = f"{DETECTOR} and {POSER} and their .bin files"
            raise PosecError(f"no '{part.name}' in '{part.parent}'; give the folder with {wanted}")
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled: Any = openvino.Core().compile_model(str(path), "CPU", settings)
        ports = [compiled.input(0), *compiled.outputs[: len(shapes)]]
        found = [tuple(port.shape) for port in ports]
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise PosecError(f"OpenVINO cannot open '{path}': {reason}; give the teacher's own files") from error
    required = [(1, 3, *size), *shapes]
    if found != required:
        raise PosecError(
            f"'{path}' is another network: its shapes are {found}, those of the teacher {required}"
        )
    request = compiled.create_infer_request()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        request.infer([batch])
        return [request.get_output_tensor(index).data.astype(np.float32) for index in range(len(shapes))]

    return run
