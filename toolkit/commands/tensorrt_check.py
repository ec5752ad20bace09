"""tensorrt-check: an ONNX file against the rules of TensorRT versions."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from . import EXIT_FAILED, EXIT_OK
from .interface.arguments import JSON, Verb, argument
from .interface.terminal import answer

VERB = Verb(
    "Check an ONNX file against TensorRT's rules, without TensorRT; exit status 1 if a rule is broken.",
    "posec tensorrt-check orin/model.onnx --tensorrt 8.6 10.3",
    [
        argument("model", help="an ONNX file, such as model.onnx of a bundle"),
        argument(
            "--tensorrt",
            nargs="+",
            required=True,
            metavar="VERSION",
            help="TensorRT versions, such as 8.2, 8.6 or 10.3",
        ),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the broken rules of each version."""
    from ..passes.tensorrt.check import check_file

    found = {version: check_file(args.model, version) for version in args.tensorrt}
    lines = []
    for version, findings in found.items():
        broken = f"{len(findings)} rules broken" if findings else "no known rule broken"
        lines += [f"TensorRT {version}: {broken}", *(f"  {finding}" for finding in findings)]
    plain = {version: [asdict(finding) for finding in findings] for version, findings in found.items()}
    answer(args, plain, "\n".join(lines))
    return EXIT_FAILED if any(found.values()) else EXIT_OK
