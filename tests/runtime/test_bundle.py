"""Bundles: written ones are read back, changed or hostile ones are refused, and writes are atomic."""

import json
import os
import resource
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_decoder, tiny_spec
from recorded_heads import Recorded, bundle_info, packed, recorded_heads, replay_bundle

from toolkit.runtime.bundle import BundleError, read_bundle, write_bundle
from toolkit.runtime.decoding.decode import decode_heads, no_people
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.preprocess import place


@pytest.fixture
def folder(tmp_path):
    replay_bundle(tmp_path / "tiny", recorded_heads([]))
    return tmp_path / "tiny"


def rewrite(folder, **changes):
    path = folder / "bundle.json"
    plain = json.loads(path.read_text())
    plain.update(changes)
    path.write_text(json.dumps({name: value for name, value in plain.items() if value != "drop"}))


def test_what_is_written_is_read(tmp_path):
    written = replay_bundle(
        tmp_path / "tiny", recorded_heads([]), options={"threads": 2}, float_layers=["/Conv_1"]
    )
    read = read_bundle(tmp_path / "tiny")
    assert read == written
    assert read.spec == tiny_spec()
    assert read.passes == (("fold_batch_norm", 3),)
    assert read.frame.colour_order == "BGR"
    assert read.model_path.is_file()
    assert [weight.shape for weight, _ in read.decoder()] == [(16, 8), (48, 16)]
    assert os.listdir(tmp_path) == ["tiny"]


def test_golden_pictures_come_with_their_people(tmp_path):
    spec, pictures = tiny_spec(), [spot_picture(0, 0), spot_picture(2, 1)]
    heads = recorded_heads([Recorded(3, 4)], spec)
    one_person = decode_heads(heads, spec, layers(tiny_decoder()), letterbox=place(120, 160, spec)[0])
    people = [{**frame.to_dict(), "focal_px": None} for frame in (no_people(spec), one_person)]
    files = {
        "heads.npz": packed(heads),
        "pose.npz": packed(tiny_decoder()),
        "golden/people.json": json.dumps(people).encode(),
    }
    files.update(
        {
            f"golden/{i:03d}.png": cv2.imencode(".png", picture)[1].tobytes()
            for i, picture in enumerate(pictures)
        }
    )
    write_bundle(tmp_path / "b", bundle_info(), files)
    golden = read_bundle(tmp_path / "b").golden()
    assert [len(frame) for _, frame in golden] == [0, 1]
    assert all((read == picture).all() for (read, _), picture in zip(golden, pictures, strict=True))
    assert golden[1][1].joints_mm == pytest.approx(one_person.joints_mm, abs=1e-3)


def test_one_flipped_byte_is_found(folder):
    path = folder / "heads.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"'heads\.npz' is not the one that was exported"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["heads.npz", "pose.npz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"'{name}' is missing; copy the whole bundle again"):
        read_bundle(folder)


def test_a_folder_that_is_no_bundle(tmp_path):
    for where in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(
            BundleError, match=r"no bundle\.json in .*; give the directory that `posec export` wrote"
        ):
            read_bundle(where)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": 2}, "has format 2, this runtime reads up to 1; update posec"),
        ({"format": "drop"}, "no bundle format number"),
        ({"format": True}, "no bundle format number"),
        ({"engine": "drop"}, r"missing fields: \['engine'\]"),
        ({"color": 1}, r"unknown fields: \['color'\]"),
        ({"engine": 5}, "field 'engine' must be str, got int"),
        ({"frame": {"dtype": "uint8", "planes": 3}}, "planes"),
        ({"frame": {"dtype": "bool"}}, "frame dtype must be one of uint8, int8, float32"),
        ({"frame": {"dtype": ["uint8"]}}, "frame dtype must be one of"),
        ({"spec": {}}, "incomplete pose specification"),
        ({"spec": {**tiny_spec().to_dict(), "input_size": [10**8, 10**8]}}, "at most 4096 x 4096"),
        ({"spec": {**tiny_spec().to_dict(), "input_size": [64.0, 96.0]}}, "whole numbers"),
        ({"spec": {**tiny_spec().to_dict(), "stride": "8"}}, "whole numbers|incomplete"),
        ({"spec": {**tiny_spec().to_dict(), "centre_joints": ["tail"]}}, "no joint 'tail'"),
        (
            {"spec": {**tiny_spec().to_dict(), "mean": [1.0, 2.0, [3.0]]}},
            "mean and std must be a list of numbers",
        ),
        ({"spec": {**tiny_spec().to_dict(), "focal_default": 1e300}}, "must be finite numbers"),
        ({"passes": [["a", 1e999]]}, "not a finite number"),
        ({"allowed": {"drift_mm": -1}}, "a finite number from 0 on"),
        ({"target": "../../x"}, "field 'target' must be a plain name"),
        ({"precision": "a/b"}, "field 'precision' must be a plain name"),
        ({"precision": "int3"}, "precision 'int3'; known: float32"),
        ({"engine": "os.system;x"}, "field 'engine' must be a plain name"),
        ({"passes": [["a"]]}, "not enough values"),
        ({"allowed": {"drift_mm": "far"}}, "could not convert"),
        ({"model": "other.onnx"}, r"'other\.onnx' is not among its files"),
    ],
)
def test_a_description_that_is_wrong_is_refused_in_one_sentence(folder, changes, sentence):
    rewrite(folder, **changes)
    with pytest.raises(BundleError, match=sentence) as refusal:
        read_bundle(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": 1e999}', b"null", b"9" * 10_000]
)
def test_a_description_that_is_no_json_object_is_refused(folder, content):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "a/../../b",
        "a\\b",
        "",
        ".",
        "..",
        "a//b",
        "./a",
        ".hidden",
        "a\x00b",
        "bundle.json",
        "C:/x",
        "x" * 300,
        "-rf",
        "~/x",
    ],
)
def test_a_path_that_leads_out_is_refused(folder, tmp_path, name):
    files = json.loads((folder / "bundle.json").read_text())["files"]
    rewrite(folder, files={**files, name: "0" * 64})
    with pytest.raises(BundleError, match="plain relative names"):
        read_bundle(folder)
    with pytest.raises(BundleError, match="plain relative names"):
        write_bundle(tmp_path / "other", bundle_info(), {"heads.npz": b"", "pose.npz": b"", name: b""})
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("digest", ["", "0" * 63, "Z" * 64, 7, None])
def test_a_digest_that_is_none_is_refused(folder, digest):
    files = json.loads((folder / "bundle.json").read_text())["files"]
    rewrite(folder, files={**files, "heads.npz": digest})
    with pytest.raises(BundleError, match="SHA-256"):
        read_bundle(folder)


