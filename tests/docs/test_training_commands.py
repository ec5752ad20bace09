"""Commands of training in the docs: every option exists in the stage's own parser."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache

import pytest
from doc_pages import PAGES, ROOT, command_lines, prose

LINES = [line for page in PAGES for line in command_lines(page) if re.match(r"posec train |torchrun ", line)]
LINES += [code for page in PAGES for code in re.findall(r"`(posec train [a-z]+ [^`]*)`", prose(page))]


@cache
def help_of(stage: str) -> str:
    command = [sys.executable, "-m", "toolkit", "train", stage, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_the_options_of_a_stage_exist(line):
    words = shlex.split(line)
    stage, words = ("network", words[5:]) if words[0] == "torchrun" else (words[2], words[3:])
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}[\s,\]]", help_of(stage)), f"`posec train {stage}` has no {option}"
