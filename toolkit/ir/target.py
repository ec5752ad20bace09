"""Target: a board, as data; Backend: the interface of a module of `targets`; Job: one graph to lower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import PosecError
from .graph import Graph, Pass
from .scheme import Scheme

# By bits, then by the rounding of a product: the lowest is the last.
PRECISIONS = ("float32", "float16", "bfloat16", "int8")
BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "int8": 8}


@dataclass(frozen=True)
class Allowance:
    """Limits of the drift of a compiled network from the float one, see `verify`; people as fractions."""

    drift_mm: float
    people_lost: float
    people_invented: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """A board: its precisions, its limits, and the back end that compiles for it.

    Attributes:
        name, title: "raspberry-pi-5", "Raspberry Pi 5 (4 × Cortex-A76)".
        backend: the module of the back end, see Backend.
        allowed: precision → Allowance, for what hardware and runtime support; the default comes first.
        refusals: precision → why the board does not support it.
        options: of the engine, such as threads.
        facts: memory, peak figures, versions; for the plan and the report.
        advice: precision → one line on when to choose it.
    """

    name: str
    title: str
    backend: Backend
    allowed: Mapping[str, Allowance]
    refusals: Mapping[str, str]
    options: Mapping[str, Any]
    facts: Mapping[str, Any]
    advice: Mapping[str, str]

    @property
    def precisions(self) -> tuple[str, ...]:
        """Supported precisions, the default first."""
        return tuple(self.allowed)

    def check_precision(self, precision: str) -> None:
        """Raise PosecError, with reason and nearest choice, where board or machine lack `precision`."""
        if precision not in self.precisions:
            reason = f" ({self.refusals[precision]})" if precision in self.refusals else ""
            raise PosecError(
                f"target '{self.name}' offers {', '.join(self.precisions)}; got '{precision}'{reason}; "
                f"take {self._nearest(precision)}"
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
        """Return the other supported precision nearest in bits; of two, the lower."""
        if precision not in PRECISIONS:
            return self.precisions[0]
        bits = BITS[precision]
        return min(
            [offered for offered in self.precisions if offered != precision],
            key=lambda offered: (abs(BITS[offered] - bits), -PRECISIONS.index(offered)),
        )


@dataclass(frozen=True)
class Job:
    """One graph to lower: the target and the precision."""

    target: Target
    precision: str


class Backend(Protocol):
    """The interface of a back end, a module of `targets`; all members are required.

    The order of a compilation is `pre_quantize`, quantization by `scheme`, `post_quantize`, `lower`:
    see `passes.quantize.pipeline`.
    """

    ENGINE: str  # module of toolkit/runtime/engines that runs the result of lower()
    REQUIRES: str  # how to install the tools of lower(), for the error message
    TOOLS: tuple[str, ...]  # modules with versions that the bundle records, beside the compiler's own
    __name__: str  # of the module

    def pre_quantize(self, job: Job) -> Sequence[Pass]:
        """Return the passes that run before quantization, in order; one of them folds the preprocessing.

        Raises PosecError where the target's options require hardware that the board lacks.
        """

    def scheme(self, job: Job) -> Scheme:
        """Return the int8 scheme; called for int8 only."""

    def post_quantize(self, job: Job) -> Sequence[Pass]:
        """Return the passes that run after quantization, in order; for every precision."""

    def missing(self) -> str:
        """Return why this back end cannot compile here, or an empty string; imports no heavy library."""

    def check(self, graph: Graph, job: Job) -> None:
        """Raise PosecError where `lower` would refuse the graph; converts nothing."""

    def lower(self, graph: Graph, job: Job) -> dict[str, bytes]:
        """Return the model's files by name, the one that the engine opens first; `graph` is not changed."""

    def plan_details(self, graph: Graph, job: Job) -> dict[str, Any]:
        """Return a forecast of the lowered graph on the board, for JSON; empty where there is none."""
