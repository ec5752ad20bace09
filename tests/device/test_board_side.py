"""What a board runs: Python 3.8 by its syntax and its run-time types, and none of the host's libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.deploy.deploy import BOARD_FOLDERS, board_files

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "toolkit"
DEPLOYED = [PACKAGE / path for path in board_files() if path.suffix == ".py"]
PAGE = {PACKAGE / "runtime/web" / name for name in ("page.html", "page.css", "page.js", "space.js")}
# `posec bench` on a board where posec is installed runs these too; a deployment has none of them.
BENCH = ("errors.py", "verification/verify.py", "report/measure.py", "report/consistency.py")
INSTALLED = [*sorted((PACKAGE / "evaluation").rglob("*.py")), *(PACKAGE / name for name in BENCH)]
PROMISED = [*DEPLOYED, *INSTALLED]
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


def test_a_deployment_copies_the_two_folders_of_a_board_with_the_viewer_page_and_one_more_file():
    assert BOARD_FOLDERS == ("runtime", "device")
    folders = {path for folder in BOARD_FOLDERS for path in (PACKAGE / folder).rglob("*.py")}
    assert set(DEPLOYED) == {PACKAGE / "__init__.py", *folders}
    assert len(DEPLOYED) == len(set(DEPLOYED))
    assert {PACKAGE / path for path in board_files()} == {*DEPLOYED, *PAGE}


@pytest.mark.parametrize("path", PROMISED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_38_can_read_and_import_it(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    if len(tree.body) > 1:
        assert any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
        )  # annotations are not evaluated
    typing = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "typing"
        for alias in node.names
    }
    checked = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in (inner for outer in checked for inner in ast.walk(outer) if isinstance(outer, ast.Assign)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in NEW_IN_39 - typing, (
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
assert "toolkit.ir.graph" not in sys.modules and "toolkit.ir.float_engine" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
