"""Letterbox and batch: where a picture goes, what each number becomes, and what is refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from networks import tiny_spec

from toolkit.runtime.frame import FrameInput
from toolkit.runtime.preprocess import Batch, PictureError, letterbox, place, to_batch

SPEC = replace(tiny_spec(), pad_value=77)
UNEVEN = replace(SPEC, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))
SIZES = [
    (64, 96),
    (128, 192),
    (720, 1280),
    (480, 640),
    (1080, 607),
    (33, 47),
    (1, 1),
    (17, 90),
    (2000, 500),
    (3, 5),
]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_points_come_back_exactly(size):
    box, _, _ = place(*size, SPEC)
    points = np.random.default_rng(1).uniform(-50, 2100, (200, 2)).astype(np.float32)
    assert box.to_picture(box.to_input(points)) == pytest.approx(points, abs=2e-3)
    assert box.to_input(box.to_picture(points)) == pytest.approx(points, abs=2e-3)


@pytest.mark.parametrize("size", SIZES)
def test_the_picture_fits_and_is_centred(size):
    box, rows, columns = place(*size, SPEC)
    assert rows == 64 or columns == 96
    assert 0 <= box.left - (96 - columns - box.left) + 1 <= 1
    assert 0 <= box.top - (64 - rows - box.top) + 1 <= 1
    # The picture's outer edges are the edges of what it covers, pixel centres at whole numbers.
    edges = box.to_input(np.array([[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]]))
    assert edges == pytest.approx(
        np.array([[box.left, box.top], [box.left + columns, box.top + rows]]) - 0.5, abs=1e-4
    )


@pytest.mark.parametrize("size", [(256, 384), (512, 512), (333, 517), (1001, 1399), (100, 60), (40, 300)])
def test_a_spot_lands_where_the_mapping_puts_it(size):
    y, x = np.mgrid[: size[0], : size[1]]
    at = np.array([0.61 * size[1], 0.37 * size[0]])
    glow = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (0.08 * min(size)) ** 2))
    out = np.empty((64, 96, 3), np.uint8)
    box = letterbox(
        cv2.cvtColor((255 * glow).astype(np.uint8), cv2.COLOR_GRAY2BGR), replace(SPEC, pad_value=0), out
    )
    rows, columns = np.mgrid[:64, :96]
    weight = out[..., 0].astype(float)
    found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    assert found == pytest.approx(box.to_input(at), abs=0.1)


@pytest.mark.parametrize("size", [(128, 192), (480, 640), (720, 1280), (1080, 1920), (333, 517)])
def test_what_is_too_fine_to_be_seen_becomes_grey_and_not_steps(size):
    stripes = np.zeros((*size, 3), np.uint8)
    stripes[:, ::2] = 254
    out = np.empty((64, 96, 3), np.uint8)
    box = letterbox(stripes, SPEC, out)
    rows = slice(box.top + 1, 63 - box.top), slice(box.left + 1, 95 - box.left)
    assert out[rows].mean() == pytest.approx(127, abs=1)
    assert out[rows].std() < 3


def test_the_border_has_the_pad_value_even_after_another_picture():
    out = np.empty((64, 96, 3), np.uint8)
    letterbox(np.zeros((64, 10, 3), np.uint8), SPEC, out)
    box = letterbox(np.full((20, 96, 3), 200, np.uint8), SPEC, out)
    assert (out[: box.top] == 77).all()
    assert (out[box.top + 20 :] == 77).all()
    assert (out[box.top : box.top + 20] == 200).all()


def test_uint8_bgr_is_written_straight_into_the_batch():
    batch = Batch(SPEC, FrameInput("uint8", "NHWC", "BGR", False))
    address = batch.array.ctypes.data
    picture = noise(64, 96)
    batch.fill(picture)
    assert batch.array.ctypes.data == address
    assert (batch.array[0] == picture).all()


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("order", ["BGR", "RGB"])
@pytest.mark.parametrize(
    ("dtype", "normalized"), [("uint8", False), ("int8", False), ("float32", False), ("float32", True)]
)
@pytest.mark.parametrize("spec", [SPEC, UNEVEN])
def test_every_frame_input_holds_the_same_picture(layout, order, dtype, normalized, spec):
    picture = noise(64, 96)
    array, _ = to_batch(picture, spec, FrameInput(dtype, layout, order, normalized))
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    values = array[0].transpose(1, 2, 0) if layout == "NCHW" else array[0]
    bgr = (values if order == "BGR" else values[..., ::-1]).astype(np.float64)
    if normalized:  # the spec's channels are RGB
        bgr = bgr * np.array(spec.std)[::-1] + np.array(spec.mean)[::-1]
    if dtype == "int8":
        bgr = bgr + 128
    assert bgr == pytest.approx(picture.astype(float), abs=1e-4)


@pytest.mark.parametrize(
    "view",
    [
        lambda picture: picture[::-1],
        lambda picture: picture[:, ::-1],
        lambda picture: picture[..., ::-1],
        lambda picture: picture[5:-5, 3:-7],
        lambda picture: np.asfortranarray(picture),
        lambda picture: np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.shape),  # read only
    ],
)
def test_views_are_read_as_numpy_shows_them(view):
    seen = view(noise(128, 192))
    frame = FrameInput("uint8", "NHWC", "BGR", False)
    assert (to_batch(seen, SPEC, frame)[0] == to_batch(np.ascontiguousarray(seen), SPEC, frame)[0]).all()


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (None, "cv2.imread returns None"),
        ([[1, 2]], "got list"),
        (np.zeros((9, 9), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((9, 9, 1), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((9, 9, 4), np.uint8), "COLOR_BGRA2BGR"),
        (np.zeros((9, 9, 2), np.uint8), "got shape"),
        (np.zeros((2, 9, 9, 3), np.uint8), "one picture at a time"),
        (np.zeros((9, 9, 3), np.float32), "convert it to uint8"),
        (np.zeros((9, 9, 3), np.uint16), "convert it to uint8"),
        (np.zeros((0, 9, 3), np.uint8), "empty"),
        (np.zeros((9, 0, 3), np.uint8), "empty"),
        (np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (20000, 9, 3)), "16384"),
        (np.zeros((4000, 20, 3), np.uint8), "less than one cell"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(picture, sentence):
    with pytest.raises(PictureError, match=sentence) as refusal:
        to_batch(picture, SPEC, FrameInput())
    assert "\n" not in str(refusal.value)
