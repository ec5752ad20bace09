"""run: people of pictures, and sources and bundles that cannot be read."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess

import cv2
import numpy as np
import pytest
from command_line import changed, json_of, refusal, run
from networks import tiny_graph_of
from processes import Started, environment, line, posec
from tiny_bundles import spoiled, write_tiny_bundle


def test_each_picture_is_one_line_of_json_and_one_overlay(bundle, pictures, tmp_path, capsys):
    assert run("run", bundle, "--source", pictures, "-o", tmp_path / "found", "--json") == 0
    printed = capsys.readouterr().out.splitlines()
    lines = [json.loads(line) for line in printed]
    assert [line["picture"] for line in lines] == ["0.png", "1.png", "2.png", "3.png"]
    assert (tmp_path / "found" / "people.jsonl").read_text().splitlines() == printed
    assert sum(len(line["scores"]) for line in lines) > 0
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 4


def test_a_picture_without_people_is_a_result(bundle, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((120, 160, 3), np.uint8))
    assert json_of(capsys, "run", bundle, "--source", tmp_path / "empty.png")["scores"] == []


def test_a_flipped_byte_of_the_model_is_detected(bundle, pictures, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    model = broken / json.loads((broken / "bundle.json").read_text())["model"]
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert "copy it again" in refusal(capsys, "run", broken, "--source", pictures)


def test_a_bundle_of_a_newer_format_is_refused(bundle, pictures, tmp_path, capsys):
    newer = changed(bundle, tmp_path / "newer", format=99)
    assert "99" in refusal(capsys, "run", newer, "--source", pictures)


def test_an_unreadable_picture_is_reported_and_skipped(bundle, pictures, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    shutil.copytree(pictures, mixed)
    (mixed / "broken.png").write_bytes(b"no picture")
    assert run("run", bundle, "--source", mixed, "--json") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    assert "broken.png" in captured.err


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (500, 1), (1, 500), (3, 900), (60000, 1), (8, 16385)])
def test_a_picture_of_any_shape_is_used_or_skipped(bundle, pictures, tmp_path, capsys, size):
    height, width = size
    mixed = tmp_path / "mixed"
    shutil.copytree(pictures, mixed)
    cv2.imwrite(str(mixed / "odd.png"), np.full((*size, 3), 90, np.uint8))
    assert run("run", bundle, "--source", mixed, "--json", "-o", tmp_path / "found") == 0
    captured = capsys.readouterr()
    is_skipped = max(size) > 2
    assert len(captured.out.splitlines()) == 5 - is_skipped
    assert (tmp_path / "found" / "odd.jpg").exists() is not is_skipped
    assert (f"{width} x {height}" in captured.err) is is_skipped


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_a_number_of_pictures_starts_at_one(bundle, pictures, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("run", bundle, "--source", pictures, "--most", value)
    assert "a number from 1 is needed" in capsys.readouterr().err


def test_sources_and_outputs_that_do_not_fit_are_refused(bundle, pictures, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    line = ["run", bundle, "--source"]
    assert "empty" in refusal(capsys, *line, tmp_path / "empty")
    assert "the source is empty" in refusal(capsys, *line, "")
    assert "did not write" in refusal(capsys, *line, pictures, "-o", pictures)
    assert "the name of the output is empty" in refusal(capsys, *line, pictures, "-o", "")
    assert "--retry" in refusal(capsys, *line, pictures, "--retry", "-1")


def test_numbers_that_json_lacks_are_left_out(pictures, tmp_path):
    broken = write_tiny_bundle(tmp_path / "broken", spoiled(tiny_graph_of(), "depth", float("nan"))).folder
    done = posec("run", broken, "--source", pictures, "-o", tmp_path / "found", "--json")
    assert "NaN" not in done.stdout
    assert "Infinity" not in done.stdout
    assert "Traceback" not in done.stderr
    assert "finite" in done.stderr


@pytest.mark.parametrize("module", ["toolkit", "toolkit.runtime"])
def test_an_interrupt_while_libraries_are_imported_is_no_traceback(bundle, pictures, module):
    words = line(*(["run"] if module == "toolkit" else []), bundle, "--source", pictures, module=module)
    words[1:1] = ["-X", "importtime"]
    with Started(words, text=True, stderr=subprocess.PIPE, env=environment()) as process:
        while "numpy" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "Traceback" not in error
    assert "interrupted" in error
