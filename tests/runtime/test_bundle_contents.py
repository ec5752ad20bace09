"""Decoders and golden people of a bundle: of the right size and type, or refused in a sentence."""

import json
import shutil

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_decoder, tiny_spec
from recorded_heads import bundle_info, packed, recorded_heads

from toolkit.runtime.bundle import BundleError, write_bundle


def test_a_decoder_that_does_not_fit_is_refused(tmp_path):
    for arrays, sentence in (
        (
            {"weight_0": np.zeros((48, 5), np.float32), "bias_0": np.zeros(48, np.float32)},
            r"takes and gives \(5, 48\) numbers",
        ),
        ({"weight_0": np.zeros((48, 8), np.float32)}, "pose decoder needs weight_0, bias_0"),
        ({"weight_0": np.array([{}], object), "bias_0": np.zeros(1)}, "not a readable"),
    ):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        bundle = write_bundle(tmp_path / "b", bundle_info(), {"heads.npz": b"", "pose.npz": packed(arrays)})
        with pytest.raises(BundleError, match=sentence):
            bundle.decoder()


def test_a_bomb_of_zeros_is_not_unpacked(tmp_path):
    import zipfile

    with (
        zipfile.ZipFile(tmp_path / "pose.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("weight_0.npy", "w") as member,
    ):
        for _ in range(513):
            member.write(bytes(2**20))
    bundle = write_bundle(
        tmp_path / "b", bundle_info(), {"heads.npz": b"", "pose.npz": (tmp_path / "pose.npz").read_bytes()}
    )
    with pytest.raises(BundleError, match="unpacks to"):
        bundle.decoder()


def golden_bundle(folder, people, pictures=None):
    """Write a bundle whose golden people are the given text."""
    pictures = [spot_picture(0, 0)] if pictures is None else pictures
    files = {
        "heads.npz": packed(recorded_heads([])),
        "pose.npz": packed(tiny_decoder()),
        "golden/people.json": people,
    }
    files.update(
        {
            f"golden/{i:03d}.png": cv2.imencode(".png", picture)[1].tobytes()
            for i, picture in enumerate(pictures)
        }
    )
    return write_bundle(folder, bundle_info(), files)


def person(**changes):
    joints = len(tiny_spec().skeleton.names)
    plain = {
        "scores": [0.5],
        "centres_px": [[1, 2]],
        "joints_mm": [[[0, 0, 0]] * joints],
        "roots_mm": [[0, 0, 1]],
        "joints_px": [[[0, 0]] * joints],
    }
    return json.dumps([{**plain, **changes}])


GOLDEN = {
    "no JSON": "[",
    "deep": "[" * 100_000,
    "a table": "{}",
    "fewer entries": "[]",
    "a number for people": "[1]",
    "a field missing": '[{"scores": []}]',
    "a number of 400 digits": person(scores=[10**400]),
    "a number beyond float32": person(roots_mm=[[0, 0, 1e300]]),
    "NaN": person(scores=[float("nan")]),
    "infinity": person(scores=[float("inf")]),
    "a text": person(scores=["much"]),
    "ragged": person(centres_px=[[1], [1, 2]]),
    "other joints": person(joints_mm=[[[0, 0, 0]] * 5]),
    "another count": person(scores=[0.5, 0.4]),
    "99 MB": "[" + " " * 99_000_000 + "]",
}


@pytest.mark.parametrize("text", GOLDEN.values(), ids=GOLDEN)
def test_golden_people_that_are_none_are_refused_in_a_sentence(text, tmp_path):
    bundle = golden_bundle(tmp_path / "b", text.encode())
    with pytest.raises(BundleError) as refusal:
        bundle.golden()
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_more_golden_pixels_than_memory_should_hold_are_refused(tmp_path):
    large = np.zeros((8000, 8000), np.uint8)
    bundle = golden_bundle(tmp_path / "b", ("[" + ",".join([person()[1:-1]] * 5) + "]").encode(), [large] * 5)
    with pytest.raises(BundleError, match="more than 256 million pixels"):
        bundle.golden()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_0": np.full((16, 8), np.nan, np.float32)}, "weight_0 holds NaN or infinity"),
        ({"bias_1": np.full(48, np.inf, np.float32)}, "bias_1 holds NaN or infinity"),
        ({"weight_0": np.full((16, 8), 1e300)}, "weight_0 holds NaN or infinity"),
        (
            {"weight_0": np.full((16, 8), 1e30, np.float32), "weight_1": np.full((48, 16), 1e30, np.float32)},
            "overflows",
        ),
        ({"weight_0": np.ones((16, 8), np.int32)}, "must hold floating-point numbers"),
        ({"weight_0": np.full((16, 8), "a")}, "must hold floating-point numbers"),
    ],
)
def test_a_decoder_that_yields_no_numbers_is_refused(tmp_path, changes, words):
    bundle = write_bundle(
        tmp_path / "b", bundle_info(), {"heads.npz": b"", "pose.npz": packed({**tiny_decoder(), **changes})}
    )
    with pytest.raises(BundleError, match=words):
        bundle.decoder()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_a_decoder_of_another_floating_point_type_is_read(tmp_path, dtype):
    arrays = {name: values.astype(dtype) for name, values in tiny_decoder().items()}
    bundle = write_bundle(tmp_path / "b", bundle_info(), {"heads.npz": b"", "pose.npz": packed(arrays)})
    for (weight, _), stored in zip(bundle.decoder(), (arrays["weight_0"], arrays["weight_1"]), strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, stored.astype(np.float32))
