"""A checkpoint's files are plain, bounded and finite, and its skeleton can be decoded, or it is refused."""

from __future__ import annotations

import dataclasses
import os
import shutil

import numpy as np
import onnx
import pytest
from networks import tiny_decoder, tiny_model, tiny_spec, toml
from onnx import numpy_helper
from safetensors.numpy import save_file

from toolkit.cli import main
from toolkit.frontend.trace import trace
from toolkit.runtime.pose import Skeleton


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    return shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")


def planned(folder, capsys):
    """Return the exit status of `posec plan` and its only line on standard error."""
    status = main(["plan", str(folder), "--target", "generic-cpu"])
    lines = capsys.readouterr().err.strip().splitlines()
    return status, lines[-1] if lines else ""


@pytest.mark.parametrize("name", ["spec.toml", "pose.safetensors", "model.onnx"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_anything_but_a_plain_file_is_refused_at_once(name, kind, folder, capsys):
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "device":
        (folder / name).symlink_to("/dev/zero")
    else:
        (folder / name).mkdir()
    status, line = planned(folder, capsys)
    assert status == 2
    assert "not a plain file" in line


COCO = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
TREE = {
    "parents": (-1, 0, 0, 1, 2),
    "bones": (1, 2, 3, 4),
    "bone_lengths_mm": (200,) * 4,
    "mirror": (0, 2, 1, 4, 3),
}


@pytest.mark.parametrize(
    "names",
    [COCO, ("pelvis", *COCO[1:]), ("neck", "pelvis", *COCO[2:])],
    ids=["neither", "no neck", "another root"],
)
def test_a_skeleton_without_a_torso_is_refused_when_traced(names, folder, capsys):
    skeleton = Skeleton(names, **TREE)
    spec = dataclasses.replace(tiny_spec(), skeleton=skeleton, centre_joints=(names[-1],))
    (folder / "spec.toml").write_text(toml({**spec.to_dict(), "checkpoint": {"network": "model.onnx"}}))
    status, line = planned(folder, capsys)
    assert status == 2
    assert "'pelvis' as the root and a 'neck'" in line
    assert "add the middle of the hips and of the shoulders" in line


def change_spec(folder, **changes):
    plain = {**tiny_spec().to_dict(), **changes}
    (folder / "spec.toml").write_text(toml({**plain, "checkpoint": {"network": "model.onnx"}}))


def head(name, **changes):
    heads = {key: vars(value) for key, value in tiny_spec().heads.items()}
    return {"heads": {**heads, name: {**heads[name], **changes}}}


def skeleton(**changes):
    plain = tiny_spec().to_dict()["skeleton"]
    return {"skeleton": {**plain, **changes}}


WRONG = {
    "a bone of no length": (skeleton(bone_lengths_mm=[0] + [100] * 15), "above 0"),
    "a bone of negative length": (skeleton(bone_lengths_mm=[-1] + [100] * 15), "above 0"),
    "a joint twice": (skeleton(names=["neck"] * 17), "all be different"),
    "control characters in a joint": (
        skeleton(names=["a\x1b[2J", *tiny_spec().skeleton.names[1:]]),
        "printable",
    ),
    "control characters in the name": ({"name": "a\x1b[2J"}, "printable"),
    "a threshold of 0": ({"centre_threshold": 0.0}, "between 0 and 1"),
    "a threshold of 2": ({"centre_threshold": 2.0}, "between 0 and 1"),
    "a depth that overflows": (head("depth", high=1000.0), "logarithm"),
    "low above high": (head("depth", low=3.0, high=-3.0), "low below high"),
    "a negative size": ({"input_size": [-64, -96]}, "a positive multiple"),
    "no channels": (head("embedding", channels=0), "1 to 4096 channels"),
    "many channels": (head("embedding", channels=10**8), "1 to 4096 channels"),
    "a division by nearly 0": ({"std": [1e-30, 1.0, 1.0]}, "std must be"),
    "a reference of nearly 0": ({"reference_px_per_m": 1e-30}, "reference_px_per_m"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_a_specification_by_which_people_could_not_be_decoded_is_refused(changes, words, folder, capsys):
    change_spec(folder, **changes)
    status, line = planned(folder, capsys)
    assert status == 2
    assert words in line


def bfloat16(values):
    return (values.view("<u4") >> 16).astype("<u2")


def write_bfloat16(path, arrays):
    import json

    header, data = {}, b""
    for name, values in arrays.items():
        raw = bfloat16(values).tobytes()
        header[name] = {
            "dtype": "BF16",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_a_decoder_in_bfloat16_is_read(folder, capsys):
    write_bfloat16(folder / "pose.safetensors", tiny_decoder())
    assert planned(folder, capsys)[0] == 0
    for name, values in trace(folder).decoder.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, tiny_decoder()[name], rtol=2**-7)
        np.testing.assert_array_equal(bfloat16(values), bfloat16(tiny_decoder()[name]))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_a_decoder_of_another_floating_point_type_is_read(dtype, folder, capsys):
    save_file(
        {name: values.astype(dtype) for name, values in tiny_decoder().items()}, folder / "pose.safetensors"
    )
    assert planned(folder, capsys)[0] == 0
    for name, values in trace(folder).decoder.items():
        np.testing.assert_allclose(values, tiny_decoder()[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_decoder_that_is_not_finite_is_refused(value, folder, capsys):
    decoder = tiny_decoder()
    decoder["weight_0"][0, 0] = value
    save_file(decoder, folder / "pose.safetensors")
    status, line = planned(folder, capsys)
    assert status == 2
    assert "weight_0 holds NaN or infinity" in line


def test_a_decoder_of_whole_numbers_is_refused(folder, capsys):
    save_file(
        {name: values.astype(np.int32) for name, values in tiny_decoder().items()},
        folder / "pose.safetensors",
    )
    status, line = planned(folder, capsys)
    assert status == 2
    assert "save it as float32" in line


@pytest.mark.parametrize(
    ("operator", "value"), [("Conv", np.nan), ("Conv", np.inf), ("BatchNormalization", np.nan)]
)
def test_weights_that_are_not_finite_are_refused(operator, value, folder, capsys):
    model = tiny_model()
    node = next(node for node in model.graph.node if node.op_type == operator)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    values = numpy_helper.to_array(tensor).copy()
    values.ravel()[0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, folder / "model.onnx")
    status, line = planned(folder, capsys)
    assert status == 2
    assert "holds NaN" in line


def test_weights_of_the_reference_architecture_that_are_not_finite_are_refused(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from toolkit.frontend.trace import REFERENCE, checkpoint_folder
    from toolkit.network.checkpoint import load_checkpoint, save_checkpoint

    network, decoder, spec, _ = load_checkpoint(checkpoint_folder(REFERENCE))
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = float("nan")
    save_checkpoint(tmp_path / "nan", network, decoder, spec=spec)
    status, line = planned(tmp_path / "nan", capsys)
    assert status == 2
    assert "holds NaN" in line


def test_a_hash_that_names_a_path_is_refused(folder, capsys):
    with (folder / "spec.toml").open("a") as file:
        file.write(f'\n[checkpoint.sha256]\n"../secret" = "{"0" * 64}"\n')
    status, line = planned(folder, capsys)
    assert status == 2
    assert "must name files beside it" in line
