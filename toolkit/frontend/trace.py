"""trace(): read a checkpoint folder and return it as a Graph."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import PosecError
from ..ir.graph import Graph, check_heads
from ..network.checkpoint_files import SPEC, CheckpointFiles, read_files
from ..passes.opset.lower_opset import OPSET
from ..runtime.frame import FrameInput
from ..runtime.pose import PoseSpec
from .head_outputs import check_batch, name_heads
from .onnx_file import read_onnx, settle
from .program_child import convert
from .program_file import read_program

# The checkpoint that posec ships.
REFERENCE = "reference"
_SIZE = re.compile(r"(?P<name>.+)@(?P<height>\d{1,5})x(?P<width>\d{1,5})")
_SIDE, _LARGEST_SIDE = 32, 4096
_WEIGHTED = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
)


def trace(checkpoint: str | Path) -> Graph:
    """Return the Graph of a checkpoint: "reference", or the path of a folder with spec.toml.

    Either may end in "@HEIGHTxWIDTH", which changes the size of the network's input: more pixels find more
    and smaller people at a proportional cost. Only weights of the reference architecture can change it.

    The folder's [checkpoint] table names the network's file: "network.safetensors" (weights of the reference
    architecture), "….pt2" (a program that torch.export saved) or "….onnx". Nothing is unpickled or imported;
    see `program_file`.

    The contract, which is checked here (`PoseSpec` states fields and units):

        input     one float32 batch (1, 3, H, W), RGB or BGR as `colour_order` states, normalized by `mean`
                  and `std`
        outputs   a float32 map (1, C, H / stride, W / stride) for each head in [heads], by name or in order
        skeleton  a tree of joints with "pelvis" as its root and a joint "neck": the ends of the torso. A
                  network of COCO key points defines them as the middle of the hips and of the shoulders
        decoder   pose.safetensors: weight_0, bias_0, … from the embedding to 3 numbers for each bone
        values    finite in weights, decoder and specification

    Raises PosecError where a file is missing, too large, no plain file, or of another form, or where the
    network breaks the contract.
    """
    name, size = split_size(checkpoint)
    folder = checkpoint_folder(name)
    if not (folder / SPEC).exists():
        raise PosecError(
            f"no checkpoint '{folder}'; known: {REFERENCE}; or give the path of a folder with {SPEC}"
        )
    files = read_files(folder)
    spec = files.spec if size is None else _resized(files.spec, size, files.path)
    readers = {
        ".safetensors": _from_weights,
        ".pt2": _from_program,
        ".onnx": lambda files, _spec: read_onnx(files.path),
    }
    model = readers[files.path.suffix](files, spec)
    check_batch(model, spec)
    _check_finite(model, files.path)
    spec = name_heads(model, spec)
    frame = FrameInput("float32", "NCHW", spec.colour_order, normalized=True)
    licence = str(files.about.get("licence", "not stated"))
    graph = Graph(model, spec, frame, files.decoder, licence, temporal=files.temporal)
    check_heads(graph)
    return graph


def checkpoint_folder(name: str) -> Path:
    """Return the folder of a checkpoint; "reference" stands for the one that is shipped."""
    return Path(__file__).parents[1] / REFERENCE if name == REFERENCE else Path(name)


def split_size(checkpoint: str | Path) -> tuple[str, tuple[int, int] | None]:
    """Return the name or path before "@HEIGHTxWIDTH", and that size, or None where the name has none."""
    found = _SIZE.fullmatch(str(checkpoint))
    if found is None or Path(checkpoint).exists():
        return str(checkpoint), None
    return found["name"], (int(found["height"]), int(found["width"]))


def _resized(spec: PoseSpec, size: tuple[int, int], network: Path) -> PoseSpec:
    if network.suffix != ".safetensors":
        own = "x".join(map(str, spec.input_size))
        raise PosecError(
            f"'{network}' is a graph for pictures of {own}; save one of the other size, "
            f"and leave @{size[0]}x{size[1]} out"
        )
    if any(side % _SIDE or not _SIDE <= side <= _LARGEST_SIDE for side in size):
        raise PosecError(
            f"asked: {size[0]}x{size[1]}; "
            f"height and width must be multiples of {_SIDE}, up to {_LARGEST_SIDE}"
        )
    return replace(spec, input_size=size)


def _check_finite(model: onnx.ModelProto, path: Path) -> None:
    """Raise PosecError where a constant is NaN or a weight infinite; other infinities are bounds or masks."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.type == attribute.TENSOR
    }
    weights = {name for node in model.graph.node if node.op_type in _WEIGHTED for name in node.input[1:]}
    for name, tensor in constants.items():
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and (
            np.isnan(values).any() or (name in weights and np.isinf(values).any())
        ):
            raise PosecError(f"'{path}' holds NaN or infinity in '{name}'; train or export the network again")


def _from_weights(files: CheckpointFiles, spec: PoseSpec) -> onnx.ModelProto:
    """Return the reference architecture with the folder's weights, as ONNX."""
    torch = _torch()
    from ..network.checkpoint import build_network

    network = build_network(files).network
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The older exporter is deprecated, and the only one that writes opset 13.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, *spec.input_size),),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["frame"],
            output_names=[spec.heads[head].tensor for head in spec.head_names],
        )
    return onnx.load_model_from_string(file.getvalue())


def _from_program(files: CheckpointFiles, spec: PoseSpec) -> onnx.ModelProto:
    """Return a program that torch.export saved, as ONNX.

    It returns a dictionary by head, or a tuple in the order of `spec.head_names`.
    """
    path, program = files.path, read_program(files.path, files.network)
    names = program.keys or tuple(spec.heads[head].tensor for head in spec.head_names)
    if len(names) != program.outputs:
        raise PosecError(
            f"'{path}' returns {program.outputs} tensors; return a dictionary by head, "
            f"or {', '.join(spec.head_names)} in this order"
        )
    try:
        return settle(onnx.load_model_from_string(convert(program.content, names)))
    except PosecError as error:
        raise PosecError(f"'{path}': {error}") from error


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise PosecError(
            f"tracing this checkpoint needs {error.name}: pip install 'posec[host]'; "
            "an ONNX checkpoint needs neither"
        ) from error
    return torch
