"""Checkpoints: a folder with a network's weights, embedding decoder and PoseSpec; see `checkpoint_files`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ..errors import PosecError
from ..ir.graph import Graph
from ..runtime.files.plain_folders import write_folder
from ..runtime.pose import PoseSpec
from .checkpoint_files import GRAPH, NETWORK, POSE, SPEC, TEMPORAL, CheckpointFiles, check_decoder, read_files
from .network import KeypointNetwork
from .shape import NetworkShape
from .toml_writer import to_toml

TRAINING_ONLY = "auxiliary."
# Architectures that are no longer implemented; checkpoints that state none have the first.
FORMER_ARCHITECTURES = ("picture", "picture and maps")
# Former prefixes of weights, in checkpoints of earlier versions, and the present ones.
FORMER_PREFIXES = {
    "trunk.": "backbone.",
    "reader.branches.person.": "keypoint_head.branches.center.",
    "reader.branches.ways.": "keypoint_head.branches.regression.",
    "reader.branches.heat.": "keypoint_head.branches.heatmap.",
    "reader.branches.offset.": "keypoint_head.branches.offset.",
    "reader.ways.": "keypoint_head.regression.",
    "reader.heat.": "keypoint_head.heatmap.",
    "reader.offset.": "keypoint_head.offset.",
    "near.": "fine_projection.",
    "far.": "deep_projection.",
    "lift.enter.": "lifting_head.from_keypoints.",
    "lift.see.": "lifting_head.from_features.",
    "lift.think.": "lifting_head.mlp.",
}


class Checkpoint(NamedTuple):
    """A network in evaluation mode, the arrays of its embedding decoder, and its specification.

    `temporal` holds the arrays of the temporal stage, and is empty without one.
    """

    network: KeypointNetwork
    decoder: dict[str, np.ndarray]
    spec: PoseSpec
    temporal: dict[str, np.ndarray]


def save_checkpoint(
    folder: str | Path,
    network: KeypointNetwork,
    decoder: Mapping[str, np.ndarray],
    *,
    spec: PoseSpec,
    licence: str = "",
    float32_prefixes: tuple[str, ...] = ("",),
    temporal: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """Write a checkpoint folder atomically; an existing checkpoint is replaced.

    Args:
        folder: new, empty, or a checkpoint.
        network: its weights are stored.
        decoder: arrays of the embedding decoder, see `decoder_arrays`.
        spec: specification of the network.
        licence: SPDX name, stored in the specification.
        float32_prefixes: weights with none of these prefixes are stored as float16, for a smaller
            file; the loaded network computes in float32.
        temporal: arrays of the temporal stage; empty for a checkpoint without one.

    Raises PosecError where the decoder or the specification does not fit the network, or `folder` holds
    other files.
    """
    _check(spec, decoder, network, where="the checkpoint to be written")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    tensors = {
        name: tensor.half()
        if tensor.is_floating_point() and not name.startswith(float32_prefixes)
        else tensor
        for name, tensor in tensors.items()
    }
    weights = save_tensors(
        {name: tensor for name, tensor in tensors.items() if not name.startswith(TRAINING_ONLY)}
    )
    about = {
        "network": NETWORK,
        "architecture": network.architecture,
        **({"licence": licence} if licence else {}),
    }
    _write(Path(folder), weights, decoder, spec=spec, about=about, temporal=temporal)


def save_graph(folder: str | Path, graph: Graph) -> None:
    """Write a graph atomically as a checkpoint folder with an ONNX model, which `trace` reads.

    An existing checkpoint is replaced. Raises PosecError where `folder` holds other files.
    """
    about = {"network": GRAPH, "licence": graph.licence}
    _write(
        Path(folder),
        graph.model.SerializeToString(deterministic=True),
        graph.decoder,
        spec=graph.spec,
        about=about,
        temporal=graph.temporal,
    )


def _write(
    folder: Path,
    network: bytes,
    decoder: Mapping[str, np.ndarray],
    *,
    spec: PoseSpec,
    about: Mapping[str, str],
    temporal: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    blobs = {about["network"]: network, POSE: save(_float32(decoder))}
    if temporal:
        blobs[TEMPORAL] = save({name: np.ascontiguousarray(array) for name, array in temporal.items()})
    hashes = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
    blobs[SPEC] = to_toml({**spec.to_dict(), "checkpoint": {**about, "sha256": hashes}}).encode()
    try:
        write_folder(folder, blobs, replaces=SPEC)
    except FileExistsError as error:
        raise PosecError(
            f"'{folder}' exists and is not a checkpoint; give a new or an empty folder"
        ) from error


def _float32(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a checkpoint folder.

    Weights under former module names are renamed. Raises PosecError where a file is missing, differs from its
    SHA-256, or does not fit the network.
    """
    folder = Path(folder)
    if not (folder / SPEC).exists():
        raise PosecError(f"no {SPEC} in '{folder}'; give the folder of a checkpoint")
    return build_network(read_files(folder))


