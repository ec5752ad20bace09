"""Record the interface of NVIDIA's Python bindings of TensorRT, to check the stand-in against it.

    # Or tensorrt-cu12-bindings==10.3.0, tensorrt-cu13-bindings==10.16.1.11.
    pip download --no-deps tensorrt_bindings==8.6.1
    python -m zipfile -e tensorrt_bindings-8.6.1-*.whl unpacked-8.6.1/
    python tests/jetson/read_bindings.py unpacked-*/

The wheels hold the bindings without the libraries that they call. Empty libraries of the same names, made by
gcc, are enough to import them; pybind11 then lists every name and signature.
Writes tensorrt_interfaces.json beside this file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RECORD = Path(__file__).with_name("tensorrt_interfaces.json")
LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin", "nvparsers")
# All that the engine or the stand-in touches, in any version.
MEMBERS = {
    "Builder": [
        "__init__",
        "build_serialized_network",
        "create_builder_config",
        "create_network",
        "logger",
        "num_DLA_cores",
        "platform_has_fast_int8",
    ],
    "IBuilderConfig": [
        "DLA_core",
        "clear_flag",
        "create_timing_cache",
        "default_device_type",
        "max_workspace_size",
        "progress_monitor",
        "set_flag",
        "set_memory_pool_limit",
        "set_timing_cache",
    ],
    "ICudaEngine": [
        "binding_is_input",
        "create_execution_context",
        "get_binding_dtype",
        "get_binding_index",
        "get_binding_name",
        "get_binding_shape",
        "get_tensor_dtype",
        "get_tensor_mode",
        "get_tensor_name",
        "get_tensor_shape",
        "num_bindings",
        "num_io_tensors",
    ],
    "IExecutionContext": ["engine", "execute_async_v2", "execute_async_v3", "set_tensor_address"],
    "IHostMemory": ["__getitem__", "__len__", "nbytes"],
    "ILogger": ["__init__", "log"],
    "IProgressMonitor": ["__init__", "phase_finish", "phase_start", "step_complete"],
    "ITimingCache": ["serialize"],
    "OnnxParser": ["__init__", "get_error", "num_errors", "parse"],
    "ParserError": ["desc", "node"],
    "Runtime": ["DLA_core", "__init__", "deserialize_cuda_engine", "logger"],
}
ENUMERATIONS = (
    "BuilderFlag",
    "DataType",
    "DeviceType",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "TensorIOMode",
)


def read(trt: object) -> dict[str, dict[str, object]]:
    """Return class → member → its arguments, optional ones with a `?`; "property"; or None without it."""
    found: dict[str, dict[str, object]] = {
        "enumerations": {
            name: {k: int(v) for k, v in getattr(trt, name).__members__.items()} for name in ENUMERATIONS
        }
    }
    for name, members in MEMBERS.items():
        found[name] = {member: describe(getattr(trt, name, None), member) for member in members}
    return found


def describe(kind: object, member: str) -> object:
    # What every Python object has does not count.
    if (
        kind is None
        or not hasattr(kind, member)
        or (member != "__init__" and getattr(kind, member) is getattr(object, member, 0))
    ):
        return None
    if isinstance(getattr(kind, member), property):
        return "property"
    signature = re.search(rf"\b{member}\((self[^\n]*)\) ->", getattr(kind, member).__doc__ or "")
    if signature is None:
        return "function"
    arguments = re.split(r", (?=\w+: )", signature.group(1))[1:]
    return [argument.split(":")[0] + ("?" if " = " in argument else "") for argument in arguments]


def make_libraries(folder: Path, bindings: Path) -> None:
    """Make empty libraries with all functions that the bindings import, whatever these are."""
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", str(bindings)], capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = [
        s
        for s in symbols
        if re.fullmatch(r"\w*(_INTERNAL|OnnxParserVersion|PluginRegistry|InferPlugins)|_ZN\d+nv\w+", s)
    ]
    source = folder / "empty.c"
    source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in wanted))
    needed = subprocess.run(
        ["readelf", "-d", str(bindings)], capture_output=True, text=True, check=True
    ).stdout
    for library in re.findall(rf"\[(lib(?:{'|'.join(LIBRARIES)})\.so\.\d+)\]", needed):
        subprocess.run(
            [
                "gcc",
                "-shared",
                "-fPIC",
                "-w",
                "-o",
                str(folder / library),
                str(source),
                f"-Wl,-soname,{library}",
            ],
            check=True,
        )


def main(folders: list[str]) -> None:
    record = {}
    for folder in folders:
        with tempfile.TemporaryDirectory() as libraries:
            make_libraries(Path(libraries), next(Path(folder).glob("*/tensorrt.so")))
            environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "PYTHONPATH": folder}
            listing = subprocess.run(
                [sys.executable, __file__, "--list"],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        version, found = json.loads(listing)
        record[version] = found
    lines = [
        f"{json.dumps(version)}: {{\n"
        + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
        + "\n}"
        for version, found in sorted(
            record.items(), key=lambda item: [int(part) for part in item[0].split(".")]
        )
    ]
    RECORD.write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        import tensorrt_bindings

        print(json.dumps([tensorrt_bindings.__version__, read(tensorrt_bindings)]))
    else:
        main(sys.argv[1:])
