"""The 2D teacher: its steps on arrays, and the pair of networks with stand-ins that detect bright dots.

Where POSEC_DATA is the data folder, the real networks are compared with stored labels.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from toolkit.errors import PosecError
from toolkit.training.labels.label_files import read_teacher
from toolkit.training.labels.label_pictures import label_pictures, main
from toolkit.training.labels.teacher import (
    DETECTOR,
    POSER,
    Detections,
    crop_of_box,
    distinct_boxes,
    find_peaks,
    open_teacher,
)

pytestmark = pytest.mark.torch
BOX = (100.0, 40.0, 180.0, 220.0)


def test_the_best_of_overlapping_boxes_is_kept() -> None:
    boxes = np.array(
        [(10, 10, 50, 90), (12, 8, 52, 92), (60, 10, 100, 90), (70, 10, 110, 90), (0, 0, 9, 9)], np.float32
    )
    found = distinct_boxes(boxes, np.array([0.6, 0.9, 0.8, 0.5, 0.34], np.float32))
    # The first two overlap by 0.85, the next two by 0.6; the score of the last is too low.
    np.testing.assert_allclose(found, [(12, 8, 52, 92, 0.9), (60, 10, 100, 90, 0.8)], rtol=1e-6)
    beside = distinct_boxes(boxes[2:4] + np.array([[0], [10]], np.float32), np.array([0.5, 0.6], np.float32))
    assert beside[:, 0].tolist() == [80, 60]  # overlap 1/3: two people


def test_degenerate_boxes_are_no_people() -> None:
    broken = np.array([(10, 10, 10, 90), (50, 10, 20, 90), (np.nan, 0, 9, 9), (0, 0, np.inf, 9)], np.float32)
    assert distinct_boxes(broken, np.full(4, 0.9, np.float32)).shape == (0, 5)
    assert distinct_boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)).shape == (0, 5)


@pytest.mark.parametrize(
    ("box", "fills"), [((10, 20, 70, 420), 1), ((10, 20, 410, 80), 0)], ids=["tall", "wide"]
)
def test_a_box_is_enlarged_by_15_percent_on_each_side_and_keeps_its_middle(
    box: tuple[float, ...], fills: int
) -> None:
    matrix = crop_of_box(np.array(box))
    corners = np.array([box[:2], box[2:]]) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(corners.mean(0), (96, 128))
    assert matrix[0, 0] == matrix[1, 1]
    assert np.ptp(corners, axis=0)[fills] == pytest.approx((192, 256)[fills] / 1.3)
    assert np.ptp(corners, axis=0)[1 - fills] < (192, 256)[1 - fills] / 1.3


def blobs(*centres: tuple[float, float], height: float = 0.8) -> np.ndarray:
    rows, columns = np.mgrid[:64, :48]
    return np.array(
        [height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2)) for x, y in centres],
        np.float32,
    )


def test_peaks_are_refined_between_the_cells() -> None:
    centres = [(20.0, 30.0), (20.4, 29.7), (5.25, 60.1), (44.9, 2.6)]
    found = find_peaks(blobs(*centres))
    np.testing.assert_allclose(found[:, :2], centres, atol=0.05)
    np.testing.assert_allclose(found[:, 2], 0.8, rtol=0.05)


def test_peaks_at_the_border_and_on_plateaus_stay_on_their_cell() -> None:
    assert find_peaks(blobs((0.3, 1.4), (46.6, 63.0)))[:, :2].tolist() == [[0, 1], [47, 63]]
    flat = np.stack([np.zeros((64, 48)), np.full((64, 48), 0.5)]).astype(np.float32)
    assert find_peaks(flat).tolist() == [[0, 0, 0], [0, 0, 0.5]]
    ridge = np.zeros((1, 64, 48), np.float32)
    ridge[0, 30] = 0.7
    ridge[0, 30, 20:] += np.linspace(0, 0.1, 28)
    lonely = np.zeros((1, 64, 48), np.float32)
    lonely[0, 30, 20] = 1
    for odd in (ridge, lonely, -blobs((20, 30))):
        found = find_peaks(odd)
        row, column = divmod(int(odd[0].argmax()), 48)
        assert np.abs(found[0, :2] - (column, row)).max() <= 1


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher's folder: the detector always finds BOX in 320 x 320, key points are the brightest red."""
    openvino = pytest.importorskip("openvino")
    ops = openvino.opset13
    folder = tmp_path_factory.mktemp("teacher")
    image = ops.parameter([1, 3, 320, 320], np.float32)
    boxes, scores = np.zeros((1, 2125, 4), np.float32), np.zeros((1, 1, 2125), np.float32)
    boxes[0, :2], scores[0, 0, :2] = (BOX, np.array(BOX) + 3), (0.9, 0.8)
    nothing = ops.multiply(ops.reduce_sum(image, [0, 1, 2, 3]), np.float32(0))
    detector = openvino.Model(
        [ops.add(ops.constant(boxes), nothing), ops.add(ops.constant(scores), nothing)], [image]
    )
    openvino.save_model(detector, folder / DETECTOR, compress_to_fp16=False)
    image = ops.parameter([1, 3, 256, 192], np.float32)
    red = ops.add(ops.multiply(image, np.float32(0.229)), np.float32(0.485))
    sampled = ops.strided_slice(red, [0, 0, 0, 0], [1, 1, 256, 192], [1, 1, 4, 4], [0] * 4, [0] * 4)
    poser = openvino.Model(
        [ops.broadcast(sampled, [1, 17, 64, 48]), ops.constant(np.zeros((1, 17), np.int64))], [image]
    )
    openvino.save_model(poser, folder / POSER, compress_to_fp16=False)
    return folder