def build_network(files: CheckpointFiles) -> Checkpoint:
    """Return the network of a checkpoint.

    Raises PosecError where the weights belong to another network or are not finite.
    """
    about, decoder, spec, folder = files.about, files.decoder, files.spec, files.path.parent
    if files.path.name != NETWORK:
        raise PosecError(f"'{folder}' holds the network as {files.path.name}, needed for this: {NETWORK}")
    _check_architecture(about.get("architecture", FORMER_ARCHITECTURES[0]), folder)
    try:
        tensors = current_names(load_tensors(files.network))
        network = KeypointNetwork(NetworkShape.of(tensors))
        missing, unknown = network.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise PosecError(f"'{folder}' does not hold the weights of this network: {error}") from error
    missing = [name for name in missing if not name.startswith(TRAINING_ONLY)]
    if missing or unknown:
        raise PosecError(
            f"'{folder / NETWORK}' does not fit this network; missing: {missing[:3] or 'none'}, "
            f"unknown: {unknown[:3] or 'none'}"
        )
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise PosecError(f"'{folder / NETWORK}' holds NaN or infinity in {broken[0]}; train it again")
    _check(spec, decoder, network, where=f"'{folder}'")
    return Checkpoint(network.eval(), decoder, spec, files.temporal)


def current_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with former module names replaced by the present ones."""
    return {_current_name(name): tensor for name, tensor in tensors.items()}


def _current_name(name: str) -> str:
    prefix = next((former for former in FORMER_PREFIXES if name.startswith(former)), "")
    return FORMER_PREFIXES.get(prefix, "") + name.removeprefix(prefix)


def _check_architecture(architecture: object, folder: Path) -> None:
    if architecture in FORMER_ARCHITECTURES:
        raise PosecError(
            f"'{folder}' has the architecture '{architecture}', which posec no longer supports; "
            "use the shipped 'reference', train another network, or export this one to ONNX with the "
            "posec version that wrote it"
        )
    if architecture != KeypointNetwork.architecture:
        raise PosecError(
            f"'{folder}' has the architecture '{architecture}'; known: {KeypointNetwork.architecture}"
        )


def _check(
    spec: PoseSpec, decoder: Mapping[str, np.ndarray], network: KeypointNetwork, *, where: str
) -> None:
    check_decoder(decoder, spec, where)
    own = network.spec()
    # A specification may omit the key-point heads; poses are then decoded from the others alone.
    channels = {name: head.channels for name, head in own.heads.items()}
    differing = [name for name, head in spec.heads.items() if channels.get(name) != head.channels]
    if differing or spec.stride != own.stride or (spec.keypoints and spec.keypoints != own.keypoints):
        differs = ", ".join(differing) or (
            "keypoints" if spec.stride == own.stride else f"stride {spec.stride}"
        )
        raise PosecError(
            f"{where}: the network has stride {own.stride} and heads {channels}, "
            f"the specification differs in: {differs}"
        )
