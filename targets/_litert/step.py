"""One node of the graph as the operator sees it that replays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from torch import Tensor

from toolkit.errors import PosecError
from toolkit.passes.edit.edits import attribute
from toolkit.passes.edit.graph_index import GraphIndex, layer_name


@dataclass(frozen=True)
class Step:
    """A node, and what it reads.

    Attributes:
        node, found: the node, and the model that it stands in.
        tensors: its inputs in order; None for those that are left out, and for constants that are no real numbers.
    """

    node: onnx.NodeProto
    found: GraphIndex
    tensors: list[Tensor | None]

    @property
    def maps(self) -> Tensor:
        """The first tensor that the node reads."""
        return self.tensor(0)

    def tensor(self, position: int) -> Tensor:
        """Return an input. Raises PosecError where the node lacks it."""
        given = self.tensors[position] if position < len(self.tensors) else None
        if given is None:
            raise self.refusal(f"has no input {position}")
        return given

    def stated(self, name: str, default: Any) -> Any:
        """Return an attribute's value, or `default`."""
        return attribute(self.node, name, default)

    def constant(self, position: int) -> np.ndarray | None:
        """Return the values of an input, None where it is left out. Raises PosecError where it is computed."""
        name = self.node.input[position] if position < len(self.node.input) else ""
        if not name:
            return None
        if name not in self.found.constants:
            raise self.refusal(f"computes its input '{name}', which TFLite wants as a constant")
        return self.found.array(name)

    def refusal(self, why: str) -> PosecError:
        """Return the error for a part of this node that TFLite cannot express."""
        return PosecError(
            f"TFLite: layer '{layer_name(self.node)}' ({self.node.op_type}) {why}; export the network without it"
        )
