"""The graph of an ONNX or a TFLite file, as the checks need it: nodes in order, and shapes."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

Shape = Tuple[int, ...]


class Node(NamedTuple):
    """One operation; the names of absent inputs and outputs are empty."""

    operator: str
    name: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Any]


class ModelGraph(NamedTuple):
    """A feed-forward model.

    Attributes:
        inputs, constants: name → shape.
        values: name → the numbers of a short constant.
        nodes: in the order of execution.
    """

    inputs: Dict[str, Shape]
    constants: Dict[str, Shape]
    values: Dict[str, Tuple[float, ...]]
    nodes: List[Node]


class ModelFileError(ValueError):
    """A model that no engine may open; the message ends a sentence that begins with the file's name."""
