"""A bundle's plan, found or built, with its buffers and its stream. The module `tensorrt` is a parameter."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from ...bundle import Bundle
from .. import EngineError
from .board import board_facts
from .cuda import Cuda, DeviceMemory, PinnedMemory, Stream, aligned
from .plan_build import PlanOptions, build_plan, make_logger, make_runtime, version_of
from .plan_cache import PlanCache, cache_folder
from .plan_tensors import Tensor, bind, tensors_of

_MB = 1 << 20
_WORKSPACE_MB = 512
# From this compute capability on (Xavier), the CPU caches pinned memory.
_CACHED_PINNED = (7, 2)


def report(line: str) -> None:
    """Print a progress line on standard error."""
    print(f"posec: {line}", file=sys.stderr, flush=True)


class PlanRunner:
    """One plan, its buffers and its stream."""

    def __init__(self, trt: Any, cuda: Cuda, path: str, *, bundle: Bundle) -> None:
        version_of(trt)
        self._trt, self._bundle = trt, bundle
        self._logger = make_logger(trt)
        options, model, self._machine = (
            plan_options(bundle, cuda),
            Path(path).read_bytes(),
            machine_facts(trt, cuda),
        )
        self._cache = PlanCache(cache_folder(), fingerprint(model, bundle, self._machine), self._machine)
        # The runtime must outlive the engine, the engine its context.
        self._runtime = make_runtime(trt, self._logger)
        if options.dla_core is not None:
            self._runtime.DLA_core = options.dla_core
        self._engine, self._origin = self._load_or_build(model, options)
        tensors = tensors_of(trt, self._engine)
        inputs, outputs = [t for t in tensors if t.is_input], [t for t in tensors if not t.is_input]
        _check_tensors(inputs, outputs, bundle)
        self._input = inputs[0]
        offsets, size = aligned([tensor.size for tensor in outputs])
        self._stream = Stream(cuda)
        self._input_pinned, self._input_device = (
            PinnedMemory(cuda, self._input.size),
            DeviceMemory(cuda, self._input.size),
        )
        # All heads lie in one block, so that one copy brings them.
        self._output_pinned, self._output_device = PinnedMemory(cuda, size), DeviceMemory(cuda, size)
        self._frame = self._input_pinned.array(0, self._input.shape, self._input.dtype)
        names = {head.tensor: name for name, head in bundle.spec.heads.items()}
        pinned = {t.name: self._output_pinned.array(at, t.shape, t.dtype) for t, at in zip(outputs, offsets)}
        self._heads = {names[tensor]: array[0] for tensor, array in pinned.items()}
        self._copies = (
            None
            if cuda.capability >= _CACHED_PINNED
            else {n: np.empty(h.shape, np.float32) for n, h in self._heads.items()}
        )
        addresses = {t.name: self._output_device.address + at for t, at in zip(outputs, offsets)}
        addresses[self._input.name] = self._input_device.address
        self._execute = bind(self._engine, addresses, self._stream.handle)

    def _load_or_build(self, model: bytes, options: PlanOptions) -> Tuple[Any, str]:
        engine = self._load()
        if engine is not None:
            return engine, "loaded"
        with self._cache.building(lambda: report("another process builds this plan; waiting for it")):
            engine = self._load()  # what that process left
            return (engine, "loaded") if engine is not None else self._build(model, options)

    def _load(self) -> Any:
        plan = self._cache.load()
        engine = self._runtime.deserialize_cuda_engine(plan) if plan else None
        if plan and engine is None:
            report(
                "TensorRT cannot load the plan that it built earlier "
                f"({'; '.join(self._logger.errors[-2:])}); building it again"
            )
            self._cache.forget()
        return engine

    def _build(self, model: bytes, options: PlanOptions) -> Tuple[Any, str]:
        began, killed = time.monotonic(), self._cache.begin()
        if killed:
            options = options.smaller(killed)
            report(
                "an earlier build was killed; this one gets a workspace of "
                f"{options.workspace_bytes // _MB} MB"
            )
        try:
            plan, timings = build_plan(
                self._trt,
                model,
                options,
                logger=self._logger,
                timing_cache=self._cache.timings(),
                report=report,
            )
            self._cache.store(plan, timings)
        finally:
            self._cache.end()
        seconds = time.monotonic() - began
        report(f"plan built in {seconds:.0f} s: {self._cache.plan}")
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineError(
                f"TensorRT cannot load the plan that it just built: {'; '.join(self._logger.errors[-2:])}; "
                "check free memory"
            )
        return engine, f"built in {seconds:.0f} s"

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32; the next call overwrites the arrays."""
        if batch.shape != self._input.shape or batch.dtype != self._input.dtype:
            raise EngineError(
                f"the plan takes {self._input.dtype} {self._input.shape}, got {batch.dtype} {batch.shape}"
            )
        np.copyto(self._frame, batch)
        self._stream.to_device(self._input_device, self._input_pinned)
        if not self._execute():
            raise EngineError(
                f"TensorRT could not run the plan: {'; '.join(self._logger.errors[-3:]) or 'no reason given'}"
            )
        self._stream.to_host(self._output_pinned, self._output_device)
        self._stream.wait()
        if self._copies is None:
            return self._heads
        for name, head in self._heads.items():
            np.copyto(self._copies[name], head)
        return self._copies

    def describe(self) -> Dict[str, str]:
        """Return engine, version, machine, precision, interface and origin of the plan."""
        facts = {
            name.replace("_", " "): str(value) for name, value in self._machine.items() if name != "tensorrt"
        }
        interface = "named tensors" if hasattr(self._engine, "num_io_tensors") else "bindings"
        return {
            "engine": "tensorrt",
            "version": str(self._machine["tensorrt"]),
            **facts,
            "precision": self._bundle.precision,
            "interface": interface,
            "plan": f"{self._cache.key}, {self._origin}",
        }


