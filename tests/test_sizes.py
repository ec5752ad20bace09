"""Limits on the length of modules and functions, and on the modules of a folder."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT)
    for package in ("toolkit", "targets", "calibration")
    for path in (ROOT / package).rglob("*.py")
)
MOST_LINES = 250
MOST_CODE_LINES = 50  # of a function
MOST_MODULES = 15
ONE_MODULE_PER_VERB = Path("toolkit/commands")
NOT_CODE = {getattr(tokenize, name) for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}


def code_lines(source: str) -> set[int]:
    """Return the lines that hold code: no comments, no blank lines, no docstrings."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {
        line
        for token in tokens
        if token.type not in NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    strings = (
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
    for text in strings:
        lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def long_functions(source: str) -> dict[str, int]:
    """Return name → lines of code of the functions above the limit."""
    lines = code_lines(source)
    sizes = {
        node.name: len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    return {name: size for name, size in sizes.items() if size > MOST_CODE_LINES}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_module_and_its_functions_are_short(path):
    source = (ROOT / path).read_text()
    assert len(source.splitlines()) <= MOST_LINES, "split the module by idea"
    assert not long_functions(source), "split the functions"


def test_docstrings_comments_and_blank_lines_are_not_code():
    body = "\n".join(f"    a{index} = 1  # why" for index in range(MOST_CODE_LINES - 1))
    short = f'def f():\n    """One.\n\n    Two.\n    """\n    # why\n\n{body}\n'
    assert long_functions(short) == {}
    assert long_functions(f"{short}    b = 1\n") == {"f": MOST_CODE_LINES + 1}


def test_a_folder_has_few_modules():
    folders = {path.parent for path in FILES} - {ONE_MODULE_PER_VERB}
    crowded = {
        folder.as_posix(): count
        for folder in sorted(folders)
        if (count := sum(path.parent == folder for path in FILES)) > MOST_MODULES
    }
    assert not crowded, "group the modules by what they do"
