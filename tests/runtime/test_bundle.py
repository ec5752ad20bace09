"""Bundles: written ones are read back, changed or hostile ones are refused, and writes are atomic."""

import json
import os
import shutil

import cv2
import pytest
from networks import spot_picture, tiny_decoder, tiny_spec
from recorded_heads import Recorded, bundle_info, packed, recorded_heads, replay_bundle

from toolkit.runtime.bundle import BundleError, read_bundle, write_bundle
from toolkit.runtime.decoding.decode import decode_heads, no_people
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.preprocess import place


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
