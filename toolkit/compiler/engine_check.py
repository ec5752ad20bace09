"""Check of a bundle before it is written: its engine, in another process, must compute the graph's heads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.target import Job
from ..runtime.bundle import write_bundle
from ..runtime.engines.onnxruntime import cpu_options, library
from ..runtime.preprocess import to_batch

# Engines that run on the host; a TensorRT plan is built and checked on the board.
HERE = ("onnxruntime", "openvino", "tflite")
_SECONDS = 300
_MOST_PICTURES = 4
# Root-mean-square distance from the float heads, over the standard deviation of the head on the pictures.
# The rounding error of the graph is added. bfloat16 rounds every layer in the engine, not in the graph.
_ALLOWED = {"float32": 0.002, "float16": 0.1, "bfloat16": 0.4, "int8": 0.02}
# Factor on the rounding error of the graph: an engine rounds in other places, by similar amounts.
_ROUNDING = 1.5
# Least standard deviation, as a fraction of the head's range: some heads hardly change over the pictures.
_SMALLEST_SPREAD = 0.05


def check_engine(
    prepared: Graph,
    compiled: Graph,
    job: Job,
    *,
    info: Mapping[str, Any],
    files: Mapping[str, bytes],
    pictures: Sequence[np.ndarray],
    threads: int | None = None,
) -> None:
    """Raise PosecError where the engine cannot run the model, or its heads differ by more than rounding.

    Args:
        prepared: the float graph.
        compiled: the lowered graph, with Q/DQ where the job is int8.
        job: target and precision.
        info, files: arguments of `write_bundle`.
        pictures: BGR (H, W, 3) uint8; noise where there are none.
        threads: of the networks; None takes all processors.
    """
    if job.target.backend.ENGINE not in HERE:
        return
    chosen = _chosen(compiled, pictures)
    exact = _graph_heads(prepared, _batches(prepared, chosen), threads)
    batches = _batches(compiled, chosen)
    rounded = _graph_heads(compiled, batches, threads) if job.precision == "int8" else exact
    found = _engine_heads(info, files, batches=batches, job=job, threads=threads)
    for head, values in exact.items():
        stated = compiled.spec.heads[head]
        spread = max(float(values.std()), _SMALLEST_SPREAD * (stated.high - stated.low))
        allowed = _ALLOWED[job.precision] * spread + _ROUNDING * _distance(rounded[head], values)
        if not (distance := _distance(found[head], values)) <= allowed:
            raise PosecError(
                f"{job.target.backend.ENGINE} computes head '{head}' otherwise than the graph: "
                f"{distance:.3g} from the float network, rounding explains {allowed:.3g}; "
                f"nothing was written: {_next_step(job)}"
            )


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def _batches(graph: Graph, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Return the inputs of a graph (N, 1, …), copied: `to_batch` may reuse its array."""
    return np.stack([np.array(to_batch(picture, graph.spec, graph.frame)[0]) for picture in pictures])


def _chosen(graph: Graph, pictures: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    if len(pictures):
        return pictures[:: -(-len(pictures) // _MOST_PICTURES)]
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*graph.spec.input_size, 3)).astype(np.uint8) for _ in range(2)]


def _graph_heads(graph: Graph, batches: np.ndarray, threads: int | None) -> dict[str, np.ndarray]:
    """Return the heads of the graph: without optimizations, ONNX Runtime rounds only at Q and DQ."""
    onnxruntime = library()
    options = cpu_options(onnxruntime, threads)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = {head: tensor for head, (tensor, _) in graph.heads.items()}
        runs = [session.run(list(names.values()), {graph.input_name: batch}) for batch in batches]
    except Exception as error:  # its exceptions have no common base class
        raise PosecError(
            f"ONNX Runtime cannot run the compiled graph: {str(error).splitlines()[0]}"
        ) from error
    return {head: np.stack([run[place][0] for run in runs]) for place, head in enumerate(names)}


def _engine_heads(
    info: Mapping[str, Any],
    files: Mapping[str, bytes],
    *,
    batches: np.ndarray,
    job: Job,
    threads: int | None,
) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        bundle, given, made = (str(Path(folder) / name) for name in ("bundle", "batches.npy", "heads.npz"))
        write_bundle(bundle, info, files)
        np.save(given, batches)
        # The child imports the same copy of the package.
        paths = os.pathsep.join(
            filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        )
        command = [sys.executable, "-m", f"{__package__}.engine_heads", bundle, given, made]
        command += [] if threads is None else [f"--threads={threads}"]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                env={**os.environ, "PYTHONPATH": paths},
            )
        except subprocess.TimeoutExpired as error:
            raise PosecError(
                f"{job.target.backend.ENGINE} did not finish {len(batches)} pictures in {_SECONDS} s; "
                "nothing was written"
            ) from error
        if done.returncode:
            raise PosecError(
                f"{job.target.backend.ENGINE} cannot run this file: {_reason(done)}; "
                f"nothing was written: {_next_step(job)}"
            )
        with np.load(made) as heads:
            return {name: heads[name] for name in heads.files}


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"its process ended with signal {signal.Signals(-done.returncode).name}"
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1].removesuffix(
        "; export the bundle again"
    )


def _next_step(job: Job) -> str:
    other = "take another precision or target"
    if job.precision == "int8":
        return f"{other}, or leave the layers around the unusual operator float with --keep-float"
    return other
