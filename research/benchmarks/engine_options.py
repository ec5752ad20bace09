"""The cost of each engine option that posec sets, or could set: processor time beside the shipped choice.

    python -m research.benchmarks.engine_options BUNDLES

BUNDLES holds `generic-cpu-float32`, `generic-cpu-int8`, `intel-cpu-float32`, `intel-cpu-int8` and
`raspberry-pi-5-float32`, folders of `posec export`; missing ones are left out. One thread; the variants of a
bundle take turns, and a ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.runtime import read_bundle
from toolkit.runtime.bundle import Bundle
from toolkit.runtime.engines.onnxruntime import cpu_options, library

Call = Callable[[], object]
ROUNDS, CALLS = 15, 3


def onnxruntime_calls(bundle: Bundle, batch: np.ndarray) -> dict[str, Call]:
    """Return variant → inference, the shipped choice first."""
    onnxruntime = library()

    def opened(level: str = "ORT_ENABLE_ALL", **entries: str) -> Call:
        options = cpu_options(onnxruntime, 1)
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        for name, value in entries.items():
            options.add_session_config_entry(name.replace("__", "."), value)
        session = onnxruntime.InferenceSession(
            str(bundle.model_path), options, providers=["CPUExecutionProvider"]
        )
        given = {session.get_inputs()[0].name: batch}
        return lambda: session.run(None, given)

    return {
        "as shipped": opened(),
        "session.x64quantprecision": opened(session__x64quantprecision="1"),
        "optimizations up to EXTENDED": opened("ORT_ENABLE_EXTENDED"),
        "spinning threads": opened(session__intra_op__allow_spinning="1"),
        "WeightBiasQuantization left on": opened(optimizer__disable_specified_optimizers=""),
    }


def openvino_calls(bundle: Bundle, batch: np.ndarray) -> dict[str, Call]:
    """Return variant → inference, the shipped choice first."""
    import openvino

    shipped = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": 1,
    }

    def opened(**changed: Any) -> Call:
        settings = {name: value for name, value in {**shipped, **changed}.items() if value is not None}
        request = (
            openvino.Core().compile_model(str(bundle.model_path), "CPU", settings).create_infer_request()
        )
        request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))
        return request.infer

    return {
        "as shipped": opened(),
        "LP_TRANSFORMS_MODE off": opened(LP_TRANSFORMS_MODE=False),
        "bf16 for f32": opened(INFERENCE_PRECISION_HINT="bf16"),
        "no PERFORMANCE_HINT": opened(PERFORMANCE_HINT=None),
        "no pinning": opened(ENABLE_CPU_PINNING=False),
    }


def tflite_calls(bundle: Bundle, batch: np.ndarray) -> dict[str, Call]:
    """Return variant → inference, the shipped choice first."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def opened(threads: int | None = 1, **options: Any) -> Call:
        interpreter = Interpreter(model_path=str(bundle.model_path), num_threads=threads, **options)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
        return interpreter.invoke  # type: ignore[no-any-return]

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return {
        "as shipped": opened(),
        "num_threads left to the library": opened(None),
        "all tensors kept": opened(experimental_preserve_all_tensors=True),
        "no XNNPACK": opened(experimental_op_resolver_type=plain),
    }


CALLS_OF = {"onnxruntime": onnxruntime_calls, "openvino": openvino_calls, "tflite": tflite_calls}


def compare(title: str, calls: dict[str, Call], rounds: int) -> None:
    """Print the processor time of each variant over that of the first."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            start = time.process_time()
            for _ in range(CALLS):
                call()
            found[name].append(1000 * (time.process_time() - start) / CALLS)
    shipped = np.array(found["as shipped"])
    print(f"{title}: {np.median(shipped):.1f} ms of processor time")
    for name, times in found.items():
        if name != "as shipped":
            print(f"    {name}: {np.median(np.array(times) / shipped):.2f}", flush=True)


def main() -> None:
    """Print a row per option."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    for folder in sorted(path for path in options.bundles.iterdir() if (path / "bundle.json").exists()):
        bundle = read_bundle(folder)
        if bundle.engine in CALLS_OF:
            height, width = bundle.spec.input_size
            shape = (1, height, width, 3) if bundle.frame.layout == "NHWC" else (1, 3, height, width)
            batch = np.random.default_rng(0).integers(0, 100, shape).astype(bundle.frame.dtype)
            compare(folder.name, CALLS_OF[bundle.engine](bundle, batch), options.rounds)


if __name__ == "__main__":
    main()
