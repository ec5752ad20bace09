"""Count operators and networks on an emulated board, and save the table after every batch."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..emulation.boards import BOARDS
from ..emulation.counting import count_models
from ..emulation.root import HERE, Root, why_not
from ..errors import PosecError
from .operators import Operator
from .predict import CostModel
from .table import CostTable, CountedNetwork, save_table

BATCH = 16  # operators between two saves


@contextlib.contextmanager
def emulated(board: str) -> Iterator[Root]:
    """Give the emulated board, mounted; a root that was mounted before stays mounted.

    Raises PosecError where it cannot be emulated here.
    """
    if board not in BOARDS:
        raise PosecError(f"no emulator of '{board}'; emulated are {', '.join(BOARDS)}")
    if why := why_not():
        raise PosecError(f"{board} cannot be emulated here: {why}")
    root = Root()
    was_mounted = os.path.ismount(root.system / "proc")
    root.mount()
    try:
        root.become(board)
        yield root
    finally:
        if not was_mounted:
            root.unmount()


def new_table(target: str, root: Root) -> CostTable:
    """Return a table without operators for the board that the root is."""
    library = (HERE / "litert.txt").read_text().split()[0].replace("==", " ")
    return CostTable(target=target, cpu=root.board.cpu, library=library)


def count_operators(
    root: Root,
    table: CostTable,
    operators: Mapping[Operator, bytes],
    *,
    path: Path,
    progress: Callable[[int, int], None],
) -> CostTable:
    """Count the operators that the table lacks, each in a TFLite file of its own; return the larger table.

    Progress is (counted, all), called after every batch.
    """
    pending = [operator for operator in operators if operator not in table.counts]
    for start in range(0, len(pending), BATCH):
        batch = pending[start : start + BATCH]
        counts = count_models(root, [operators[operator] for operator in batch])
        table = table.with_counts(dict(zip(batch, counts, strict=True)))
        save_table(path, table)
        progress(min(start + BATCH, len(pending)), len(pending))
    return table


def count_network(
    root: Root, table: CostTable, model: bytes, *, name: str, operators: Sequence[Operator], path: Path
) -> CostTable:
    """Count a whole network unless the table has it, and predict it; return the table with both.

    Raises PosecError where an operator is of a family without counts.
    """
    digest = hashlib.sha256(model).hexdigest()
    known = {network.sha256: network.counted for network in table.networks}
    predicted = CostModel(table).network(operators)
    if predicted.unknown:
        raise PosecError(
            f"'{name}' has operators that the table lacks: {', '.join(predicted.unknown)}; "
            "count the operators of a bundle with them first"
        )
    counted = known[digest] if digest in known else count_models(root, [model])[0]
    table = table.with_network(CountedNetwork(name, digest, counted, round(predicted.instructions)))
    save_table(path, table)
    return table
