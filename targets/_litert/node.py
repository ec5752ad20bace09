"""Node: one node of the graph with its input tensors, as the functions in `operators` take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from torch import Tensor

from toolkit.errors import PosecError
from toolkit.passes.edit import edits
from toolkit.passes.edit.graph_index import GraphIndex, layer_name


@dataclass(frozen=True)
class Node:
    """A node and its inputs.

    Attributes:
        proto, graph_index: the ONNX node, and the index of its model.
        tensors: its inputs in order; None for an omitted input and for a constant that is not float.
    """

    proto: onnx.NodeProto
    graph_index: GraphIndex
    tensors: list[Tensor | None]

    @property
    def maps(self) -> Tensor:
        """The first input."""
        return self.tensor(0)

    def tensor(self, position: int) -> Tensor:
        """Return an input. Raises PosecError where the node lacks it."""
        given = self.tensors[position] if position < len(self.tensors) else None
        if given is None:
            raise self.refusal(f"has no input {position}")
        return given

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute's value, or `default`."""
        return edits.attribute(self.proto, name, default)

    def constant(self, position: int) -> np.ndarray | None:
        """Return a constant input, or None where it is omitted. Raises PosecError where it is computed."""
        name = self.proto.input[position] if position < len(self.proto.input) else ""
        if not name:
            return None
        if name not in self.graph_index.constants:
            raise self.refusal(f"computes its input '{name}', which must be constant in TFLite")
        return self.graph_index.array(name)

    def refusal(self, why: str) -> PosecError:
        """Return the error for a node that TFLite cannot express."""
        return PosecError(
            f"TFLite: layer '{layer_name(self.proto)}' ({self.proto.op_type}) {why}; "
            "export the network without it"
        )
