"""Allowed imports between packages, read from the source to include lazy imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("toolkit", "targets", "calibration")
FILES = sorted(path.relative_to(ROOT) for package in OURS for path in (ROOT / package).rglob("*.py"))
FLOORS = ("runtime", "device")  # what a board holds, the lower first
BOARD = [path for path in FILES if path.parts[0] == "toolkit" and path.parts[1] in FLOORS]
STANDARD_LIBRARY = __import__("sys").stdlib_module_names
TORCH_ALLOWED = (
    "toolkit/frontend/trace.py",
    "toolkit/frontend/program_child.py",
    "toolkit/network/",
    "toolkit/training/",
    "targets/tflite.py",
    "targets/_litert/",
)
ENGINE_LIBRARIES = {
    "onnxruntime": {"onnxruntime"},
    "openvino": {"openvino"},
    "tflite": {"ai_edge_litert", "tflite_runtime"},
    "tensorrt": {"tensorrt", "onnxruntime"},
}


def imports(path: Path) -> set[str]:
    """Return the absolute dotted names that a file imports, relative ones resolved."""
    found = set()
    package = path.parent.parts
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            prefix = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*prefix, *([node.module] if node.module else [])])
            found |= {base} if node.module else {f"{base}.{alias.name}" for alias in node.names}
    return found


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def reachable(start: str, imported: dict[str, set[str]]) -> set[str]:
    """Return the folders that a folder imports, directly or through others."""
    found: set[str] = set()
    pending = [start]
    while pending:
        new = imported.get(pending.pop(), set()) - found
        found |= new
        pending += new
    return found


def test_the_packages_have_their_places():
    assert {path.parts[0] for path in FILES} == set(OURS)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_its_part_may(path):
    names, where = imports(path), path.as_posix()
    if where.startswith("toolkit/commands/"):
        return
    others = set(OURS) - {path.parts[0]} - ({"toolkit"} if path.parts[0] != "toolkit" else set())
    assert not top(names) & others, f"{where} may not import {top(names) & others}"
    if not where.startswith(TORCH_ALLOWED):
        assert "torch" not in top(names), f"{where} may not import torch"


def test_no_folder_of_the_toolkit_imports_itself_through_others():
    imported: dict[str, set[str]] = {}
    for path in FILES:
        if path.parts[0] == "toolkit":
            folder = path.parts[1].removesuffix(".py")
            parts = {name.split(".")[1] for name in imports(path) if name.startswith("toolkit.")}
            imported.setdefault(folder, set()).update(parts - {folder})
    assert {folder for folder in imported if folder in reachable(folder, imported)} == set()


@pytest.mark.parametrize("path", BOARD, ids=str)
def test_the_boards_folders_import_no_other_folder(path):
    allowed = {"numpy", "cv2", *STANDARD_LIBRARY}
    if path.parent.name == "engines":
        allowed |= ENGINE_LIBRARIES.get(path.stem, set())
    allowed |= {"pi_camera": {"picamera2"}, "signature": {"cryptography"}}.get(path.stem, set())
    folders = FLOORS[: FLOORS.index(path.parts[1]) + 1]
    for name in imports(path):
        inside = any(f"{name}.".startswith(f"toolkit.{folder}.") for folder in folders)
        assert inside or name.split(".")[0] in allowed, f"{path} may not import {name}"


@pytest.mark.parametrize("path", BOARD, ids=str)
def test_the_boards_folders_import_themselves_relatively(path):
    tree = ast.parse((ROOT / path).read_text())
    absolute = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    absolute |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert not any(str(name).split(".")[0] in OURS for name in absolute)
