"""An ONNX file to a TensorRT plan: the builder's calls, in their order, for TensorRT 8.2 to 10.

The module `tensorrt` is a parameter, so that this file can be tested where TensorRT cannot be installed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Optional, Tuple

from .. import EngineError

Report = Callable[[str], None]
_FIRST_MAJOR, _LAST_MAJOR = 8, 10
_REPORT_EVERY_S = 30.0
# A builder that runs out of memory is called again with a smaller workspace, down to this one.
SMALLEST_WORKSPACE = 32 << 20


class PlanError(EngineError):
    """TensorRT refused a network or a plan; the message includes its errors."""


@dataclass(frozen=True)
class PlanOptions:
    """Settings of a build; with the model and the machine they determine the plan.

    Attributes:
        precision: "float32", "float16" or "int8"; int8 follows the network's Q/DQ nodes, the rest is float16.
        workspace_bytes: largest memory that a kernel may request.
        dla_core: core of the deep learning accelerator, None for the GPU alone.
        minutes: (low, high) that the build is expected to take.
    """

    precision: str
    workspace_bytes: int
    dla_core: Optional[int] = None
    minutes: Tuple[float, float] = (1.0, 10.0)

    def smaller(self, times: int) -> PlanOptions:
        """Return the options with the workspace quartered `times` times, at least SMALLEST_WORKSPACE."""
        return replace(self, workspace_bytes=max(self.workspace_bytes >> (2 * times), SMALLEST_WORKSPACE))


def version_of(trt: Any) -> Tuple[int, ...]:
    """Return TensorRT's version as numbers. Raises PlanError if its interface is unknown."""
    version = tuple(int(part) for part in trt.__version__.split(".")[:3] if part.isdigit())
    if not _FIRST_MAJOR <= version[0] <= _LAST_MAJOR or version < (8, 2):
        raise PlanError(
            f"TensorRT {trt.__version__}: this engine knows 8.2 to {_LAST_MAJOR}.x; install the one of the "
            "board's JetPack"
        )
    return version


def make_logger(trt: Any) -> Any:
    """Return a TensorRT logger that keeps the errors of the last calls in its list `errors`."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: List[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    return Log()


def build_plan(
    trt: Any,
    model: bytes,
    options: PlanOptions,
    *,
    logger: Any,
    timing_cache: bytes,
    report: Report,
) -> Tuple[bytes, bytes]:
    """Build a plan; takes minutes.

    Args:
        trt: the module `tensorrt`.
        model: an ONNX file.
        options: see PlanOptions.
        logger: see `make_logger`.
        timing_cache: from an earlier build on this machine; may be empty.
        report: called with a line on the progress.

    Returns:
        the plan, and the timing cache that makes the next build faster.

    Raises PlanError if the GPU lacks the precision, the parser refuses a node, or no plan is found.
    """
    while True:
        del logger.errors[:]
        plan, cache = _build(trt, model, options, logger=logger, timing_cache=timing_cache, report=report)
        if plan:
            return plan, cache
        reason = "; ".join(logger.errors[-3:]) or "TensorRT gave no reason"
        if "outofmemory" not in reason.lower().replace(" ", ""):
            raise PlanError(f"TensorRT {trt.__version__} built no plan: {reason}")
        if options.workspace_bytes <= SMALLEST_WORKSPACE:
            raise PlanError(
                f"TensorRT ran out of memory: {reason}; close other programs (`sudo init 3` stops the "
                "desktop), or add swap"
            )
        options = options.smaller(1)
        report(f"out of memory; once more with a workspace of {options.workspace_bytes >> 20} MB")


def _build(
    trt: Any,
    model: bytes,
    options: PlanOptions,
    *,
    logger: Any,
    timing_cache: bytes,
    report: Report,
) -> Tuple[bytes, bytes]:
    version = version_of(trt)
    builder = _make(trt.Builder, logger)
    network = builder.create_network(_network_flags(trt))
    # The parser owns the network's weights: it must outlive the build.
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise PlanError(f"TensorRT {trt.__version__} cannot read the network: {_parser_errors(parser)}")
    config = builder.create_builder_config()
    _set_precision(trt, builder, config, options=options)
    if version >= (8, 4):
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    else:
        config.max_workspace_size = options.workspace_bytes
    cache = config.create_timing_cache(timing_cache) or config.create_timing_cache(b"")
    if not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")  # of another TensorRT or GPU
        config.set_timing_cache(cache, False)
    with _Progress(trt, config, options.minutes, report=report):
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        return b"", b""
    return bytes(plan), bytes(cache.serialize())


def make_runtime(trt: Any, logger: Any) -> Any:
    """Return a runtime that deserializes plans. Raises PlanError if TensorRT cannot start."""
    return _make(trt.Runtime, logger)


def _make(kind: Any, logger: Any) -> Any:
    try:
        return kind(logger)
    except TypeError as error:  # raised by the bindings where the library returns no object
        raise PlanError(
            f"TensorRT cannot start: {'; '.join(logger.errors) or error}; is the GPU's driver loaded?"
        ) from error


def _network_flags(trt: Any) -> int:
    # The parser requires explicit batches up to TensorRT 9; later versions have no other networks.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
    return 0 if flag is None else 1 << int(flag)


def _set_precision(trt: Any, builder: Any, config: Any, *, options: PlanOptions) -> None:
    if options.precision == "int8":
        if not builder.platform_has_fast_int8:
            raise PlanError("this GPU has no int8 instructions; export the bundle with --precision float16")
        config.set_flag(trt.BuilderFlag.INT8)
    if options.precision == "float32":
        # TF32 is on by default from Ampere on, and has only 10 bits of mantissa.
        config.clear_flag(trt.BuilderFlag.TF32)
    else:
        config.set_flag(trt.BuilderFlag.FP16)
    if options.dla_core is not None:
        if not 0 <= options.dla_core < builder.num_DLA_cores:
            raise PlanError(
                f"no DLA core {options.dla_core}; this board has {builder.num_DLA_cores}; leave dla_core "
                "out for the GPU alone"
            )
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = options.dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    return (
        "; ".join(f"node {error.node()}: {error.desc()}" for error in errors) or "its parser gave no reason"
    )


class _Progress:
    """Reports the progress of a build: the builder's steps from TensorRT 10 on, else the elapsed time."""

    def __init__(self, trt: Any, config: Any, minutes: Tuple[float, float], *, report: Report) -> None:
        self._report, self._minutes, self._step, self._done = report, minutes, "", threading.Event()
        self._thread = threading.Thread(target=self._run, name="plan-progress", daemon=True)
        if hasattr(trt, "IProgressMonitor"):
            self._monitor = _make_monitor(trt, self)
            config.progress_monitor = self._monitor

    def step(self, name: str) -> None:
        self._step = name

    def _run(self) -> None:
        began = time.monotonic()
        while not self._done.wait(_REPORT_EVERY_S):
            passed, at = time.monotonic() - began, f", {self._step}" if self._step else ""
            self._report(
                f"building the plan: {passed:.0f} s{at} (expected: {self._minutes[0]:g} to "
                f"{self._minutes[1]:g} minutes)"
            )

    def __enter__(self) -> None:
        self._report(
            f"building the plan, once for this board and TensorRT; expect {self._minutes[0]:g} to "
            f"{self._minutes[1]:g} minutes"
        )
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def _make_monitor(trt: Any, progress: _Progress) -> Any:
    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: Dict[str, int] = {}  # of each phase

        def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.step(f"{phase_name} {step + 1}/{self._steps.get(phase_name, 0)}")
            return True  # False would stop the build

    return Monitor()
