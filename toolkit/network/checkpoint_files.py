"""The files of a checkpoint folder, read, hashed and checked once. Needs no torch.

spec.toml           PoseSpec; under [checkpoint] the network's file, architecture and licence, and the hashes
temporal.safetensors  optional: the temporal stage, see `runtime.temporal.weights`
pose.safetensors    weight_0, bias_0, … of the decoder from embeddings to bone directions
the network         network.safetensors (weights of the reference architecture), ….pt2 or ….onnx
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, deserialize

from ..errors import PosecError
from ..ir.toml_file import read_toml
from ..runtime.decoding.kinematics import layers
from ..runtime.files.plain_files import read_plain
from ..runtime.pose import PoseSpec
from ..runtime.temporal.weights import temporal_weights

SPEC, NETWORK, GRAPH, POSE = "spec.toml", "network.safetensors", "model.onnx", "pose.safetensors"
TEMPORAL = "temporal.safetensors"
LARGEST_TEMPORAL_BYTES = 16 * 2**20
LARGEST_POSE_BYTES = 64 * 2**20
LARGEST_BYTES = {".safetensors": 2**30, ".pt2": 512 * 2**20, ".onnx": 512 * 2**20}
_ADVICE = "copy the checkpoint again"
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


class CheckpointFiles(NamedTuple):
    """A checkpoint in memory.

    Attributes:
        path: of the network's file.
        network: its bytes.
        decoder: arrays of the embedding decoder, float32.
        spec: the contract between them.
        about: the [checkpoint] table of spec.toml.
        temporal: arrays of the temporal stage, float32; empty without one.
    """

    path: Path
    network: bytes
    decoder: dict[str, np.ndarray]
    spec: PoseSpec
    about: Mapping[str, Any]
    temporal: dict[str, np.ndarray]


def read_files(folder: Path) -> CheckpointFiles:
    """Read a checkpoint folder.

    Raises PosecError where a file is missing, too large, no plain file, or not the one that spec.toml was
    written with, and where the specification or the decoder contradicts itself or the other.
    """
    spec, about = _read_spec(folder / SPEC)
    name = about.get("network", NETWORK)
    if not isinstance(name, str) or Path(name).name != name:
        raise PosecError(f"the network of '{folder}' must lie beside its {SPEC}, got {name!r:.80}")
    path = folder / name
    if path.suffix not in LARGEST_BYTES:
        known = ", ".join(f"*{suffix}" for suffix in LARGEST_BYTES)
        raise PosecError(f"'{name}' is no network that posec reads; known: {known}")
    pose = _read(
        folder / POSE, LARGEST_POSE_BYTES, "the decoder from embeddings to poses belongs to the checkpoint"
    )
    network = _read(path, LARGEST_BYTES[path.suffix], f"correct `network` in the checkpoint's {SPEC}")
    temporal = folder / TEMPORAL
    stage = _read(temporal, LARGEST_TEMPORAL_BYTES, _ADVICE) if temporal.exists() else b""
    _check_hashes(
        folder, about["sha256"], {POSE: pose, name: network, **({TEMPORAL: stage} if stage else {})}
    )
    decoder, arrays = _read_decoder(folder / POSE, pose, spec), _read_temporal(temporal, stage, spec)
    return CheckpointFiles(path, network, decoder, spec, about, arrays)


def check_decoder(decoder: Mapping[str, np.ndarray], spec: PoseSpec, where: str) -> None:
    """Raise PosecError, beginning with `where`, unless the decoder is finite and fits the spec."""
    try:
        chain = layers(decoder)
    except ValueError as error:
        raise PosecError(f"{where}: {error}") from error
    found = (chain[0][0].shape[1], chain[-1][0].shape[0])
    wanted = (spec.embedding_size, 3 * len(spec.skeleton.bones))
    if found != wanted:
        raise PosecError(
            f"{where}: the decoder turns {found[0]} numbers into {found[1]}, "
            f"the spec needs {wanted[0]} into {wanted[1]}"
        )


def read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Return floating-point tensors of a safetensors file as float32; bfloat16, which numpy lacks, too.

    Raises ValueError for others.
    """
    try:
        tensors = deserialize(content)
    except SafetensorError as error:
        raise ValueError(f"no safetensors file: {error}") from error
    found = {}
    for name, tensor in tensors:
        if tensor["dtype"] == "BF16":  # the upper half of a float32
            values = (np.frombuffer(tensor["data"], "<u2").astype("<u4") << 16).view("<f4")
        elif tensor["dtype"] in _FLOATS:
            values = np.frombuffer(tensor["data"], _FLOATS[tensor["dtype"]])
        else:
            raise ValueError(f"'{name}' has type {tensor['dtype']}; save it as float32")
        with np.errstate(over="ignore"):
            found[name] = values.astype(np.float32).reshape(tensor["shape"])
    return found


def _read_spec(path: Path) -> tuple[PoseSpec, dict[str, Any]]:
    plain = read_toml(path, advice=_ADVICE)
    try:
        about = plain.pop("checkpoint", {})
        if not isinstance(about, dict) or not isinstance(about.setdefault("sha256", {}), dict):
            raise PosecError("[checkpoint] and [checkpoint.sha256] must be tables")
        return PoseSpec.from_dict(plain), about
    except ValueError as error:
        raise PosecError(f"'{path}': {error}") from error


def _read_decoder(path: Path, content: bytes, spec: PoseSpec) -> dict[str, np.ndarray]:
    try:
        decoder = read_tensors(content)
    except ValueError as error:
        raise PosecError(f"'{path}': {error}") from error
    check_decoder(decoder, spec, f"'{path}'")
    return decoder


def _read_temporal(path: Path, content: bytes, spec: PoseSpec) -> dict[str, np.ndarray]:
    """Return the arrays of the temporal stage. Raises PosecError where they do not fit the specification."""
    if not content:
        return {}
    try:
        arrays = read_tensors(content)
        temporal_weights(arrays, spec)
    except ValueError as error:
        raise PosecError(f"'{path}': {error}") from error
    return arrays


def _check_hashes(folder: Path, hashes: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    for name, stated in hashes.items():
        if Path(name).name != name:
            raise PosecError(
                f"[checkpoint.sha256] of '{folder / SPEC}' must name files beside it, got {name!r:.80}"
            )
        content = (
            contents[name] if name in contents else _read(folder / name, max(LARGEST_BYTES.values()), _ADVICE)
        )
        if hashlib.sha256(content).hexdigest() != stated:
            raise PosecError(f"'{folder / name}' is not the file that {SPEC} was written with; {_ADVICE}")


def _read(path: Path, most_bytes: int, advice: str) -> bytes:
    if not path.exists():
        raise PosecError(f"no {path.name} in '{path.parent}': {advice}")
    return read_plain(path, most_bytes=most_bytes, error=PosecError, advice=advice)
