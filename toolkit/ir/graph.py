"""Graph: the one intermediate representation. An ONNX model whose outputs are named heads, and its contract."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from ..errors import PosecError
from ..runtime.frame import FrameInput
from ..runtime.pose import PoseSpec

Pass = Callable[["Graph"], int]


@dataclass
class Graph:
    """An ONNX model with its heads by name.

    Attributes:
        model: one graph input, the batch; one graph output per head.
        spec: what the heads mean.
        frame: what the graph input expects; passes that fold preprocessing change it.
        decoder: weights of the embedding-to-pose decoder, see `runtime.decoding.kinematics.layers`.
        licence: of the weights, one line.
        history: (pass, places rewritten) in the order they ran.
    """

    model: onnx.ModelProto
    spec: PoseSpec
    frame: FrameInput
    decoder: Mapping[str, np.ndarray]
    licence: str = "not stated"
    history: list[tuple[str, int]] = field(default_factory=list)

    @property
    def input_name(self) -> str:
        """Name of the one graph input."""
        return self.model.graph.input[0].name

    @property
    def heads(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Head name → (tensor name, shape), read from the model's outputs; what a pass must leave as it is."""
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
        """Return a graph whose model and history can be changed without changing this one."""
        return Graph(
            copy.deepcopy(self.model), self.spec, self.frame, self.decoder, self.licence, list(self.history)
        )


def check_heads(graph: Graph) -> None:
    """Raise PosecError where the model's outputs are not the heads that the spec promises."""
    outputs = [value.name for value in graph.model.graph.output]
    for name, (tensor, shape) in graph.heads.items():
        expected = (1, *graph.spec.head_shape(name))
        if tensor not in outputs:
            raise PosecError(
                f"head '{name}' should be output '{tensor}'; the model has {', '.join(outputs)}; correct the spec's heads"
            )
        if shape != expected:
            raise PosecError(
                f"head '{name}' must have shape {expected}, the model's output '{tensor}' has {shape}; correct the spec"
            )


def run_passes(graph: Graph, passes: Sequence[Pass]) -> None:
    """Run passes in order, on `graph` itself, and note in its history how many places each rewrote.

    A pass may not change the heads. Raises PosecError naming the pass that failed and those that ran before it.
    """
    promised = graph.heads
    for step in passes:
        name, before = step.__name__, [done for done, _ in graph.history]
        try:
            count = step(graph)
        except PosecError:
            raise
        except Exception as error:
            raise PosecError(
                f"pass '{name}' failed after {', '.join(before) or 'no other pass'}: {error}"
            ) from error
        if graph.heads != promised:
            raise PosecError(f"pass '{name}' changed the heads: promised {promised}, found {graph.heads}")
        graph.history.append((name, count))
