"""Tensors: shapes, types and constants of the model that is rewritten."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...errors import PosecError
from ..edit.edits import numbered
from ..prepare.shapes import infer, static_shape


@dataclass
class Tensors:
    """Shapes, types and constants of the model that is rewritten, and the constants that rewrites add.

    Attributes:
        values: tensor name → type and shape, as inferred.
        constants: tensor name → values.
        taken: names in use.
        added: new constants.
    """

    values: dict[str, onnx.ValueInfoProto]
    constants: dict[str, np.ndarray]
    taken: set[str]
    added: list[onnx.TensorProto] = field(default_factory=list)

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Tensors:
        """Return the tensors of a model."""
        graph = infer(model)
        values = {value.name: value for value in (*graph.input, *graph.output, *graph.value_info)}
        for tensor in model.graph.initializer:
            values[tensor.name] = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        return cls(values, constants, taken | set(values))

    def note(self, node: onnx.NodeProto) -> None:
        """Add the value of a Constant node to the constants."""
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def shape(self, name: str, node: onnx.NodeProto) -> tuple[int, ...]:
        """Return a tensor's shape. Raises PosecError where it is not known."""
        shape = static_shape(self.values[name]) if name in self.values else None
        if shape is None:
            raise PosecError(
                f"{node.op_type} ({node.name}) reads '{name}' of no fixed shape; export with static shapes"
            )
        return shape

    def constant(self, node: onnx.NodeProto, position: int) -> np.ndarray | None:
        """Return the value of an input, None where it is left out. Raises PosecError where it is computed."""
        name = node.input[position] if position < len(node.input) else ""
        if name and name not in self.constants:
            raise PosecError(
                f"{node.op_type} ({node.name}) computes its input '{name}'; posec requires a constant; "
                "export the network with a constant there"
            )
        return self.constants[name] if name else None

    def name(self, wanted: str) -> str:
        """Return a new tensor name."""
        self.taken.add(fresh := numbered(wanted, self.taken))
        return fresh

    def add(self, wanted: str, values: np.ndarray) -> str:
        """Add a constant; return its name."""
        self.added.append(numpy_helper.from_array(np.asarray(values), name := self.name(wanted)))
        self.constants[name] = np.asarray(values)
        return name
