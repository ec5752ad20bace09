"""All checks of the doctor, in the order of the report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from ...runtime.console import put
from .bundle_check import AREA as BUNDLE
from .bundle_check import check_bundle
from .cameras import check_cameras
from .finding import PROBLEM, Finding, as_text
from .graphics import check_graphics
from .libraries import check_engines, check_libraries, check_python
from .processor import check_processor
from .resources import check_disk, check_memory, check_time

EXIT_RUNS, EXIT_DOES_NOT_RUN = 0, 1


def examine(bundle: str | None = None, root: str = "/") -> list[Finding]:
    """Return findings on this machine, and on a bundle if one is given.

    Args:
        bundle: folder of a bundle, which is run on its golden pictures.
        root: folder of dev, etc, proc, run and sys.
    """
    return [
        *check_processor(root),
        *check_graphics(root),
        *check_memory(root),
        *check_disk(),
        *check_time(root),
        *check_cameras(root),
        *check_python(),
        *check_libraries(),
        *check_engines(),
        *([] if bundle is None else check_bundle(bundle)),
    ]


def status_of(findings: Sequence[Finding]) -> int:
    """Return the exit status: 1 if the given bundle cannot run here; without one, if no bundle can."""
    judged = [finding for finding in findings if finding.area == BUNDLE] or findings
    return EXIT_DOES_NOT_RUN if any(finding.status == PROBLEM for finding in judged) else EXIT_RUNS


def to_plain(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings for JSON, with `runs`: true without a problem that prevents a run."""
    return {
        "runs": status_of(findings) == EXIT_RUNS,
        "findings": [finding.to_dict() for finding in findings],
    }


def main(arguments: Sequence[str]) -> int:
    """Print findings as text, or as one line of JSON; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.device doctor")
    parser.add_argument("bundle", nargs="?", help="folder of a bundle that should run here")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    findings = examine(args.bundle)
    put(json.dumps(to_plain(findings)) if args.json else as_text(findings))
    return status_of(findings)
