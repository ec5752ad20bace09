"""Python, numpy, cv2 and the engines, each imported in a separate process, which a wrong build may kill."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from typing import Any, NamedTuple

from .finding import NOTE, OK, PROBLEM, Finding

OLDEST, NEWEST = (3, 8), (3, 13)
WITHIN_S = 120.0
_NUMPY = """
import ctypes, json, os, numpy
numpy.ones((4, 4)) @ numpy.ones((4, 4))
found = {"version": numpy.__version__, "blas": "", "threads": None}
try:
    paths = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
except OSError:
    paths = set()
for path in sorted(paths):
    name = os.path.basename(path)
    if any(word in name for word in ("openblas", "libblis", "libmkl_rt", "libblas", "libatlas")):
        found["blas"] = name.split(".so")[0].split("-")[0]
        library = ctypes.CDLL(path)
        for start in ("scipy_openblas", "openblas", "bli_thread"):
            for end in ("", "64_"):
                if hasattr(library, f"{start}_get_num_threads{end}"):
                    found["threads"] = getattr(library, f"{start}_get_num_threads{end}")()
        break
print(json.dumps(found))
"""
_CV2 = """
import json, cv2
stated = {name.strip(): value.split() for name, _, value in
        (line.partition(":") for line in cv2.getBuildInformation().splitlines())}
yes = [name for name in ("FFMPEG", "GStreamer", "v4l/v4l2") if stated.get(name, ["NO"])[0] == "YES"]
windows = stated.get("GUI", ["NONE"])[0] != "NONE"
threads = cv2.getNumThreads()
print(json.dumps({"version": cv2.__version__, "threads": threads, "reads": yes, "windows": windows}))
"""
_QUIET = "import os, sys; os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1'); "
_OPENVINO = "sys.modules.setdefault('openvino_telemetry', None); "
_VERSION = "import json, {0} as library; print(json.dumps({{'version': str(library.__version__)}}))"


class Library(NamedTuple):
    """A library of an engine.

    Attributes:
        engine: as named in bundles.
        module: to import.
        install: how to get it.
        code: program that prints its version.
    """

    engine: str
    module: str
    install: str
    code: str


ENGINES: tuple[Library, ...] = (
    Library("onnxruntime", "onnxruntime", "pip install onnxruntime", _QUIET + _VERSION.format("onnxruntime")),
    Library("openvino", "openvino", "pip install openvino", _QUIET + _OPENVINO + _VERSION.format("openvino")),
    Library(
        "tflite",
        "ai_edge_litert",
        "pip install ai-edge-litert",
        "import ai_edge_litert.interpreter; " + _VERSION.format("ai_edge_litert"),
    ),
    Library(
        "tflite",
        "tflite_runtime",
        "pip install tflite-runtime",
        "import tflite_runtime.interpreter; " + _VERSION.format("tflite_runtime"),
    ),
    Library(
        "tensorrt",
        "tensorrt",
        "sudo apt install python3-libnvinfer-dev",
        "import tensorrt; tensorrt.Builder; " + _VERSION.format("tensorrt"),
    ),
)


class Tried(NamedTuple):
    """The outcome of importing a library: what it printed, or why it failed."""

    found: dict[str, Any]
    failure: str
    is_missing: bool


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> list[Finding]:
    """Return a finding on this Python."""
    kind = "in a virtual environment" if sys.prefix != sys.base_prefix else "of the system"
    text = f"{platform.python_version()} {kind}, {sys.executable}"
    if version < OLDEST:
        return [Finding("Python", PROBLEM, text, f"install Python {OLDEST[0]}.{OLDEST[1]} or later")]
    if version > NEWEST:
        step = f"take {NEWEST[0]}.{NEWEST[1]} or earlier if a library has no package"
        return [Finding("Python", NOTE, f"{text}, later than the tested ones", step)]
    return [Finding("Python", OK, text)]


def check_libraries() -> list[Finding]:
    """Return findings on numpy and cv2."""
    findings, numpy, cv2 = [], attempt(_NUMPY), attempt(_CV2)
    if numpy.failure:
        findings.append(Finding("libraries", PROBLEM, f"numpy: {numpy.failure}", "pip install numpy"))
    else:
        threads = numpy.found["threads"]
        count = "" if threads is None else f", {threads} BLAS threads"
        text = f"numpy {numpy.found['version']} with {numpy.found['blas'] or 'its own BLAS'}{count}"
        findings.append(Finding("libraries", OK, text))
    if cv2.failure:
        step = "pip install opencv-python-headless, or on a Jetson: sudo apt install python3-opencv"
        return [*findings, Finding("libraries", PROBLEM, f"cv2: {cv2.failure}", step)]
    reads = ", ".join(cv2.found["reads"]) or "pictures only"
    windows = "with windows" if cv2.found["windows"] else "no windows (--show), use --web"
    text = f"cv2 {cv2.found['version']}, {cv2.found['threads']} threads; reads by {reads}; {windows}"
    return [*findings, Finding("libraries", OK, text)]


def check_engines() -> list[Finding]:
    """Return a finding per engine. Without any of them no bundle can run."""
    tried = [(library, attempt(library.code)) for library in ENGINES]
    works = {library.engine for library, outcome in tried if not outcome.failure}
    findings = []
    for library, outcome in tried:
        if not outcome.failure:
            name = "" if library.module == library.engine else f" ({library.module})"
            findings.append(Finding("engines", OK, f"{library.engine}{name} {outcome.found['version']}"))
        elif not outcome.is_missing:
            text = f"{library.engine} ({library.module}): {outcome.failure}"
            findings.append(Finding("engines", NOTE, text, library.install))
    missing = sorted({library.engine for library, _ in tried} - works)
    if missing and works:
        findings.append(Finding("engines", OK, f"not installed: {', '.join(missing)}"))
    elif not works:
        steps = "; ".join(
            dict.fromkeys(library.install for library in ENGINES if library.module != "tflite_runtime")
        )
        findings.append(Finding("engines", PROBLEM, "none is installed", f"install the bundle's: {steps}"))
    return findings


def attempt(code: str) -> Tried:
    """Run a program that prints JSON in this Python."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Tried({}, f"does not start within {WITHIN_S:g} s", False)
    except OSError as error:
        return Tried({}, f"cannot be tried: {error.strerror}", False)
    printed = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode < 0:
        return Tried({}, f"its import ends with {_signal(-done.returncode)}", False)
    if done.returncode:
        last = printed[-1] if printed else f"status {done.returncode}"
        return Tried({}, last.partition(": ")[2] or last, last.startswith("ModuleNotFoundError"))
    try:
        found = json.loads(done.stdout.decode(errors="replace").strip().splitlines()[-1])
    except (ValueError, IndexError):
        return Tried({}, "its import prints something else than its version", False)
    return Tried(found, "", False)


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name}: this build needs instructions that the CPU lacks" if name == "SIGILL" else name
