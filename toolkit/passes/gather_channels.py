"""Take back what `spread_channels` does, for back ends that compute windows in another way."""

from __future__ import annotations

import numpy as np

from ..graph import Graph
from .edits import add_array, attribute, sweep
from .layers import links
from .spread_channels import only_reader, only_through_activation, set_groups, take


def gather_channels(graph: Graph) -> int:
    """Compute a channel once that is read by depthwise convolutions as many times as it is made.

        x -> Conv(w, each row m times) -> Relu -> Conv(k, group m g, m g outputs)        becomes
        x -> Conv(w) -> Relu -> Conv(k, group g, m g outputs)

    The sums are the same.

    1. The Conv before it has one group; it and the Relu or Clip between are read by depthwise convolutions alone, and are no head.
    2. Each of these is read by one Conv of one group alone, which gets the sum of what it gave to copies.
    3. Of each channel there are equally many, and more than one, that the windows tell apart; beside them there may be copies.

    Returns the number of depthwise convolutions changed.
    """
    model, count = graph.model, 0
    for maker in [node for node in model.graph.node if node.op_type == "Conv" and attribute(node, "group", 1) == 1]:
        found = links(model)
        windows = found.readers.get(found.result(maker), [])
        readers = [only_reader(found.result(node), found) if node.op_type == "Conv" else None for node in windows]
        names = [name for node in (maker, *windows) for name in node.input[1:]]
        constant = all(name in found.constants for name in names)
        if not windows or None in readers or not constant or not only_through_activation(maker, found):
            continue
        channels = int(found.constants[maker.input[1]].dims[0])
        if any(attribute(node, "group", 1) != channels or found.constants[node.input[1]].dims[0] != channels for node in windows):
            continue
        made = _numbered([found.array(name) for name in maker.input[1:]])
        kinds = _numbered([made, *(found.array(name) for node in windows for name in node.input[1:])])
        # The first channel of each kind, those of one row of the maker together.
        kept = np.unique(kinds, return_index=True)[1]
        kept = kept[np.argsort(made[kept], kind="stable")]
        rows, repeats = np.unique(made[kept], return_counts=True)
        if repeats[0] == 1 or len(set(repeats)) > 1:
            continue
        take(model, maker, kept[:: repeats[0]], found)
        for node, reader in zip(windows, readers, strict=True):
            assert reader is not None
            take(model, node, kept, found)
            set_groups(node, len(rows))
            weight = found.array(reader.input[1])
            together = (kinds[:, None] == kinds[kept]).astype(weight.dtype)
            reader.input[1] = add_array(model, reader.input[1], np.einsum("oihw,ik->okhw", weight, together))
            count += 1
    if count:
        sweep(model)
    return count


def _numbered(arrays: list[np.ndarray]) -> np.ndarray:
    """Return a number per row of the arrays, equal where the rows of all are equal, in the order of their first."""
    rows = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    _, first, numbers = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers.ravel()]
