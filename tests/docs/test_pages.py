"""Pages of README and docs: length, reader, links, names of files, commands and options."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest
from doc_pages import PAGES, ROOT, SKIPPED, blocks, command_lines, prose, skip_of, text

from toolkit.commands.interface.parser import parser
from toolkit.commands.interface.reference_page import reference_page

# Lines of a page, without the generated tables.
MOST_LINES = {
    "README.md": 60,
    "docs/quickstart.md": 80,
    "docs/int8.md": 90,
    "docs/raspberry-pi.md": 90,
    "docs/jetson.md": 150,
    "docs/live-view.md": 70,
    "docs/video.md": 70,
    "docs/choosing.md": 60,
    "docs/evaluate.md": 70,
    "docs/sweep.md": 50,
    "docs/views.md": 70,
    "docs/running.md": 70,
    "docs/programs.md": 85,
    "docs/trust.md": 50,
    "docs/own-network.md": 80,
    "docs/train.md": 125,
    "docs/add-a-board.md": 50,
    "docs/troubleshooting.md": 80,
    "docs/model-card.md": 120,
    "docs/architecture.md": 90,
}
# Options of other programs.
FOREIGN_OPTIONS = {"--loadEngine", "--now", "--runtime", "--system-site-packages", "--python-version"}
# Of stages of training, which have parsers of their own: see test_training_commands.py.
TRAINING_OPTIONS = {"--config", "--detected-labels", "--device", "--more", "--projection-weight", "--stage"}
FOLDERS = ("toolkit", "targets", "calibration", "tests", "docs", "research")


def options_of(command: argparse.ArgumentParser) -> set[str]:
    return {flag for action in command._actions for flag in action.option_strings}


def test_every_page_of_the_documentation_is_tested():
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert pages | {"README.md"} == {*PAGES, "docs/cli.md"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_its_length(page):
    bare = re.sub(r"<!-- figures: .*?<!-- end -->", "", text(page), flags=re.DOTALL)
    assert len(bare.splitlines()) <= MOST_LINES[page]


@pytest.mark.parametrize("page", [*PAGES, "docs/cli.md"])
def test_a_page_begins_with_its_reader(page):
    _, first, *_ = text(page).partition("# ")[2].split("\n\n")
    assert first.startswith("For "), f"{page} states no reader below its title"


@pytest.mark.parametrize("page", [*PAGES, "docs/cli.md", "CHANGELOG.md"])
def test_links_and_names_of_files_exist(page):
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if not target.startswith("http"):
            name, _, anchor = target.partition("#")
            path = (ROOT / page).parent / name if name else ROOT / page
            assert path.exists(), f"{page} links to '{target}'"
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if anchor else []
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in slugs, f"{page} links to '{target}'; headings: {sorted(slugs)}"
    for name in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", prose(page)):
        assert (ROOT / name).exists() or "NAME" in name, f"{page} names '{name}'"


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page):
    for line in command_lines(page):
        if line.startswith("posec "):
            parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_options_in_the_prose_exist(page):
    commands = next(
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    ).choices
    known = set().union(FOREIGN_OPTIONS, *map(options_of, commands.values()))
    for code in re.findall(r"`([^`]+)`", prose(page)):
        named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code))
        verb = re.match(r"posec ([a-z-]+)", code)
        if verb and verb[1] == "train":
            continue
        of_verb = options_of(commands[verb[1]]) if verb else known
        assert named <= of_verb | TRAINING_OPTIONS, f"{page}: `{code}`"


def test_every_command_is_known_to_the_parser():
    commands = next(
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    ).choices
    for page in PAGES:
        for verb in re.findall(r"`(?:\.venv/bin/)?posec ([a-z-]+)", text(page)):
            assert verb in commands, f"{page} names `posec {verb}`"


def test_the_reference_page_is_current():
    assert text("docs/cli.md") == reference_page(parser()), (
        "run: python -m toolkit.commands.interface.reference_page docs/cli.md"
    )


def test_skipped_command_lines_are_counted():
    lines = [line for page in PAGES for line in command_lines(page)]
    counted = {skip.pattern: sum(skip_of(line) is skip for line in lines) for skip in SKIPPED}
    assert counted == {skip.pattern: skip.lines for skip in SKIPPED}


def test_lines_that_are_not_skipped_are_commands_of_posec():
    lines = [line for page in PAGES for line in command_lines(page) if skip_of(line) is None]
    assert len(lines) >= 25
    assert [line for line in lines if not line.startswith("posec ")] == []


def test_every_block_has_a_language():
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", text(page), re.MULTILINE)
        assert set(fences[::2]) <= {"sh", "python", "cpp", "toml", "ini", "text"}, page
        assert set(fences[1::2]) <= {""}, page
        assert len(blocks(page, "(?:sh|python|cpp|toml|ini|text)")) == len(fences) // 2


def test_the_reference_page_has_every_option_with_its_help():
    page = text("docs/cli.md")
    commands = next(
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    ).choices
    for name, command in commands.items():
        section = page.partition(f"\n## posec {name}\n")[2].partition("\n## ")[0]
        for action in command._actions:
            assert isinstance(action, argparse._HelpAction) or (action.help or "").split("%")[0] in section
            assert {"-h", "--help"} & set(action.option_strings) or all(
                f"`{flag}" in section for flag in action.option_strings
            )


def test_the_architecture_page_names_every_folder():
    named = set(re.findall(r"`([\w/]+)/`", text("docs/architecture.md")))
    folders = {f"toolkit/{path.parent.name}" for path in (ROOT / "toolkit").glob("*/__init__.py")}
    assert folders | {"calibration", "targets"} <= named
