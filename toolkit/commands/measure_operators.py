"""measure-operators: instructions of a network's operators on a board, counted under emulation."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PosecError
from . import EXIT_OK
from .interface.arguments import FILE_OUT, JSON, TARGET, Verb, argument
from .interface.terminal import answer, progress, table

if TYPE_CHECKING:
    from ..cost.table import CostTable
    from ..runtime.bundle import Bundle

VERB = Verb(
    "Count the instructions of every operator of bundles on an emulated board, and save them as a table; "
    "what the table has is not counted again.",
    "posec measure-operators pi4-int8/ --target raspberry-pi-4 -o raspberry-pi-4.operators.json",
    [
        argument(
            "bundles",
            nargs="*",
            metavar="BUNDLE",
            help="folders that `posec export` wrote for a target with LiteRT; their operators are counted",
        ),
        TARGET,
        argument(
            "--check",
            nargs="+",
            default=[],
            metavar="BUNDLE",
            help="bundles that are counted as a whole, to state the error of the prediction",
        ),
        FILE_OUT,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Count, and print the errors on whole networks."""
    import targets
    from targets._litert.cut_operators import cut_operators, list_operators

    from ..cost.measure import count_network, count_operators, emulated, new_table
    from ..cost.table import read_table

    path, target = Path(args.out), targets.load(args.target)
    measured = [_bundle(folder) for folder in args.bundles]
    checked = [_bundle(folder) for folder in args.check]
    with emulated(target.name) as root:
        counted = read_table(path) if path.exists() else new_table(target.name, root)
        if counted.target != target.name:
            raise PosecError(
                f"'{path}' is a table of '{counted.target}'; name another file for {target.name}"
            )
        for bundle in measured:
            operators = dict(cut_operators(_model(bundle)))
            show = progress(f"operators of {bundle.folder}")
            counted = count_operators(root, counted, operators, path=path, progress=show)
        for bundle in checked:
            model = _model(bundle)
            name = (
                f"{bundle.name} {bundle.spec.input_size[0]}x{bundle.spec.input_size[1]}, {bundle.precision}"
            )
            listed = list_operators(model)
            counted = count_network(root, counted, model, name=name, operators=listed, path=path)
    plain = {
        "written": str(path),
        "operators": len(counted.counts),
        "networks": list(map(asdict, counted.networks)),
    }
    answer(args, plain, f"{_errors(counted)}{path}: {len(counted.counts)} operators")
    return EXIT_OK


def _bundle(folder: str) -> Bundle:
    from ..runtime.bundle import read_bundle

    bundle = read_bundle(folder)
    if bundle.engine != "tflite":
        raise PosecError(f"'{folder}' is for {bundle.engine}; operators are counted in bundles of TFLite")
    return bundle


def _model(bundle: Bundle) -> bytes:
    return Path(bundle.model_path).read_bytes()


def _errors(counted: CostTable) -> str:
    """Return the table of whole networks as text, or nothing without any."""
    if not counted.networks:
        return ""
    rows = [["network", "counted, millions", "predicted", "error"]]
    for each in counted.networks:
        millions = f"{each.counted / 1e6:.1f}", f"{each.predicted / 1e6:.1f}"
        rows.append([each.name, *millions, f"{100 * each.error:+.1f} %"])
    return f"{table(rows)}\n"