def workspace_bytes(bundle: Bundle) -> int:
    """Return the largest memory that a kernel may request: the bundle's option `workspace_mb`."""
    return int(bundle.options.get("workspace_mb", _WORKSPACE_MB)) * _MB


def plan_options(bundle: Bundle, cuda: Cuda) -> PlanOptions:
    """Return the settings of a bundle's build; the workspace is at most half of the free memory."""
    low, high = bundle.options.get("build_minutes", (1, 10))
    dla = bundle.options.get("dla_core")
    workspace = min(workspace_bytes(bundle), cuda.memory[0] // 2)
    return PlanOptions(
        bundle.precision, workspace, None if dla is None else int(dla), (float(low), float(high))
    )


def machine_facts(trt: Any, cuda: Cuda) -> Dict[str, Any]:
    """Return the properties of GPU, TensorRT and JetPack that a plan depends on.

    TensorRT ties a plan to the number of multiprocessors, which depends on the power mode.
    """
    return {
        "gpu": cuda.name,
        "compute_capability": "{}.{}".format(*cuda.capability),
        "multiprocessors": cuda.multiprocessors,
        "tensorrt": str(trt.__version__),
        "cuda": "{}.{}".format(*cuda.version),
        "l4t": board_facts()["l4t"],
    }


def fingerprint(model: bytes, bundle: Bundle, machine: Mapping[str, Any]) -> Dict[str, Any]:
    """Return everything that a plan depends on; the workspace is the requested one, as free memory varies."""
    options = {
        "precision": bundle.precision,
        "dla_core": bundle.options.get("dla_core"),
        "workspace": workspace_bytes(bundle),
    }
    return {**machine, **options, "model_sha256": hashlib.sha256(model).hexdigest()}


def _check_tensors(inputs: List[Tensor], outputs: List[Tensor], bundle: Bundle) -> None:
    wanted = {head.tensor: (1, *bundle.spec.head_shape(name)) for name, head in bundle.spec.heads.items()}
    found = {tensor.name: tensor.shape for tensor in outputs}
    if len(inputs) != 1 or found != wanted:
        raise EngineError(
            f"the plan has {len(inputs)} inputs and outputs {found}; the bundle specifies 1 and {wanted}; "
            "export it again"
        )
    if any(tensor.dtype != np.float32 for tensor in outputs):
        raise EngineError("the plan's outputs are not float32; export the bundle again")
