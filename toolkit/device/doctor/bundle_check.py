"""Check in a separate process whether a bundle runs here, on its golden pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .finding import NOTE, OK, PROBLEM, Finding

AREA = "bundle"
# A Jetson builds its plan in minutes.
WITHIN_S = 3600.0
_READ = "posec deploy refuses it too; see docs/int8.md for what to do about drift"


def check_bundle(folder: str) -> list[Finding]:
    """Return a finding on a bundle: whether it finds its golden people."""
    home = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__.rpartition('.')[0]}", "check", folder],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return [Finding(AREA, PROBLEM, f"'{folder}' does not run within {WITHIN_S:g} s", "export it smaller")]
    printed = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode < 0:
        text = f"'{folder}' ends its process with signal {-done.returncode}"
        step = "out of memory, or a library of another CPU: see memory and engines above"
        return [Finding(AREA, PROBLEM, text, step)]
    if done.returncode:
        reason = printed[-1] if printed else f"status {done.returncode}"
        step = "see libraries above" if done.returncode == 1 else "solve this, then run the doctor again"
        return [Finding(AREA, PROBLEM, f"'{folder}' does not run: {reason}", step)]
    return [_judged(folder, json.loads(done.stdout.decode(errors="replace").strip().splitlines()[-1]))]


def _judged(folder: str, answer: dict) -> Finding:
    described, drift = answer["bundle"], answer["drift"]
    text = f"'{folder}' runs: {described['name']}, {described['precision']}, {described.get('engine', '')}"
    if drift is None:
        return Finding(
            AREA, NOTE, f"{text}; unjudged: {answer['unjudged']}", "look at it: posec run … --web 8000"
        )
    moved = "no people to compare" if drift["drift_mm"] is None else f"drift {drift['drift_mm']:.1f} mm"
    if not drift["within"]:
        return Finding(
            AREA, PROBLEM, f"{text}; {moved}, over its limits: {', '.join(drift['missed'])}", _READ
        )
    return Finding(AREA, OK, f"{text}; {moved}, within its limits")
