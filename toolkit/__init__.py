"""posec, the pose compiler: from a trained bottom-up 3D pose network to a verified bundle for one board.

The whole way, on the host:

    graph  = toolkit.trace("reference")
    frames = calibration.folder("photos/", graph.spec, count=256)
    ranges = calibration.collect(graph, frames)
    bundle = toolkit.build(graph, targets.load("intel-cpu"), precision="int8", ranges=ranges, out="intel/")
    print(toolkit.verify(bundle, graph, frames))
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# On import, ONNX Runtime (which onnxsim contains) and OpenVINO send usage events to their makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO then takes its own stub

# Loaded on first use: a board imports toolkit.runtime without onnx, a host traces without an engine.
_HOMES = {
    "PosecError": "runtime.errors",
    "Graph": "ir.graph",
    "Ranges": "ir.ranges",
    "Target": "ir.target",
    "Bundle": "runtime.bundle",
    "PoseFrame": "runtime.pose",
    "PoseSpec": "runtime.pose",
    "Skeleton": "runtime.pose",
    "trace": "frontend.trace",
    "build": "compiler.build",
    "plan": "compiler.build",
    "verify": "verification.verify",
    "load": "runtime",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'toolkit' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
