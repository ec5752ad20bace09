"""trace(): a checkpoint on disk becomes a Graph. The only file outside toolkit/network and training that knows torch."""

from __future__ import annotations

import hashlib
import io
import re
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays

from ..errors import PosecError
from ..ir.graph import Graph, check_heads
from ..passes.prepare.opset import OPSET
from ..runtime.decoding.kinematics import layers
from ..runtime.frame import FrameInput
from ..runtime.pose import PoseSpec
from .head_outputs import check_batch, name_heads
from .onnx_file import read_onnx
from .program_child import convert
from .program_file import read_program

# The name of what posec ships.
REFERENCE = "reference"
LARGEST_SPEC_BYTES = 2**20
LARGEST_POSE_BYTES = 64 * 2**20
_SIZE = re.compile(r"(?P<name>.+)@(?P<height>\d{1,5})x(?P<width>\d{1,5})")
_SIDE, _LARGEST_SIDE = 32, 4096
# The first opset of torch's program exporter; the pass lower_opset brings it down.
_PROGRAM_OPSET = 18


def trace(checkpoint: str | Path) -> Graph:
    """Return the Graph of a checkpoint: "reference", or the path of a folder with spec.toml.

    Either may end in "@HEIGHTxWIDTH", for the network to take pictures of that size instead of the one it was trained at: more
    pixels find more and smaller people and cost as much more. Only weights of the reference architecture can do that.

    The folder's [checkpoint] table says where the network is: "network.safetensors" (weights of the reference
    architecture), "….pt2" (a program that torch.export saved) or "….onnx". Nothing is unpickled; for what a .pt2 may still
    do, see `program_file`.

    Raises PosecError where a file is missing, too large or of another form, or where the network is not what the spec says.
    """
    name, size = split_size(checkpoint)
    folder = checkpoint_folder(name)
    spec, about = _read_spec(folder)
    decoder = _read_decoder(folder, spec)
    network = str(about.get("network", "network.safetensors"))
    path = folder / network
    if Path(network).name != network:
        raise PosecError(f"the network of '{folder}' must lie beside its spec.toml, got '{network}'")
    _check_hashes(folder, about.get("sha256", {}))
    readers = {
        ".safetensors": _from_weights,
        ".pt2": _from_program,
        ".onnx": lambda path, _spec: read_onnx(path),
    }
    if path.suffix not in readers:
        raise PosecError(
            f"'{network}' is no network that posec reads; known: {', '.join(f'*{suffix}' for suffix in readers)}"
        )
    if size is not None:
        spec = _resized(spec, size, path)
    model = readers[path.suffix](path, spec)
    check_batch(model, spec)
    spec = name_heads(model, spec)
    frame = FrameInput("float32", "NCHW", spec.colour_order, normalized=True)
    graph = Graph(model, spec, frame, decoder, str(about.get("licence", "not stated")))
    check_heads(graph)
    return graph


def checkpoint_folder(name: str) -> Path:
    """Return the folder of a checkpoint; "reference" stands for the one that is shipped."""
    return Path(__file__).parents[1] / REFERENCE if name == REFERENCE else Path(name)


def split_size(checkpoint: str | Path) -> tuple[str, tuple[int, int] | None]:
    """Return the name or path before "@HEIGHTxWIDTH", and that size; None where a checkpoint's name says no size."""
    found = _SIZE.fullmatch(str(checkpoint))
    if found is None or Path(checkpoint).exists():
        return str(checkpoint), None
    return found["name"], (int(found["height"]), int(found["width"]))


def _resized(spec: PoseSpec, size: tuple[int, int], network: Path) -> PoseSpec:
    if network.suffix != ".safetensors":
        own = "x".join(map(str, spec.input_size))
        raise PosecError(
            f"'{network}' is a graph for pictures of {own}; save one of the other size, and leave @{size[0]}x{size[1]} out"
        )
    if any(side % _SIDE or not _SIDE <= side <= _LARGEST_SIDE for side in size):
        raise PosecError(
            f"asked: {size[0]}x{size[1]}; height and width must be multiples of {_SIDE}, up to {_LARGEST_SIDE}"
        )
    return replace(spec, input_size=size)


