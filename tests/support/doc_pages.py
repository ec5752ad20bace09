"""The pages of README and docs: their blocks of code, and the command lines not run, with reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In reading order: commands of later pages may use what earlier ones wrote.
PAGES = (
    "README.md",
    "docs/quickstart.md",
    "docs/int8.md",
    "docs/raspberry-pi.md",
    "docs/jetson.md",
    "docs/choosing.md",
    "docs/live-view.md",
    "docs/video.md",
    "docs/sweep.md",
    "docs/evaluate.md",
    "docs/views.md",
    "docs/running.md",
    "docs/programs.md",
    "docs/trust.md",
    "docs/own-network.md",
    "docs/train.md",
    "docs/add-a-board.md",
    "docs/troubleshooting.md",
    "docs/model-card.md",
    "docs/architecture.md",
)


@dataclass(frozen=True)
class Skip:
    """Command lines that no test runs.

    Attributes:
        pattern: regular expression that matches the start of the line.
        reason: why it is not run.
        lines: how many lines of all pages it covers.
    """

    pattern: str
    reason: str
    lines: int


# The first that matches counts.
SKIPPED = (
    Skip(r"make ", "sets up an environment; make demo is run on its own", 2),
    Skip(r"(pip|npm|git|sudo|~/posec-env/bin/pip|pip download) ", "installs or downloads", 15),
    Skip(r"(python3|python3\.8|cp|mkdir|cd|TRT_OSSPATH=\S+) ", "prepares a board", 7),
    Skip(r"posec/\w+/python ", "runs on a board after a deployment", 4),
    Skip(r"posec run .* --unix ", "is read by the consumers in tests/docs/test_consumers.py", 1),
    Skip(r"posec deploy ", "needs a board; tests/deploy runs it against a host", 3),
    Skip(r"posec run .* --source 0", "needs a camera", 4),
    Skip(r"ssh ", "needs a board", 1),
    Skip(r"(posec train|torchrun) ", "trains for minutes to hours; its options are checked", 32),
    Skip(r"posec evaluate .* --(mupots|panoptic) ", "needs a data set; tests/evaluation runs it", 2),
    Skip(r"posec evaluate .* --scenes steep/", "needs rendered scenes; tests/evaluation runs it", 1),
    Skip(r"posec locate ", "needs recordings; tests/adaptation runs it", 1),
    Skip(r"posec adapt ", "needs recordings; tests/training/site runs it", 1),
    Skip(r"posec evaluate .* --views", "needs rendered clips; tests/evaluation runs it", 2),
    Skip(r"posec evaluate .* --clips", "needs rendered clips; tests/evaluation runs it", 1),
    Skip(r"posec export .* --precision auto", "searches for minutes; tests/verification runs it", 1),
    Skip(
        r"(python -m toolkit.emulation|posec measure-operators) ", "emulates a board; tests/arm64 runs it", 2
    ),
    Skip(r"posec search ", "searches for minutes; tests/commands runs it", 1),
    Skip(r"posec calibrate .* --compare", "measures for minutes; tests/calibration runs it", 1),
)


def text(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, without the indentation of lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text(page), re.DOTALL | re.MULTILINE)
    return ["\n".join(line.removeprefix(indent) for line in block.splitlines()) for indent, block in found]


def command_lines(page: str) -> list[str]:
    """Return the command lines of the shell blocks, continued lines joined and comments removed."""
    joined = [re.sub(r"\\\n\s*", "", block) for block in blocks(page, "sh")]
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in joined for line in block.splitlines()]
    return [line for line in lines if line]


def skip_of(line: str) -> Skip | None:
    """Return why a line is not run, or None where it is."""
    return next((skip for skip in SKIPPED if re.match(skip.pattern, line)), None)


def prose(page: str) -> str:
    """Return the page without its fenced blocks and generated tables."""
    bare = re.sub(r"^ *```.*?^ *```$", "", text(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!-- figures: .*?<!-- end -->", "", bare, flags=re.DOTALL)
