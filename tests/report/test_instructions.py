"""Counts of instructions in the report, compared with float32 of the same board and library."""

from __future__ import annotations

import json

import pytest

from toolkit.errors import PosecError
from toolkit.report.sections.instructions import instructions_section, read_instructions

COUNT = {
    "network": "net",
    "precision": "float32",
    "board": "Raspberry Pi 5",
    "cpu": "cortex-a76",
    "library": "litert",
    "instructions": 400_000_000,
    "simd": 300_000_000,
}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_counts_are_shown_beside_float32_of_the_same_board_and_library(tmp_path):
    int8 = {**COUNT, "precision": "int8", "instructions": 100_000_000}
    elsewhere = {**int8, "library": "tflite-runtime"}
    counts = read_instructions(
        [write(tmp_path / "a.instructions.json", {"format": 1, "counts": [COUNT, int8, elsewhere]})]
    )
    page = instructions_section(counts)
    assert page.count("× 0.25") == 1
    assert page.count("× 1.00") == 1
    assert page.count("100.0") == 2
    assert "Counts and not times" in page


def test_the_section_is_empty_without_counts():
    assert instructions_section([]) == ""


WRONG = {
    "no JSON": ("{", "not a count of instructions"),
    "another format": ({"format": 2, "counts": []}, "format 2, this posec reads 1"),
    "a count that lacks its number": (
        {"format": 1, "counts": [{**COUNT, "instructions": None}]},
        "not a count of instructions",
    ),
    "float32 of nothing": (
        {"format": 1, "counts": [{**COUNT, "instructions": 0}]},
        "not a count of instructions",
    ),
}


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=WRONG)
def test_files_of_another_form_are_refused(content, words, tmp_path):
    with pytest.raises(PosecError, match=words):
        read_instructions([write(tmp_path / "a.instructions.json", content)])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PosecError, match="no count of instructions"):
        read_instructions([tmp_path / "a.instructions.json"])