def dotted(x: float, y: float, size: tuple[int, int] = (320, 320)) -> np.ndarray:
    """A black picture of a size (height, width) with a red dot."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    picture = np.zeros((*size, 3), np.uint8)
    picture[..., 2] = np.round(240 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6.0**2)))
    return picture


@pytest.mark.openvino
def test_boxes_and_key_points_are_in_pixels_of_the_picture(stand_in: Path) -> None:
    teacher = open_teacher(stand_in, threads=1)
    found = teacher(dotted(120.3, 90.8))
    np.testing.assert_allclose(found.boxes, [(*BOX, 0.9)], rtol=1e-5)
    assert found.keypoints.shape == (1, 17, 3)
    np.testing.assert_allclose(found.keypoints[0, :, :2], [(120.3, 90.8)] * 17, atol=0.2)
    # The height of the nearest cell, at most 2 x 2 input px from the dot, whose deviation is 6.6 px.
    assert (found.keypoints[0, :, 2] <= 240 / 255).all()
    assert (found.keypoints[0, :, 2] >= 240 / 255 * np.exp(-8 / (2 * 6.5**2))).all()
    # Twice as wide: the detector's box is stretched, key points are where the dot is.
    wide = teacher(dotted(270, 130, (320, 640)))
    np.testing.assert_allclose(wide.boxes[:, :4], [np.array(BOX) * (2, 1, 2, 1)], rtol=1e-5)
    np.testing.assert_allclose(wide.keypoints[0, :, :2], [(270, 130)] * 17, atol=0.2)


@pytest.mark.openvino
def test_missing_or_wrong_network_files_are_refused(stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(PosecError, match=f"no '{DETECTOR}'"):
        open_teacher(tmp_path)
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    for name, other in ((DETECTOR, POSER), (POSER, DETECTOR)):
        for suffix in (".xml", ".bin"):
            shutil.copy((stand_in / other).with_suffix(suffix), (swapped / name).with_suffix(suffix))
    with pytest.raises(PosecError, match="is another network"):
        open_teacher(swapped)
    (swapped / DETECTOR).write_text("<net")
    with pytest.raises(PosecError, match="OpenVINO cannot open"):
        open_teacher(swapped)


def run_teacher(teacher: Path, pictures: Path, out: Path) -> None:
    main(["--teacher", str(teacher), "--pictures", str(pictures), "--out", str(out), "--threads", "1"])


def write_pictures(folder: Path) -> Path:
    """b.png (40 x 60): two people; a.jpg (50 x 30): none; c.png (40 x 60): one; a text, a damaged picture."""
    folder.mkdir()
    for name, size in (("b.png", (40, 60)), ("a.jpg", (50, 30)), ("c.png", (40, 60))):
        cv2.imwrite(str(folder / name), np.full((*size, 3), {"a": 0, "b": 200, "c": 100}[name[0]], np.uint8))
    (folder / "notes.txt").write_text("no picture")
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8 no picture either")
    return folder


def by_brightness(picture_bgr: np.ndarray) -> Detections:
    count = int(picture_bgr.mean() / 90)
    return Detections(
        np.tile([1.0, 2, 30, 40, 0.9], (count, 1)), np.arange(count * 51.0).reshape(count, 17, 3)
    )


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_any_function_from_a_picture_to_people_is_a_teacher(tmp_path: Path, packed: bool) -> None:
    source = write_pictures(tmp_path / "pictures")
    if packed:
        with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
            for file in source.iterdir():
                archive.add(file, file.name)
        source = tmp_path / "pictures.tar"
    progress: list[tuple[int, int]] = []
    skipped: list[str] = []
    labels = label_pictures(by_brightness, source, lambda *done: progress.append(done), report=skipped.append)
    assert labels["names"].tolist() == ["a.jpg", "b.png", "c.png"]
    assert labels["ptr"].tolist() == [0, 0, 2, 3]
    assert labels["size_wh"].tolist() == [[30, 50], [60, 40], [60, 40]]
    assert (labels["boxes"].shape, labels["kpts"].shape) == ((3, 5), (3, 17, 3))
    assert labels["boxes"].dtype == labels["kpts"].dtype == np.float32
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(skipped) == 1
    assert "damaged.jpg" in skipped[0]


@pytest.mark.openvino
def test_the_command_writes_what_the_next_stage_reads(
    stand_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = write_pictures(tmp_path / "pictures")
    cv2.imwrite(str(pictures / "dot.png"), dotted(110, 100))
    run_teacher(stand_in, pictures, tmp_path / "out.npz")
    printed = capsys.readouterr()
    assert "4 people in 4 pictures" in printed.out
    assert "5 of 5 pictures" in printed.err
    kept = read_teacher(tmp_path / "out.npz")
    assert kept["names"].tolist() == ["a.jpg", "b.png", "c.png", "dot.png"]
    np.testing.assert_allclose(kept["kpts"][3, :, :2], [(110, 100)] * 17, atol=0.2)


@pytest.mark.parametrize(
    ("boxes", "keypoints"),
    [
        (np.zeros((1, 4)), np.zeros((1, 17, 3))),
        (np.zeros((2, 5)), np.zeros((1, 17, 3))),
        (np.zeros((1, 5)), np.full((1, 17, 3), np.nan)),
    ],
    ids=["no score", "counts differ", "not finite"],
)
def test_results_of_other_shapes_are_refused(
    tmp_path: Path, boxes: np.ndarray, keypoints: np.ndarray
) -> None:
    with pytest.raises(PosecError, match=r"the teacher's .* of 'a.jpg' must be finite"):
        label_pictures(lambda _: Detections(boxes, keypoints), write_pictures(tmp_path / "pictures"))


def test_sources_without_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PosecError, match="no pictures in"):
        label_pictures(by_brightness, tmp_path / "empty")
    with pytest.raises(PosecError, match="cannot read pictures from"):
        label_pictures(by_brightness, tmp_path / "missing.tar")
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as archive:
        archive.add(write_pictures(tmp_path / "pictures"), "pictures")
    with pytest.raises(PosecError, match="not compressed"):
        label_pictures(by_brightness, tmp_path / "packed.tar.gz")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(PosecError, match="none of the 1 pictures"):
        label_pictures(by_brightness, tmp_path / "broken", report=lambda _: None)


def test_links_and_outside_names_in_a_tar_are_ignored(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    cv2.imwrite(str(secret), np.full((40, 60, 3), 200, np.uint8))
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
        archive.addfile(link)
        archive.add(secret, "../outside.png")
        archive.add(secret, "inside.png")
    labels = label_pictures(by_brightness, tmp_path / "pictures.tar")
    assert labels["names"].tolist() == ["inside.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures.tar", "secret.png"]


@pytest.mark.openvino
def test_nothing_is_written_on_failure(stand_in: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PosecError, match="no pictures"):
        run_teacher(stand_in, tmp_path / "empty", tmp_path / "out.npz")
    with pytest.raises(PosecError, match="no folder"):
        run_teacher(stand_in, tmp_path, tmp_path / "nowhere/out.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


DATA = os.environ.get("POSEC_DATA")


@pytest.mark.openvino
@pytest.mark.skipif(
    not DATA,
    reason="set POSEC_DATA to the data folder of docs/train.md, with teacher/, labels/ and eval/tiny_coco/",
)
def test_the_teacher_reproduces_the_stored_labels(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    data = Path(str(DATA))
    found = label_pictures(open_teacher(data / "teacher", threads=1), data / "eval/tiny_coco/images.tar")
    kept = read_teacher(data / "labels/tiny_coco.npz")
    assert found["names"].tolist() == kept["names"].tolist()
    apart, missing = [], 0
    for index in range(len(kept["names"])):
        mine, theirs = (slice(*labels["ptr"][index : index + 2]) for labels in (found, kept))
        for box, keypoints in zip(kept["boxes"][theirs], kept["kpts"][theirs], strict=True):
            near = np.abs(found["boxes"][mine, :4] - box).max(1)
            if not near.size or near.min() > 8:
                missing += 1
                continue
            sure = keypoints[:, 2] > 0.5
            apart += np.linalg.norm(
                found["kpts"][mine][near.argmin(), sure, :2] - keypoints[sure, :2], axis=1
            ).tolist()
    # The stored labels were computed in bfloat16: boxes and detections near the threshold differ.
    assert missing <= 0.06 * len(kept["kpts"])
    assert np.median(apart) < 0.5
    assert np.mean(np.array(apart) < 1.7) > 0.9
