"""Read the first weights of a KeypointNetwork's trunk and reader from MoveNet.MultiPose.

Google's MoveNet.MultiPose.Lightning (Apache-2.0) as TensorFlow.js keeps it: a .json file that names the weights, in their order, and a
.bin file beside it that holds them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...errors import PosecError
from ...network.keypoints import JOINTS
from ...network.network import KeypointNetwork

LARGEST_JSON_BYTES, LARGEST_WEIGHTS_BYTES = 4 << 20, 64 << 20
SCOPE = "StatefulPartitionedCall/"
TRUNK = "/model_1/"
# The heads by branch: their names, and the numbers of their separable and last convolutions.
BRANCHES = {
    "person": ("center_0", 3, None),
    "heat": ("kpt_heatmap_0", 6, 7),
    "ways": ("kpt_regress_0", 7, 8),
    "offset": ("kpt_offset_0", 8, 9),
}
# MoveNet says y and x joint by joint; here all x come first.
X_THEN_Y = [*range(1, 2 * JOINTS, 2), *range(0, 2 * JOINTS, 2)]
_KINDS = {"float16": np.float16, "float32": np.float32, "int32": np.int32}


def load_movenet(network: KeypointNetwork, path: Path) -> None:
    """Give a network the trunk and the reader of a .json file of MoveNet.MultiPose. Raises PosecError where it is another network."""
    weights = read_weights(path)
    prefix = next((name[: name.index(TRUNK) + len(TRUNK)] for name in weights if TRUNK in name), "")
    trunk, reader = network.trunk, network.reader

    def put(
        layer: nn.Module,
        weight: str,
        bias: str | None,
        depthwise: bool = False,
        rows: list[int] | None = None,
    ) -> None:
        assert isinstance(layer, nn.Conv2d)
        axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        found = [weights.get(name) for name in (weight, bias) if name is not None]
        wanted = [layer.weight, *([layer.bias] if bias is not None else [])]
        for name, array, parameter in zip((weight, bias), found, wanted, strict=False):
            array = array if array is None or array.ndim != 4 else array.transpose(axes)
            if array is None or parameter is None or array.shape != tuple(parameter.shape):
                shape = "no such weights" if array is None else array.shape
                raise PosecError(f"'{path}' is no MoveNet.MultiPose: '{name}' has {shape}, needed {tuple(parameter.shape) if parameter is not None else ()}")  # fmt: skip
            with torch.no_grad():
                parameter.copy_(
                    torch.from_numpy(np.ascontiguousarray(array if rows is None else array[rows]))
                )

    def folded(layer: nn.Module, name: str, depthwise: bool = False) -> None:
        kind = "depthwise" if depthwise else "Conv2D"
        put(layer, f"{name}/{kind}_weights", f"{name}/{kind}_bn_offset", depthwise)

    def plain(layer: nn.Module, name: str, rows: list[int] | None = None) -> None:
        put(layer, f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp", rows=rows)

    folded(trunk.stem, f"{prefix}model/Conv1")
    for number, block in enumerate(trunk.blocks):
        name = f"{prefix}model/" + (f"block_{number}" if number else "expanded_conv")
        if number:
            folded(block.get_submodule("expand"), f"{name}_expand")
        folded(block.get_submodule("depthwise"), f"{name}_depthwise", True)
        folded(block.get_submodule("project"), f"{name}_project")
    folded(trunk.last, f"{prefix}model/Conv_1")
    plain(trunk.top, f"{prefix}conv2d")
    for number, level in enumerate(trunk.levels):
        plain(level.get_submodule("side"), f"{prefix}conv2d_{number + 1}")
        name = f"{prefix}separable_conv2d" + (f"_{number}" if number else "") + "/separable_conv2d"
        put(level.get_submodule("depthwise"), f"{name}/ReadVariableOp", None, True)
        put(level.get_submodule("pointwise"), f"{name}_weights", f"{name}_bn_offset")
    lasts = {
        "heat": (reader.heat, None),
        "ways": (reader.ways, X_THEN_Y),
        "offset": (reader.offset, X_THEN_Y),
    }
    for branch, (head, separable, last) in BRANCHES.items():
        name = f"{head}/separable_conv2d_{separable}"
        put(
            reader.branches.get_submodule(f"{branch}.0"),
            f"{name}/separable_conv2d/ReadVariableOp",
            None,
            True,
        )
        put(
            reader.branches.get_submodule(f"{branch}.1"),
            f"{name}/separable_conv2d/ReadVariableOp_1",
            f"{name}/BiasAdd/ReadVariableOp",
        )
        if last is not None:
            layer, rows = lasts[branch]
            plain(layer, f"{head}/conv2d_{last}", rows)


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return all weights of a TensorFlow.js graph model as float32 or int32, by name. Raises PosecError for other files."""
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            raise PosecError(
                f"'{path}' has more than {LARGEST_JSON_BYTES >> 20} MB; give the .json file of MoveNet.MultiPose"
            )
        groups = json.loads(path.read_text())["weightsManifest"]
        entries = [entry for group in groups for entry in group["weights"]]
        names = [str(name) for group in groups for name in group["paths"]]
        if any(Path(name).name != name for name in names):
            raise PosecError(f"'{path}' names weights outside its folder")
        files = [path.parent / name for name in names]
        if sum(file.stat().st_size for file in files) > LARGEST_WEIGHTS_BYTES:
            raise PosecError(f"the weights of '{path}' are larger than {LARGEST_WEIGHTS_BYTES >> 20} MB")
        return _unpacked(entries, b"".join(file.read_bytes() for file in files))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PosecError(
            f"'{path}' is no TensorFlow.js model with its weights beside it: {error!r}"
        ) from error


def _unpacked(entries: list[Mapping[str, Any]], data: bytes) -> dict[str, np.ndarray]:
    arrays, at = {}, 0
    for entry in entries:
        kind = np.dtype(_KINDS[entry.get("quantization", entry)["dtype"]])
        shape = [int(side) for side in entry["shape"]]
        array = np.frombuffer(data, kind, math.prod(shape), at).reshape(shape)
        at += array.nbytes
        arrays[str(entry["name"]).removeprefix(SCOPE)] = array.astype(
            np.int32 if kind == np.int32 else np.float32
        )
    return arrays
