"""A trained network on disk: a folder of two safetensors files and the contract between them, readable by people.

spec.toml             PoseSpec, and under [checkpoint] the architecture and the names and SHA-256 of the other files
network.safetensors   weights of the network, without what only training needs
pose.safetensors      weight_0, bias_0, … of the decoder from embeddings to bone directions
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ..errors import PosecError
from ..ir.graph import Graph
from ..runtime.decoding.kinematics import layers
from ..runtime.pose import PoseSpec
from .network import KeypointNetwork

SPEC, NETWORK, GRAPH, POSE = "spec.toml", "network.safetensors", "model.onnx", "pose.safetensors"
TRAINING_ONLY = "auxiliary."
MAX_BYTES = 1 << 30
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
    if folder.exists() and not (folder / SPEC).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise PosecError(f"'{folder}' exists and is no checkpoint; give a new or an empty folder")
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in decoder.items()}
    blobs = {about["network"]: network, POSE: save(arrays)}
    hashes = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
    blobs[SPEC] = to_toml({**spec.to_dict(), "checkpoint": {**about, "sha256": hashes}}).encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        beside.chmod(0o755)
        for name, blob in blobs.items():
            (beside / name).write_bytes(blob)
        if folder.exists():
            os.replace(folder, beside / "replaced")
        os.replace(beside, folder)
        shutil.rmtree(folder / "replaced", ignore_errors=True)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises PosecError where a file is missing, is not the one that was written, or does not fit the network.
    """
    folder = Path(folder)
    if not (folder / SPEC).is_file():
        raise PosecError(f"no {SPEC} in '{folder}'; give the folder of a checkpoint")
    try:
        plain = tomllib.loads(_read(folder / SPEC).decode())
        about = plain.pop("checkpoint", {})
        spec = PoseSpec.from_dict(plain)
    except ValueError as error:
        raise PosecError(f"'{folder / SPEC}' is no pose specification: {error}") from error
    if about.get("network", NETWORK) != NETWORK:
        raise PosecError(f"'{folder}' holds the network as {about['network']}, needed for this: {NETWORK}")
    blobs = {name: _read(folder / name) for name in (NETWORK, POSE)}
    for name, digest in about.get("sha256", {}).items():
        if name in blobs and hashlib.sha256(blobs[name]).hexdigest() != digest:
            raise PosecError(
                f"'{folder / name}' is not the file that {SPEC} was written with; copy the checkpoint again"
            )
    _check_architecture(about.get("architecture", FORMER[0]), folder)
    network = KeypointNetwork()
    try:
        decoder = load(blobs[POSE])
        missing, unknown = network.load_state_dict(load_tensors(blobs[NETWORK]), strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise PosecError(f"'{folder}' does not hold the weights of this network: {error}") from error
    missing = [name for name in missing if not name.startswith(TRAINING_ONLY)]
    if missing or unknown:
        raise PosecError(
            f"'{folder / NETWORK}' does not fit this network; missing: {missing[:3] or 'none'}, unknown: {unknown[:3] or 'none'}"
        )
    _check(spec, decoder, network, f"'{folder}'")
    return Checkpoint(network.eval(), decoder, spec)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise PosecError(f"no {path.name} in '{path.parent}'; copy the checkpoint again")
    if path.stat().st_size > MAX_BYTES:
        raise PosecError(f"'{path}' has {path.stat().st_size} bytes, allowed are {MAX_BYTES}")
    return path.read_bytes()


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
    try:
        chain = layers(decoder)
    except ValueError as error:
        raise PosecError(f"{where}: {error}") from error
    inputs, outputs = chain[0][0].shape[1], chain[-1][0].shape[0]
    if inputs != spec.embedding_size or outputs != 3 * len(spec.skeleton.bones):
        wanted = f"{spec.embedding_size} to {3 * len(spec.skeleton.bones)}"
        raise PosecError(
            f"{where}: the decoder turns {inputs} numbers into {outputs}, the spec needs {wanted}"
        )
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