def _read_spec(folder: Path) -> tuple[PoseSpec, dict[str, Any]]:
    path = folder / "spec.toml"
    if not path.is_file():
        raise PosecError(
            f"no checkpoint '{folder}'; known: {REFERENCE}; or give the path of a folder with spec.toml"
        )
    if path.stat().st_size > LARGEST_SPEC_BYTES:
        raise PosecError(f"'{path}' has more than {LARGEST_SPEC_BYTES >> 20} MB")
    try:
        plain = tomllib.loads(path.read_text())
        about = plain.pop("checkpoint", {})
        if not isinstance(about, dict) or not isinstance(about.get("sha256", {}), dict):
            raise PosecError("[checkpoint] and [checkpoint.sha256] must be tables")
        return PoseSpec.from_dict(plain), about
    except (ValueError, RecursionError) as error:
        raise PosecError(f"'{path}': {error}") from error


def _read_decoder(folder: Path, spec: PoseSpec) -> dict[str, np.ndarray]:
    path = folder / "pose.safetensors"
    if not path.is_file():
        raise PosecError(
            f"no pose.safetensors in '{folder}': the decoder from embeddings to poses belongs to the checkpoint"
        )
    if path.stat().st_size > LARGEST_POSE_BYTES:
        raise PosecError(f"'{path}' has more than {LARGEST_POSE_BYTES >> 20} MB")
    try:
        decoder = load_arrays(path.read_bytes())
        chain = layers(decoder)
    except (SafetensorError, ValueError) as error:
        raise PosecError(f"'{path}': {error}") from error
    found = (chain[0][0].shape[1], chain[-1][0].shape[0])
    wanted = (spec.embedding_size, 3 * len(spec.skeleton.bones))
    if found != wanted:
        raise PosecError(
            f"'{path}' turns {found[0]} numbers into {found[1]}, the spec needs {wanted[0]} into {wanted[1]}"
        )
    return decoder


def _check_hashes(folder: Path, hashes: dict[str, Any]) -> None:
    for name, stated in hashes.items():
        path = folder / Path(name).name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != stated:
            raise PosecError(
                f"'{path}' is not the file that spec.toml was written with; copy the checkpoint again"
            )


def _from_weights(path: Path, spec: PoseSpec) -> onnx.ModelProto:
    """Return the reference architecture with the folder's weights, as ONNX."""
    torch = _torch()
    from ..network.checkpoint import load_checkpoint

    network = load_checkpoint(path.parent).network
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the older exporter is deprecated, and the only one that writes opset 13
        torch.onnx.export(network, (torch.zeros(1, 3, *spec.input_size),), file, dynamo=False, opset_version=OPSET,
                          input_names=["frame"], output_names=[spec.heads[head].tensor for head in spec.head_names])  # fmt: skip
    return onnx.load_model_from_string(file.getvalue())


def _from_program(path: Path, spec: PoseSpec) -> onnx.ModelProto:
    """Return a program that torch.export saved, as ONNX. Its outputs are a dictionary by head, or a tuple in the order of `spec.head_names`."""
    program = read_program(path)
    names = program.keys or tuple(spec.heads[head].tensor for head in spec.head_names)
    if len(names) != program.count:
        raise PosecError(
            f"'{path}' returns {program.count} tensors; return a dictionary by head, or {', '.join(spec.head_names)} in this order"
        )
    try:
        return onnx.load_model_from_string(convert(program.content, names))
    except PosecError as error:
        raise PosecError(f"'{path}': {error}") from error


def _torch(*others: str) -> Any:
    try:
        import torch

        for name in others:
            __import__(name)
    except ImportError as error:
        raise PosecError(
            f"tracing this checkpoint needs {error.name}: pip install 'posec[host]'; an ONNX checkpoint needs neither"
        ) from error
    return torch
