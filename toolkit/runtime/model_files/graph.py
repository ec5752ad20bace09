"""A model as the checks see it, of an ONNX or a TFLite file: nodes in order, and shapes of inputs and constants."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

Shape = Tuple[int, ...]


class Node(NamedTuple):
    """One operation. Absent inputs and outputs are empty names; attributes are numbers, texts or lists of them."""

    operator: str
    name: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Any]


class ModelGraph(NamedTuple):
    """A feed-forward model: shapes of inputs and constants by name, the numbers of short constants, nodes in order."""

    inputs: Dict[str, Shape]
    constants: Dict[str, Shape]
    values: Dict[str, Tuple[float, ...]]
    nodes: List[Node]


class ModelFileError(ValueError):
    """A model that no engine may open; the message ends a sentence that begins with the file's name."""
