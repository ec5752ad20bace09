"""Forecast of a graph on a Jetson: precision per layer, DLA fallbacks, memory, and the trtexec command."""

from __future__ import annotations

import math
from typing import Any

import onnx
from onnx import TensorProto, helper

from toolkit.ir.graph import Graph
from toolkit.ir.target import Job
from toolkit.passes.edit.graph_index import FUSED_ACTIVATIONS, GraphIndex, index_graph, layer_name
from toolkit.passes.tensorrt.dla_rules import dla_obstacles

_MB = 2**20
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
TRTEXEC = "/usr/src/tensorrt/bin/trtexec"


def plan_details(graph: Graph, job: Job) -> dict[str, Any]:
    """Return the forecast of a lowered graph on the board, for JSON.

    It follows from the graph and NVIDIA's documents, not from measurements on a Jetson.

    Returns:
        `layers`: precision → number of layers; a fused activation counts with its layer;
        `float layers`: layers that int8 leaves float;
        `dla`: cores, and layer → reason why it falls back to the GPU;
        `memory_mb`: weights, activations and workspace of the build, without CUDA and TensorRT themselves;
        `build_minutes`: expected, (low, high);
        `trtexec`: the command that builds and times the same plan.
    """
    options, facts = job.target.options, job.target.facts
    precisions = layer_precisions(graph, job.precision)
    counts = {
        precision: list(precisions.values()).count(precision)
        for precision in dict.fromkeys(precisions.values())
    }
    details: dict[str, Any] = {"layers": counts}
    if job.precision == "int8":
        details["float layers"] = [name for name, precision in precisions.items() if precision != "int8"]
    details["dla"] = _dla(graph, job)
    details["memory_mb"] = _memory(graph, job, options.get("workspace_mb", 0))
    details["build_minutes"] = list(options.get("build_minutes", ()))
    details["tensorrt"] = list(facts["tensorrt"])
    return {**details, "trtexec": trtexec_line(job)}


def layer_precisions(graph: Graph, precision: str) -> dict[str, str]:
    """Return the precision of each layer on the board, without layers that are fused into the one before."""
    graph_index = index_graph(graph.model)
    rest = "float32" if precision == "float32" else "float16"
    layers = {}
    for node in graph.model.graph.node:
        if node.op_type in (*_QUANTIZERS, "Constant") or _is_fused(node, graph_index):
            continue
        operands = [node.input[i] for i in graph_index.data_inputs(node)]
        integer = any(
            name in graph_index.producers and graph_index.producers[name].op_type == "DequantizeLinear"
            for name in operands
        )
        layers[layer_name(node)] = "int8" if integer else rest
    return layers


def trtexec_line(job: Job) -> str:
    """Return the trtexec command that builds the plan of a bundle's model.onnx as the engine does."""
    flags = {"float32": ["--noTF32"], "float16": ["--fp16"], "int8": ["--int8", "--fp16"]}[job.precision]
    workspace = job.target.options.get("workspace_mb", 512)
    old = all(tuple(map(int, version.split(".")[:2])) < (8, 4) for version in job.target.facts["tensorrt"])
    flags += [f"--workspace={workspace}" if old else f"--memPoolSize=workspace:{workspace}"]
    if "dla_core" in job.target.options:
        flags += [f"--useDLACore={job.target.options['dla_core']}", "--allowGPUFallback"]
    timing = "--saveEngine=model.plan --useSpinWait --warmUp=500 --duration=30"
    return f"{TRTEXEC} --onnx=model.onnx {' '.join(flags)} {timing}"


def _dla(graph: Graph, job: Job) -> dict[str, Any]:
    cores = job.target.facts.get("dla_cores", 0)
    if not cores:
        return {"cores": 0, "why": "this board has no DLA"}
    if job.precision != "float16":
        why = (
            "the DLA does not support explicit quantization"
            if job.precision == "int8"
            else "the DLA computes only in float16 and int8"
        )
        return {"cores": cores, "why": f"{why}: all layers run on the GPU; export float16 for the DLA"}
    return {"cores": cores, "on the gpu": dla_obstacles(graph)}


def _is_fused(node: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    maker = graph_index.producers.get(node.input[0]) if node.input else None
    alone = (
        maker is not None
        and len(graph_index.readers[node.input[0]]) == 1
        and node.input[0] not in graph_index.outputs
    )
    return (
        node.op_type in FUSED_ACTIVATIONS and alone and maker is not None and maker.op_type not in _QUANTIZERS
    )


def _memory(graph: Graph, job: Job, workspace_mb: int) -> dict[str, float]:
    model, graph_index = graph.model, index_graph(graph.model)
    width = 4 if job.precision == "float32" else 2
    integers = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    weights = sum(
        math.prod(t.dims) * (1 if t.name in integers else width)
        for t in model.graph.initializer
        if t.data_type == TensorProto.FLOAT
    )
    return {
        "weights": round(weights / _MB, 1),
        "activations": round(_most_alive(model, graph_index, width) / _MB, 1),
        "workspace": workspace_mb,
    }


def _most_alive(model: onnx.ModelProto, graph_index: GraphIndex, width: int) -> int:
    """Return the most bytes of tensors alive at once; a quantized tensor counts once, as int8."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    sizes = {}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        kind = value.type.tensor_type.elem_type
        item = width if kind == TensorProto.FLOAT else helper.tensor_dtype_to_np_dtype(kind).itemsize
        sizes[value.name] = math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim) * item
    # Q, DQ and fused activations change their tensor in place.
    placed = {
        node.output[0]: 0
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" or _is_fused(node, graph_index)
    }
    sizes.update(placed)
    last = {name: place for place, node in enumerate(model.graph.node) for name in node.input}
    alive, most = sizes.get(model.graph.input[0].name, 0), 0
    for place, node in enumerate(model.graph.node):
        alive += sum(sizes.get(name, 0) for name in node.output)
        most = max(most, alive)
        alive -= sum(
            sizes.get(name, 0)
            for name in set(node.input)
            if last.get(name) == place and name not in graph_index.constants
        )
    return most
