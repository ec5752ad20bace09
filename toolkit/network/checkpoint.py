"""A trained network on disk: a folder of two safetensors files and the contract between them; see `checkpoint_files`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ..errors import PosecError
from ..ir.graph import Graph
from ..runtime.files.plain_folders import write_folder
from ..runtime.pose import PoseSpec
from .checkpoint_files import GRAPH, NETWORK, POSE, SPEC, CheckpointFiles, check_decoder, read_files
from .network import KeypointNetwork

TRAINING_ONLY = "auxiliary."
# Networks that this version has no code for; checkpoints that state no architecture are the first of them.
FORMER = ("picture", "picture and maps")


class Checkpoint(NamedTuple):
    """A network ready to run, the arrays of its embedding decoder, and its contract."""

    network: KeypointNetwork
    decoder: dict[str, np.ndarray]
    spec: PoseSpec


def save_checkpoint(
    folder: str | Path,
    network: KeypointNetwork,
    embedding_decoder_arrays: Mapping[str, np.ndarray],
    spec: PoseSpec,
    licence: str = "",
    whole: tuple[str, ...] = ("",),
) -> None:
    """Write a checkpoint folder, replacing one that is there, whole or not at all.

    Weights whose names begin with none of `whole` are rounded to float16, for a smaller file; what runs computes in float32 all the
    same. Raises PosecError where the decoder or the spec does not fit the network, or where `folder` holds something else.
    """
    _check(spec, embedding_decoder_arrays, network, "the checkpoint to be written")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    tensors = {
        name: tensor.half() if tensor.is_floating_point() and not name.startswith(whole) else tensor
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
    _write(Path(folder), weights, embedding_decoder_arrays, spec, about)


def save_graph(folder: str | Path, graph: Graph) -> None:
    """Write a graph as a checkpoint folder of the ONNX kind, which `trace` reads, replacing one that is there, whole or not at all.

    Raises PosecError where `folder` holds something else.
    """
    about = {"network": GRAPH, "licence": graph.licence}
    _write(Path(folder), graph.model.SerializeToString(deterministic=True), graph.decoder, graph.spec, about)


def _write(
    folder: Path, network: bytes, decoder: Mapping[str, np.ndarray], spec: PoseSpec, about: Mapping[str, str]
) -> None:
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in decoder.items()}
    blobs = {about["network"]: network, POSE: save(arrays)}
    hashes = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
    blobs[SPEC] = to_toml({**spec.to_dict(), "checkpoint": {**about, "sha256": hashes}}).encode()
    try:
        write_folder(folder, blobs, replaces=SPEC)
    except FileExistsError as error:
        raise PosecError(f"'{folder}' exists and is no checkpoint; give a new or an empty folder") from error


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises PosecError where a file is missing, is not the one that was written, or does not fit the network.
    """
    folder = Path(folder)
    if not (folder / SPEC).exists():
        raise PosecError(f"no {SPEC} in '{folder}'; give the folder of a checkpoint")
    return build_network(read_files(folder))


def build_network(files: CheckpointFiles) -> Checkpoint:
    """Return the network whose weights a checkpoint holds. Raises PosecError where they are of another network, or not finite."""
    about, decoder, spec, folder = files.about, files.decoder, files.spec, files.path.parent
    if files.path.name != NETWORK:
        raise PosecError(f"'{folder}' holds the network as {files.path.name}, needed for this: {NETWORK}")
    _check_architecture(about.get("architecture", FORMER[0]), folder)
    network = KeypointNetwork()
    try:
        tensors = load_tensors(files.network)
        missing, unknown = network.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise PosecError(f"'{folder}' does not hold the weights of this network: {error}") from error
    missing = [name for name in missing if not name.startswith(TRAINING_ONLY)]
    if missing or unknown:
        raise PosecError(
            f"'{folder / NETWORK}' does not fit this network; missing: {missing[:3] or 'none'}, unknown: {unknown[:3] or 'none'}"
        )
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise PosecError(f"'{folder / NETWORK}' holds NaN or infinity in {broken[0]}; train it again")
    _check(spec, decoder, network, f"'{folder}'")
    return Checkpoint(network.eval(), decoder, spec)


def _check_architecture(architecture: object, folder: Path) -> None:
    if architecture in FORMER:
        raise PosecError(
            f"'{folder}' holds a network of the architecture '{architecture}', which posec no longer has: use the shipped network, "
            "'reference', train another (docs/training.md), or export this one to ONNX with the version of posec that wrote it"
        )
    if architecture != KeypointNetwork.architecture:
        raise PosecError(
            f"'{folder}' holds a network of architecture '{architecture}'; known: {KeypointNetwork.architecture}"
        )


def _check(spec: PoseSpec, decoder: Mapping[str, np.ndarray], network: KeypointNetwork, where: str) -> None:
    check_decoder(decoder, spec, where)
    own = network.spec()
    # A spec may leave out heads of key points that the network has: people are then as the other heads say.
    channels = {name: head.channels for name, head in own.heads.items()}
    differing = [name for name, head in spec.heads.items() if channels.get(name) != head.channels]
    if differing or spec.stride != own.stride or (spec.keypoints and spec.keypoints != own.keypoints):
        differs = ", ".join(differing) or (
            "keypoints" if spec.stride == own.stride else f"stride {spec.stride}"
        )
        raise PosecError(
            f"{where}: this network has stride {own.stride} and heads {channels}, the spec differs: {differs}"
        )


def to_toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Return nested tables of strings, booleans, numbers and lists of them as TOML."""
    lines = [
        f"{_key(name)} = {_value(value)}" for name, value in table.items() if not isinstance(value, Mapping)
    ]
    blocks: list[str] = ["\n".join(lines)] if lines else []
    for name, value in table.items():
        if isinstance(value, Mapping):
            inner = (*path, _key(name))
            blocks.append(f"[{'.'.join(inner)}]\n" + to_toml(value, inner))
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    raise PosecError(f"TOML has no {type(value).__name__}; got {value!r}")
