"""Budgets of `report` and `choose`: their arguments."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import argument

if TYPE_CHECKING:
    from ...report.choosing.budgets import Budgets

BUDGETS = (
    argument(
        "--max-ms",
        type=float,
        metavar="MS",
        help="largest latency, p90 from picture to people; at the end of the sustained run if there is one",
    ),
    argument(
        "--max-drift-mm",
        type=float,
        metavar="MM",
        help="largest drift from the float network, in place of the target's limit",
    ),
    argument(
        "--max-drift-ratio",
        type=float,
        metavar="RATIO",
        help="largest drift over the float network's own unsteadiness, in place of the target's limit in mm",
    ),
    argument(
        "--min-pck", type=float, metavar="PERCENT", help="least PCK_rel@150 on labelled pictures, in percent"
    ),
    argument(
        "--max-loss",
        type=float,
        metavar="POINTS",
        help="largest loss of PCK_rel@150 against the float network on labelled pictures, or of OKS.5 on "
        "photographs, in points",
    ),
    argument(
        "--protocol",
        default="",
        help="labelled pictures that accuracy is taken from (default: the first that is not rendered)",
    ),
    argument(
        "--allow-noisy", action="store_true", help="also choose among latencies that are too noisy to trust"
    ),
)


def budgets_of(args: argparse.Namespace) -> Budgets:
    """Return the budgets of the arguments. Raises PosecError for a limit that is not a number."""
    from ...report.choosing.budgets import Budgets

    return Budgets(
        max_ms=args.max_ms,
        max_drift_mm=args.max_drift_mm,
        max_drift_ratio=args.max_drift_ratio,
        min_pck=args.min_pck,
        max_loss=args.max_loss,
        protocol=args.protocol,
        allow_noisy=args.allow_noisy,
    )
