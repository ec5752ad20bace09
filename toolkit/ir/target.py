"""Target: a board, as data; Backend: what a toolchain must offer; Job: one request to lower a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import PosecError
from .graph import Graph, Pass

# By bits, then by the rounding of a product: the lowest is the last.
PRECISIONS = ("float32", "float16", "bfloat16", "int8")
BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "int8": 8}


@dataclass(frozen=True)
class Scheme:
    """How a back end wants integers.

    Attributes:
        name: short, for the plan and the report, such as "u8s8-per-channel".
        activations: "uint8" (affine) or "int8" (symmetric, zero point 0, or affine where `symmetric` is False).
        symmetric: zero point 0 for activations.
        per_channel: one scale per output channel of a weight, else one per tensor.
        quantize_bias: int32 bias behind a DequantizeLinear, else a float bias.
        weights_as_integers: int8 initializer → DequantizeLinear; else float → QuantizeLinear → DequantizeLinear.
        operators: operator types whose inputs are quantized.
        same_scale: operator types whose input and output must share one scale (resize, pooling, concat, transpose).
        fixed_outputs: operator type → (scale, zero point) that the runtime insists on.
        float_heads: the last convolution and activation of every head stay float.
        integer_heads: with `float_heads`, the heads that are integers all the same, by name, because a step of theirs costs nothing.
        head_weights: with `float_heads`, the last convolution of a head still multiplies integers: it writes floats, which
            kernels of some runtimes do as fast.
        outputs: the results of `operators` are quantized even where float operators alone read them; integer kernels of
            ONNX Runtime and TFLite need that, others write floats.
        fused_residual: an Add that sums a convolution's result takes it as it is, because the runtime fuses the two.
        float_depthwise: depthwise convolutions stay float, because the runtime computes them no faster in integers.
        joined_sums: a sum of convolutions is computed as one, see `passes.quantize.fuse_conv_sums`; runtimes that fuse sums gain nothing.
    """

    name: str
    activations: str
    symmetric: bool
    per_channel: bool
    quantize_bias: bool
    weights_as_integers: bool
    operators: tuple[str, ...]
    same_scale: tuple[str, ...] = ()
    fixed_outputs: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    float_heads: bool = True
    integer_heads: tuple[str, ...] = ()
    head_weights: bool = False
    outputs: bool = True
    fused_residual: bool = False
    float_depthwise: bool = False
    joined_sums: bool = False


@dataclass(frozen=True)
class Allowance:
    """How far a compiled network may stray from the float one: see `verify`."""

    drift_mm: float
    people_lost: float
    people_invented: float


@dataclass(frozen=True)
class Target:
    """A board: what it is, what it can do, and which back end serves it.

    Attributes:
        name, title: "raspberry-pi-5", "Raspberry Pi 5 (4 × Cortex-A76)".
        backend: the module of the back end, see Backend.
        precisions: that the silicon and the runtime really have, the default first.
        refusals: precision → why the board does not have it.
        allowed: precision → Allowance.
        options: passed to the engine: threads, and what else it knows.
        facts: memory, peak figures, versions; for the plan and the report.
        advice: one line per precision on when to take it, where there is something to say.
    """

    name: str
    title: str
    backend: Backend
    precisions: tuple[str, ...]
    refusals: Mapping[str, str]
    allowed: Mapping[str, Allowance]
    options: Mapping[str, Any]
    facts: Mapping[str, Any]
    advice: Mapping[str, str]

    def check_precision(self, precision: str) -> None:
        """Raise PosecError with the reason and the nearest choice where the board or this machine lacks `precision`."""
        if precision not in self.precisions:
            reason = f" ({self.refusals[precision]})" if precision in self.refusals else ""
            raise PosecError(
                f"target '{self.name}' offers {', '.join(self.precisions)}; got '{precision}'{reason}; take {self._nearest(precision)}"
            )
        if why := self.lacking_here(precision):
            raise PosecError(
                f"{precision} cannot be compiled for target '{self.name}' here: {why}; "
                f"take {self._nearest(precision)}, or export on a CPU that has it"
            )

    def lacking_here(self, precision: str) -> str:
        """Return why this machine cannot run what it compiles in `precision`, or an empty string."""
        lacking = getattr(self.backend, "lacking", None)
        return str(lacking(precision)) if lacking else ""

    def _nearest(self, precision: str) -> str:
        """Return the other offered precision of the nearest number of bits, the lower first."""
        if precision not in PRECISIONS:
            return self.precisions[0]
        bits = BITS[precision]
        return min(
            [offered for offered in self.precisions if offered != precision],
            key=lambda offered: (abs(BITS[offered] - bits), -PRECISIONS.index(offered)),
        )


@dataclass(frozen=True)
class Job:
    """One request to a back end: lower this precision for this target."""

    target: Target
    precision: str


class Backend(Protocol):
    """A module of `targets`: its whole duty is `lower`."""

    ENGINE: str  # module of toolkit/runtime/engines that runs what lower() makes
    REQUIRES: str  # how to install what lower() needs, for the error message
    TOOLS: tuple[str, ...]  # modules, beside the compiler's own, whose versions the bundle records
    __name__: str  # of the module

    def passes(self, job: Job) -> Sequence[Pass]:
        """Return the passes that run before quantization, in order; one folds the frame input that gains most here."""

    def scheme(self, job: Job) -> Scheme:
        """Return how integers are wanted; asked for int8 only."""

    def finish(self, job: Job) -> Sequence[Pass]:
        """Return the passes that run after quantization, in order."""

    def missing(self) -> str:
        """Return why this back end cannot work here, or an empty string; imports nothing heavy."""

    def lower(self, graph: Graph, job: Job) -> dict[str, bytes]:
        """Return the model's files by name, the one that the engine opens first; `graph` is not changed."""
