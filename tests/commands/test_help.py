"""The list of verbs, their help, and what `posec` imports to print it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from command_line import run
from processes import environment

from toolkit import commands
from toolkit.commands.demo import demo_lines
from toolkit.commands.interface.parser import VERBS, parser

HEAVY = ("torch", "onnx", "onnxruntime", "onnxsim", "openvino", "safetensors", "targets", "calibration")


def test_every_verb_of_the_folder_is_a_command():
    names = [path.stem for path in Path(commands.__file__).parent.glob("*.py") if path.stem != "__init__"]
    verbs = [name for name in names if hasattr(import_module(f"toolkit.commands.{name}"), "VERB")]
    assert sorted(name.replace("_", "-") for name in verbs) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit, match="0"):
        run(verb, "--help")
    example = " ".join(capsys.readouterr().out.split()).partition("example: posec ")[2]
    assert parser().parse_args(example.split()).command == verb


def test_the_demo_runs_commands_that_exist(tmp_path):
    for words in demo_lines(str(tmp_path / "out")):
        assert parser().parse_args(words).command in VERBS


@pytest.mark.parametrize(
    "words",
    [["--help"], ["export", "--help"], ["run", "no-bundle", "--source", "no-source"]],
    ids=["help", "help of export", "run"],
)
def test_help_and_run_import_no_compiler(words, tmp_path):
    """Also true on a board, which has none of these."""
    listed = f"import sys; print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    code = (
        f"import atexit, sys; atexit.register(lambda: exec({listed!r})); from toolkit.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.stderr.splitlines()[-1] == "[]"