def test_links_are_refused(folder, tmp_path):
    shutil.move(folder / "heads.npz", tmp_path / "heads.npz")
    os.symlink(tmp_path / "heads.npz", folder / "heads.npz")
    with pytest.raises(BundleError, match="through a link"):
        read_bundle(folder)


def test_linked_folders_are_refused(tmp_path):
    files = {
        "heads.npz": packed(recorded_heads([])),
        "pose.npz": packed(tiny_decoder()),
        "golden/people.json": b"[]",
    }
    write_bundle(tmp_path / "b", bundle_info(), files)
    shutil.move(tmp_path / "b" / "golden", tmp_path / "golden")
    os.symlink(tmp_path / "golden", tmp_path / "b" / "golden")
    with pytest.raises(BundleError, match="through a link"):
        read_bundle(tmp_path / "b")


def test_a_folder_in_a_file_s_place_is_refused(folder):
    (folder / "heads.npz").unlink()
    (folder / "heads.npz").mkdir()
    with pytest.raises(BundleError, match="plain file"):
        read_bundle(folder)


def test_a_description_that_is_too_long_is_refused(folder):
    (folder / "bundle.json").write_bytes(b" " * (8 * 2**20 + 1))
    with pytest.raises(BundleError, match="8388609 bytes, more than the 8388608 allowed"):
        read_bundle(folder)


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


def test_an_existing_folder_is_kept(folder, tmp_path):
    with pytest.raises(BundleError, match="is there already; overwrite it"):
        replay_bundle(folder, recorded_heads([]))
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"dear")
    for overwrite in (False, True):
        with pytest.raises(BundleError, match="is not a bundle; give another name"):
            write_bundle(
                tmp_path / "holiday", bundle_info(), {"heads.npz": b"", "pose.npz": b""}, overwrite=overwrite
            )
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"dear"


def test_overwriting_replaces_the_whole_bundle(folder, tmp_path):
    (folder / "stale.plan").write_bytes(b"old")
    write_bundle(folder, bundle_info(name="new"), {"heads.npz": b"1", "pose.npz": b"2"}, overwrite=True)
    assert read_bundle(folder).name == "new"
    assert sorted(os.listdir(folder)) == ["bundle.json", "heads.npz", "pose.npz"]
    assert os.listdir(tmp_path) == ["tiny"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "new").mkdir()
    write_bundle(tmp_path / "new", bundle_info(), {"heads.npz": b"1", "pose.npz": b"2"})
    assert read_bundle(tmp_path / "new").name == "tiny"


def test_a_wrong_field_writes_nothing(tmp_path):
    with pytest.raises(BundleError, match="missing fields"):
        write_bundle(tmp_path / "b", {"name": "tiny"}, {"heads.npz": b""})
    assert os.listdir(tmp_path) == []


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path):
    code = (
        "import resource, signal, sys; sys.path[:0] = sys.argv[2:]; signal.signal(signal.SIGXFSZ, "
        "signal.SIG_IGN)\n"
        "from recorded_heads import bundle_info\nfrom toolkit.runtime.bundle import write_bundle, "
        "BundleError\n"
        "files = {'heads.npz': b'1' * 1000, 'pose.npz': b'2' * 100_000}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n    write_bundle(sys.argv[1], bundle_info(), files)\nexcept BundleError as error:\n    "
        "print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b"), *filter(None, sys.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot write bundle" in done.stdout
    assert "nothing was written" in done.stdout
    assert os.listdir(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def test_an_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match="cannot write bundle"):
        write_bundle(tmp_path / "file" / "b", bundle_info(), {"heads.npz": b"", "pose.npz": b""})


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


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "9" * 400])
def test_a_description_holds_finite_numbers_of_ordinary_size_alone(folder, text):
    path = folder / "bundle.json"
    path.write_text(path.read_text().replace('"drift_mm": 8.0', f'"drift_mm": {text}'))
    assert text in path.read_text()
    with pytest.raises(BundleError, match=r"bundle\.json' is not JSON"):
        read_bundle(folder)


def test_a_pipe_in_place_of_any_file_is_refused_at_once(folder):
    for name in ("heads.npz", "bundle.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(BundleError, match="a pipe or a device"):
            read_bundle(folder)


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
