"""Tables of counted operators of a board, as `posec measure-operators` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..device.checked_files import Kind, read_checked
from ..device.schema import Digest, Fields, Items, Number, Row, Text
from ..runtime.files.plain_files import write_plain
from .operators import Operator

ENDING = ".operators.json"
COLUMNS = (
    "kind, precision, kernel rows, kernel columns, stride, dilation, height, width, inputs, outputs, "
    "instructions"
)
_WORD, _SIDE, _COUNT = Text(200), Number(1, 1e6, whole=True), Number(0, 1e15, whole=True)
_OPERATOR = Row((Text(60), Text(20), *[_SIDE] * 6, Number(0, 1e7, whole=True), _SIDE, _COUNT))
_NETWORK = Fields(
    {"name": _WORD, "sha256": Digest(), "counted": Number(1, 1e15, whole=True), "predicted": _COUNT}
)
TABLE = Kind(
    "table of operators",
    1,
    8 << 20,
    "`posec measure-operators`",
    Fields(
        {
            "target": _WORD,
            "cpu": _WORD,
            "library": _WORD,
            "operators": Items(_OPERATOR, most=100_000),
            "networks": Items(_NETWORK, most=1000),
        }
    ),
)


@dataclass(frozen=True)
class CountedNetwork:
    """A whole network: its instructions counted, and predicted from operators; SHA-256 of its model."""

    name: str
    sha256: str
    counted: int
    predicted: int

    @property
    def error(self) -> float:
        """The relative error of the prediction."""
        return self.predicted / self.counted - 1


@dataclass(frozen=True)
class CostTable:
    """The instructions of operators on a board.

    Attributes:
        target, cpu, library: the board, its CPU, and the library that ran the operators.
        counts: operator → instructions of one inference on one thread.
        networks: whole networks, whose operators are not among `counts` because of them.
    """

    target: str
    cpu: str
    library: str
    counts: Mapping[Operator, int] = field(default_factory=dict)
    networks: Sequence[CountedNetwork] = ()

    def with_counts(self, counts: Mapping[Operator, int]) -> CostTable:
        """Return a table that has these counts, too."""
        return replace(self, counts={**self.counts, **counts})

    def with_network(self, network: CountedNetwork) -> CostTable:
        """Return a table that has this network, in place of an earlier prediction of it."""
        named = {each.sha256: each for each in (*self.networks, network)}
        return replace(self, networks=tuple(named.values()))

    @property
    def largest_error(self) -> float | None:
        """The largest relative error on whole networks, as a share; None without any."""
        return max((abs(network.error) for network in self.networks), default=None)


def read_table(path: Path) -> CostTable:
    """Return the table in a file. Raises PosecError where it is missing, too large, or of another form."""
    plain = read_checked(path, TABLE)
    return CostTable(
        target=plain["target"],
        cpu=plain["cpu"],
        library=plain["library"],
        counts=dict(_counted(row) for row in plain["operators"]),
        networks=tuple(
            CountedNetwork(*(network[name] for name in ("name", "sha256", "counted", "predicted")))
            for network in plain["networks"]
        ),
    )


def save_table(path: Path, table: CostTable) -> None:
    """Write a table, whole or not at all; one operator a line."""
    rows = [[*_flat(operator), count] for operator, count in sorted(table.counts.items())]
    head = {"format": TABLE.version, "target": table.target, "cpu": table.cpu, "library": table.library}
    parts = [json.dumps(head)[1:-1], f'"columns": {json.dumps(COLUMNS)}']
    parts += [f'"networks": {_lines([asdict(network) for network in table.networks])}']
    parts += [f'"operators": {_lines(rows)}']
    write_plain(path, "{" + ",\n".join(parts) + "}\n")


def _flat(operator: Operator) -> list[Any]:
    kind, precision, kernel, *sizes = operator
    return [kind, precision, *kernel, *sizes]


def _counted(row: Sequence[Any]) -> tuple[Operator, int]:
    kind, precision, rows, columns, *sizes, count = row
    return Operator(kind, precision, (rows, columns), *sizes), count


def _lines(rows: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]" if rows else "[]"
