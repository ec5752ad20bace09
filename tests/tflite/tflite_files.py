"""Lowered graphs for the Raspberry Pi 5, and the operators and constants of TFLite files."""

from __future__ import annotations

from networks import spot_picture

import calibration
import targets
from toolkit.ir.target import Job
from toolkit.passes import prepare
from toolkit.passes.quantize.insert_qdq import insert_qdq

PI5 = targets.load("raspberry-pi-5")
PICTURES = [spot_picture(people, seed=people) for people in range(1, 5)]


def qdq_graph(graph):
    """Return a float graph with the integers of the TFLite scheme, before it is lowered, and its job."""
    job, prepared = Job(PI5, "int8"), prepare(graph)
    ranges = calibration.collect(prepared, PICTURES).tensors
    for rewrite in PI5.backend.pre_quantize(job):
        rewrite(prepared)
    insert_qdq(prepared, ranges, PI5.backend.scheme(job))
    return prepared, job


def prepare_float(graph):
    """Return a float graph with the frame of the back end, before it is lowered, and its job."""
    job, prepared = Job(PI5, "float32"), prepare(graph)
    for rewrite in PI5.backend.pre_quantize(job):
        rewrite(prepared)
    return prepared, job


def file_operators(content):
    """Return (operator, types of its inputs, type of its output) of every operator of a TFLite file."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph, codes = model.subgraphs[0], model.operatorCodes
    kinds = [
        max(codes[operator.opcodeIndex].builtinCode, codes[operator.opcodeIndex].deprecatedBuiltinCode)
        for operator in graph.operators
    ]
    return [
        (
            names[kind],
            {graph.tensors[i].type for i in operator.inputs if i >= 0},
            graph.tensors[operator.outputs[0]].type,
        )
        for kind, operator in zip(kinds, graph.operators, strict=True)
    ]


def constant_bytes(content):
    """Return the bytes of the real-valued constants of a TFLite file."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    real = {
        tensor.buffer
        for tensor in model.subgraphs[0].tensors
        if tensor.type in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
    }
    return sum(len(model.buffers[index].data) for index in real if model.buffers[index].data is not None)
