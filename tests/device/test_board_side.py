"""What a board runs beside the runtime: Python 3.8 by its syntax and its run-time types, and none of the host's libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISED = [
    path
    for path in sorted((ROOT / "toolkit").rglob("*.py"))
    if "Valid Python 3.8" in (ast.get_docstring(ast.parse(path.read_text())) or "")
]
NEW_IN_39 = {
    "list",
    "dict",
    "tuple",
    "set",
    "type",
    "Callable",
    "Mapping",
    "Sequence",
    "Iterable",
    "Iterator",
}


def test_the_modules_of_verify_and_bench_promise_it():
    names = {path.relative_to(ROOT / "toolkit").as_posix() for path in PROMISED}
    assert {
        "verification/verify.py",
        "device/drift.py",
        "evaluation/scenes.py",
        "device/bench.py",
        "device/worker.py",
        "report/measure.py",
    } <= names


@pytest.mark.parametrize("path", PROMISED, ids=lambda path: path.stem)
def test_python_38_can_read_and_import_it(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    assert any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
    )  # annotations are not evaluated
    checked = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in (inner for outer in checked for inner in ast.walk(outer) if isinstance(outer, ast.Assign)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in NEW_IN_39, (
                f"{path}:{node.lineno} subscripts {node.value.id} when imported"
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert not any(keyword.arg == "strict" for keyword in node.keywords), (
                f"{path}:{node.lineno} is Python 3.10"
            )
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("is_relative_to", "removeprefix", "removesuffix"), (
                f"{path}:{node.lineno} is Python 3.9"
            )


def test_it_is_imported_without_the_hosts_libraries():
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PROMISED]
    code = f"""
import importlib, sys
for name in ("onnx", "onnxruntime", "onnxsim", "openvino", "torch", "safetensors"):
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module(name)
assert "toolkit.ir.graph" not in sys.modules and "toolkit.verification.float_estimator" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
