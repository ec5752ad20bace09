"""A MoveNet.MultiPose of our own weights, as TensorFlow.js keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from toolkit.network.network import KeypointNetwork

SCOPE = "StatefulPartitionedCall/"
BACKBONE = "center_net_mobile_net_v2fpn_feature_extractor/model_1/"


def movenet_names(network: KeypointNetwork) -> list[tuple[str, nn.Module, str]]:
    """Every array of MoveNet.MultiPose that is read: its name, its layer, and the parameter."""
    backbone, head, names = network.backbone, network.keypoint_head, []

    def folded(name: str, layer: nn.Module, kind: str = "Conv2D") -> None:
        names.extend(
            [(f"{name}/{kind}_weights", layer, "weight"), (f"{name}/{kind}_bn_offset", layer, "bias")]
        )

    def plain(name: str, layer: nn.Module) -> None:
        names.extend(
            [
                (f"{name}/Conv2D/ReadVariableOp", layer, "weight"),
                (f"{name}/BiasAdd/ReadVariableOp", layer, "bias"),
            ]
        )

    folded(f"{BACKBONE}model/Conv1", backbone.stem)
    for number, block in enumerate(backbone.blocks):
        name = f"{BACKBONE}model/" + (f"block_{number}" if number else "expanded_conv")
        if number:
            folded(f"{name}_expand", block.get_submodule("expand"))
        folded(f"{name}_depthwise", block.get_submodule("depthwise"), "depthwise")
        folded(f"{name}_project", block.get_submodule("project"))
    folded(f"{BACKBONE}model/Conv_1", backbone.last)
    plain(f"{BACKBONE}conv2d", backbone.top)
    for number, level in enumerate(backbone.levels):
        plain(f"{BACKBONE}conv2d_{number + 1}", level.get_submodule("side"))
        name = f"{BACKBONE}separable_conv2d" + (f"_{number}" if number else "") + "/separable_conv2d"
        names.append((f"{name}/ReadVariableOp", level.get_submodule("depthwise"), "weight"))
        names += [
            (f"{name}_{end}", level.get_submodule("pointwise"), part)
            for end, part in (("weights", "weight"), ("bn_offset", "bias"))
        ]
    heads = (
        ("center_0", "center", 3, None),
        ("kpt_heatmap_0", "heatmap", 6, 7),
        ("kpt_regress_0", "regression", 7, 8),
        ("kpt_offset_0", "offset", 8, 9),
    )
    for scope, branch, separable, last in heads:
        name = f"{scope}/separable_conv2d_{separable}"
        names.append(
            (
                f"{name}/separable_conv2d/ReadVariableOp",
                head.branches.get_submodule(f"{branch}.0"),
                "weight",
            )
        )
        pointwise = head.branches.get_submodule(f"{branch}.1")
        names += [
            (f"{name}/separable_conv2d/ReadVariableOp_1", pointwise, "weight"),
            (f"{name}/BiasAdd/ReadVariableOp", pointwise, "bias"),
        ]
        if last is not None:
            plain(f"{scope}/conv2d_{last}", head.get_submodule(branch))
    return names


def write_movenet(folder: Path, network: KeypointNetwork, **changes: Any) -> Path:
    """A TensorFlow.js model of the float16 weights behind other bytes; `changes` alter the manifest."""
    entries: list[dict[str, Any]] = [{"name": SCOPE + "Reshape/shape", "shape": [2], "dtype": "int32"}]
    data = [np.array([1, 3], np.int32).tobytes()]
    for name, layer, part in movenet_names(network):
        array = layer.get_parameter(part).detach().numpy()
        if array.ndim == 4:
            array = array.transpose(
                (2, 3, 0, 1) if isinstance(layer, nn.Conv2d) and layer.groups > 1 else (2, 3, 1, 0)
            )
        entries.append(
            {
                "name": SCOPE + name,
                "shape": list(array.shape),
                "dtype": "float32",
                "quantization": {"dtype": "float16"},
            }
        )
        data.append(array.astype(np.float16).tobytes())
    manifest = {"paths": ["movenet.bin"], "weights": entries, **changes}
    (folder / "movenet.bin").write_bytes(b"".join(data))
    (folder / "movenet.json").write_text(json.dumps({"format": "graph-model", "weightsManifest": [manifest]}))
    return folder / "movenet.json"
