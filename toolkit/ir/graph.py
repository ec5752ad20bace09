"""Graph, the one intermediate representation: an ONNX model with named heads as outputs, and its PoseSpec."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Concatenate, ParamSpec

import numpy as np
import onnx

from ..errors import PosecError
from ..runtime.frame import FrameInput
from ..runtime.pose import PoseSpec

Pass = Callable[["Graph"], int]
Arguments = ParamSpec("Arguments")


class Stage(Enum):
    """The stage of compilation of a graph; the value describes its properties."""

    TRACED = "as the exporter wrote it"
    PREPARED = "opset 13, batch norms folded, tensors named"
    QUANTIZED = "Q/DQ inserted"
    LOWERED = "rewritten for one back end"


@dataclass
class Graph:
    """An ONNX model with its heads by name.

    Attributes:
        model: one graph input, the batch; one graph output per head.
        spec: meaning, shapes and ranges of the heads.
        frame: layout, type and normalization of the graph input; passes that fold preprocessing change it.
        decoder: weights of the embedding-to-pose decoder, see `runtime.decoding.kinematics.layers`.
        licence: of the weights, one line.
        history: (pass, number of places rewritten) in the order of execution.
        stage: of the compilation; passes check it.
        temporal: arrays of the temporal stage, see `runtime.temporal.weights`; empty without one.
    """

    model: onnx.ModelProto
    spec: PoseSpec
    frame: FrameInput
    decoder: Mapping[str, np.ndarray]
    licence: str = "not stated"
    history: list[tuple[str, int]] = field(default_factory=list)
    stage: Stage = Stage.TRACED
    temporal: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def input_name(self) -> str:
        """Name of the one graph input."""
        return self.model.graph.input[0].name

    @property
    def heads(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Head name → (tensor name, shape), read from the model's outputs; no pass may change them."""
        outputs = {
            value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
            for value in self.model.graph.output
        }
        return {
            name: (self.spec.heads[name].tensor, outputs.get(self.spec.heads[name].tensor, ()))
            for name in self.spec.head_names
        }

    @property
    def sha256(self) -> str:
        """Hash of the model's bytes."""
        return hashlib.sha256(self.model.SerializeToString(deterministic=True)).hexdigest()

    def copy(self) -> Graph:
        """Return a graph with its own copy of model and history."""
        return Graph(
            copy.deepcopy(self.model),
            self.spec,
            self.frame,
            self.decoder,
            self.licence,
            list(self.history),
            self.stage,
            self.temporal,
        )


def requires(
    *stages: Stage,
) -> Callable[[Callable[Concatenate[Graph, Arguments], int]], Callable[Concatenate[Graph, Arguments], int]]:
    """Return a decorator that declares the stages in which a pass may run.

    The decorated pass raises PosecError, before it changes anything, for a graph in another stage.
    """

    def declare(
        run: Callable[Concatenate[Graph, Arguments], int],
    ) -> Callable[Concatenate[Graph, Arguments], int]:
        @functools.wraps(run)
        def checked(graph: Graph, *args: Arguments.args, **settings: Arguments.kwargs) -> int:
            check_stage(graph, run.__name__, stages)
            return run(graph, *args, **settings)

        return checked

    return declare


def check_stage(graph: Graph, name: str, stages: Collection[Stage]) -> None:
    """Raise PosecError unless a graph is in one of the stages that pass `name` requires."""
    if graph.stage not in stages:
        wanted = " or ".join(f"{stage.name.lower()} ({stage.value})" for stage in stages)
        raise PosecError(
            f"pass '{name}' requires a graph that is {wanted}; this one is {graph.stage.name.lower()}; "
            "start from `toolkit.passes.prepare(graph)`"
        )


def check_heads(graph: Graph) -> None:
    """Raise PosecError where the model's outputs differ from the heads of the specification."""
    outputs = [value.name for value in graph.model.graph.output]
    for name, (tensor, shape) in graph.heads.items():
        expected = (1, *graph.spec.head_shape(name))
        if tensor not in outputs:
            raise PosecError(
                f"head '{name}' should be output '{tensor}'; the model has {', '.join(outputs)}; "
                "correct the spec's heads"
            )
        if shape != expected:
            raise PosecError(
                f"head '{name}' must have shape {expected}, the model's output '{tensor}' has {shape}; "
                "correct the spec"
            )


def run_passes(graph: Graph, passes: Sequence[Pass], skip: Collection[str] = ()) -> None:
    """Run passes in order, on `graph` itself, and record in its history how many places each one rewrote.

    No pass may change the heads. Passes named in `skip` are left out; the history records "NAME (skipped)".
    Raises PosecError naming the pass that failed and those that ran before it.
    """
    expected = graph.heads
    for run in passes:
        name, before = run.__name__, [done for done, _ in graph.history]
        if name in skip:
            graph.history.append((f"{name} (skipped)", 0))
            continue
        try:
            count = run(graph)
        except PosecError:
            raise
        except Exception as error:
            raise PosecError(
                f"pass '{name}' failed after {', '.join(before) or 'no other pass'}: {error}"
            ) from error
        if graph.heads != expected:
            raise PosecError(f"pass '{name}' changed the heads: expected {expected}, found {graph.heads}")
        graph.history.append((name, count))
