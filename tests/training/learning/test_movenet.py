from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from movenet_file import write_movenet

from toolkit.errors import PosecError
from toolkit.network.network import KeypointNetwork
from toolkit.training.learning.movenet import load_movenet, read_weights

pytestmark = pytest.mark.torch


@torch.no_grad()
def test_every_weight_is_copied_to_its_layer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, read = KeypointNetwork(), KeypointNetwork()
    load_movenet(read, write_movenet(tmp_path, made))
    # MoveNet interleaves y and x per joint; the key-point head has all x first.
    for layer in (made.keypoint_head.regression, made.keypoint_head.offset):
        assert layer.bias is not None
        layer.weight.copy_(torch.cat([layer.weight[1::2], layer.weight[::2]]))
        layer.bias.copy_(torch.cat([layer.bias[1::2], layer.bias[::2]]))
    wanted = made.state_dict()
    pretrained = {
        name: values
        for name, values in read.state_dict().items()
        if name.startswith(("backbone.", "keypoint_head."))
    }
    assert len(pretrained) == len(list(made.pretrained_parameters()))
    for name, values in pretrained.items():
        torch.testing.assert_close(values, wanted[name].half().float(), msg=name)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = write_movenet(tmp_path, KeypointNetwork())
    path.write_text(path.read_text().replace("kpt_offset_0", "kpt_elsewhere_0"))
    with pytest.raises(PosecError, match=r"not MoveNet\.MultiPose: 'kpt_offset_0.* has no such weights"):
        load_movenet(KeypointNetwork(), path)
    path = write_movenet(tmp_path, KeypointNetwork())
    plain = json.loads(path.read_text())
    stem = next(
        entry
        for entry in plain["weightsManifest"][0]["weights"]
        if entry["name"].endswith("Conv1/Conv2D_weights")
    )
    stem["shape"] = [3, 3, 48, 3]
    path.write_text(json.dumps(plain))
    with pytest.raises(
        PosecError, match=r"Conv1/Conv2D_weights' has \(3, 48, 3, 3\), needed \(48, 3, 3, 3\)"
    ):
        load_movenet(KeypointNetwork(), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paths": ["../movenet.bin"]}, "outside its folder"),
        ({"paths": ["elsewhere.bin"]}, "its weights beside it"),
        ({"weights": [{"name": "a", "shape": [1 << 40], "dtype": "float32"}]}, "its weights beside it"),
        ({"weights": [{"name": "a", "shape": [2], "dtype": "string"}]}, "its weights beside it"),
        ({"weights": [{"name": "a", "shape": [-1, -1], "dtype": "float32"}]}, "its weights beside it"),
        ({"weights": 3}, "its weights beside it"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write_movenet(tmp_path, KeypointNetwork(), **change)
    with pytest.raises(PosecError, match=message):
        read_weights(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PosecError, match=r"not a TensorFlow\.js model"):
        read_weights(tmp_path / "missing.json")
    (tmp_path / "other.json").write_text("[1, 2]")
    with pytest.raises(PosecError, match=r"not a TensorFlow\.js model"):
        read_weights(tmp_path / "other.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(PosecError, match="more than 4 MB"):
        read_weights(tmp_path / "large.json")
