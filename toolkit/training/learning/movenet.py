"""Initial weights of the backbone and the key-point head from MoveNet.MultiPose.

Google's MoveNet.MultiPose.Lightning (Apache-2.0) in the format of TensorFlow.js: a .json file that lists the
weights, and a .bin file beside it that holds them.
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
from ...network.backbone import Backbone
from ...network.keypoints import JOINTS, KeypointHead
from ...network.network import KeypointNetwork

LARGEST_JSON_BYTES, LARGEST_WEIGHTS_BYTES = 4 << 20, 64 << 20
SCOPE = "StatefulPartitionedCall/"
BACKBONE = "/model_1/"
# MoveNet's heads by branch: the name, and the numbers of the separable and of the last convolution.
BRANCHES = {
    "center": ("center_0", 3, None),
    "heatmap": ("kpt_heatmap_0", 6, 7),
    "regression": ("kpt_regress_0", 7, 8),
    "offset": ("kpt_offset_0", 8, 9),
}
# MoveNet interleaves y and x per joint; here all x precede all y.
X_THEN_Y = [*range(1, 2 * JOINTS, 2), *range(0, 2 * JOINTS, 2)]
_DTYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32}


def load_movenet(network: KeypointNetwork, path: Path) -> None:
    """Load the backbone and the key-point head of a network from MoveNet's .json file.

    Raises PosecError for another network.
    """
    weights = _Weights(path)
    prefix = next(
        (name[: name.index(BACKBONE) + len(BACKBONE)] for name in weights.arrays if BACKBONE in name), ""
    )
    _load_backbone(network.backbone, weights, prefix)
    _load_keypoint_head(network.keypoint_head, weights)


class _Weights:
    """The arrays of a TensorFlow.js model, to be copied into layers."""

    def __init__(self, path: Path) -> None:
        self.path, self.arrays = path, read_weights(path)

    def put(
        self,
        parameter: torch.Tensor | None,
        name: str,
        *,
        depthwise: bool = False,
        rows: list[int] | None = None,
    ) -> None:
        """Copy an array into a parameter, in torch's layout, and with its rows reordered."""
        array, shape = self.arrays.get(name), tuple(parameter.shape) if parameter is not None else ()
        if array is not None and array.ndim == 4:
            array = array.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        if array is None or parameter is None or array.shape != shape:
            actual = "no such weights" if array is None else array.shape
            raise PosecError(f"'{self.path}' is not MoveNet.MultiPose: '{name}' has {actual}, needed {shape}")
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array if rows is None else array[rows])))

    def folded(self, layer: nn.Module, name: str, *, depthwise: bool = False) -> None:
        """Copy a convolution with its folded batch norm."""
        kind = "depthwise" if depthwise else "Conv2D"
        self.put(layer.get_parameter("weight"), f"{name}/{kind}_weights", depthwise=depthwise)
        self.put(layer.get_parameter("bias"), f"{name}/{kind}_bn_offset")

    def plain(self, layer: nn.Module, name: str, rows: list[int] | None = None) -> None:
        """Copy a convolution with bias."""
        self.put(layer.get_parameter("weight"), f"{name}/Conv2D/ReadVariableOp", rows=rows)
        self.put(layer.get_parameter("bias"), f"{name}/BiasAdd/ReadVariableOp", rows=rows)


def _load_backbone(backbone: Backbone, weights: _Weights, prefix: str) -> None:
    weights.folded(backbone.stem, f"{prefix}model/Conv1")
    for number, block in enumerate(backbone.blocks):
        name = f"{prefix}model/" + (f"block_{number}" if number else "expanded_conv")
        if number:
            weights.folded(block.get_submodule("expand"), f"{name}_expand")
        weights.folded(block.get_submodule("depthwise"), f"{name}_depthwise", depthwise=True)
        weights.folded(block.get_submodule("project"), f"{name}_project")
    weights.folded(backbone.last, f"{prefix}model/Conv_1")
    weights.plain(backbone.top, f"{prefix}conv2d")
    for number, level in enumerate(backbone.levels):
        weights.plain(level.get_submodule("side"), f"{prefix}conv2d_{number + 1}")
        name = f"{prefix}separable_conv2d" + (f"_{number}" if number else "") + "/separable_conv2d"
        weights.put(level.get_parameter("depthwise.weight"), f"{name}/ReadVariableOp", depthwise=True)
        weights.put(level.get_parameter("pointwise.weight"), f"{name}_weights")
        weights.put(level.get_parameter("pointwise.bias"), f"{name}_bn_offset")


def _load_keypoint_head(head: KeypointHead, weights: _Weights) -> None:
    rows = {"heatmap": None, "regression": X_THEN_Y, "offset": X_THEN_Y}
    for branch, (scope, separable, last) in BRANCHES.items():
        name = f"{scope}/separable_conv2d_{separable}"
        convolutions = head.branches.get_submodule(branch)
        weights.put(
            convolutions.get_parameter("0.weight"), f"{name}/separable_conv2d/ReadVariableOp", depthwise=True
        )
        weights.put(convolutions.get_parameter("1.weight"), f"{name}/separable_conv2d/ReadVariableOp_1")
        weights.put(convolutions.get_parameter("1.bias"), f"{name}/BiasAdd/ReadVariableOp")
        if last is not None:
            weights.plain(head.get_submodule(branch), f"{scope}/conv2d_{last}", rows[branch])


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return all weights of a TensorFlow.js graph model by name, as float32 or int32.

    Raises PosecError for other files.
    """
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            raise PosecError(
                f"'{path}' has more than {LARGEST_JSON_BYTES >> 20} MB; "
                "give the .json file of MoveNet.MultiPose"
            )
        groups = json.loads(path.read_text())["weightsManifest"]
        entries = [entry for group in groups for entry in group["weights"]]
        names = [str(name) for group in groups for name in group["paths"]]
        if any(Path(name).name != name for name in names):
            raise PosecError(f"'{path}' refers to weights outside its folder")
        files = [path.parent / name for name in names]
        if sum(file.stat().st_size for file in files) > LARGEST_WEIGHTS_BYTES:
            raise PosecError(f"the weights of '{path}' are larger than {LARGEST_WEIGHTS_BYTES >> 20} MB")
        return _arrays(entries, b"".join(file.read_bytes() for file in files))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PosecError(
            f"'{path}' is not a TensorFlow.js model with its weights beside it: {error!r}"
        ) from error


def _arrays(entries: list[Mapping[str, Any]], data: bytes) -> dict[str, np.ndarray]:
    arrays, at = {}, 0
    for entry in entries:
        dtype = np.dtype(_DTYPES[entry.get("quantization", entry)["dtype"]])
        shape = [int(side) for side in entry["shape"]]
        array = np.frombuffer(data, dtype, math.prod(shape), at).reshape(shape)
        at += array.nbytes
        kept = np.int32 if dtype == np.int32 else np.float32
        arrays[str(entry["name"]).removeprefix(SCOPE)] = array.astype(kept)
    return arrays
