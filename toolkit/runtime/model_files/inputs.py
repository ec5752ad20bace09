"""A node as the shape rules read it: shapes of inputs, values of constant inputs, attributes."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional, Tuple

from .graph import ModelFileError, Node, Shape


class NodeInputs:
    """A node, with the shapes of its inputs. Every method raises ModelFileError for a missing input."""

    def __init__(
        self, node: Node, shapes: Mapping[str, Shape], values: Mapping[str, Tuple[float, ...]]
    ) -> None:
        self.node, self._shapes, self._values = node, shapes, values

    @property
    def given(self) -> "Tuple[Shape, ...]":
        """Shapes of all inputs that are there."""
        return tuple(self.shape(place) for place, name in enumerate(self.node.inputs) if name)

    def shape(self, place: int = 0) -> Shape:
        """Return the shape of an input."""
        name = self.node.inputs[place] if place < len(self.node.inputs) else ""
        if name not in self._shapes:
            raise self.refusal(f"reads '{name:.60}', which nothing before it computes")
        return self._shapes[name]

    def has(self, place: int) -> bool:
        """Return whether an optional input is there."""
        return place < len(self.node.inputs) and bool(self.node.inputs[place])

    def numbers(self, place: int) -> "Tuple[float, ...]":
        """Return the numbers of a short constant input."""
        name = self.node.inputs[place] if self.has(place) else ""
        if name not in self._values:
            raise self.refusal("takes a size that is not a short constant")
        return self._values[name]

    def values(self, place: int) -> "Tuple[int, ...]":
        """Return the integers of a short constant input."""
        return tuple(map(int, self.numbers(place)))

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the type of its default."""
        value = self.node.attributes.get(name, default)
        if default is not None and not isinstance(value, type(default)):
            raise self.refusal(f"has an attribute {name:.60} of another type than ONNX states")
        return value

    def axes(self, place: int, rank: int) -> Optional[Tuple[int, ...]]:
        """Return the axes of the attribute or, from opset 13 on, of an input; None where neither is there."""
        axes = self.attribute("axes")
        if axes is None:
            if not self.has(place):
                return None
            axes = self.values(place)
        return tuple(self.axis(axis, rank) for axis in axes)

    def axis(self, axis: int, rank: int) -> int:
        """Return an axis counted from 0."""
        if not -rank <= axis < rank:
            raise self.refusal(f"has an axis {axis} of {rank}")
        return axis % rank

    def refusal(self, reason: str) -> ModelFileError:
        """Return the error of this node."""
        return ModelFileError(f"holds {self.node.operator:.60} ({self.node.name:.60}), which {reason}")


def volume(shape: Shape) -> int:
    """Return the number of elements of a shape."""
    count = 1
    for size in shape:
        count *= size
    return count


def broadcast(shapes: "Tuple[Shape, ...]") -> Shape:
    """Return the shape to which shapes broadcast; sizes that do not fit are left to the engine."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) if min(sizes) else 0 for sizes in zip(*padded))


Rule = Callable[[NodeInputs], List[Shape]]
