"""Result files from anywhere: each is refused in a sentence, or shown on a whole page."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from networks import tiny_graph_of
from report_pages import Page, page_of
from standing_people import people_at
from tiny_bundles import spoiled, write_tiny_bundle

from toolkit.cli import main
from toolkit.device.result import parse_result, read_result, read_results, result_name, save_result
from toolkit.device.timing.turns import BenchSettings
from toolkit.errors import PosecError
from toolkit.evaluation.scenes import Scene, Scenes
from toolkit.report.measure import DriftReference, measure_bundles
from toolkit.verification.float_reference import FloatReference

DEEP = json.loads("[" * 400 + "]" * 400)
EVIL = "\"'><script>alert(1)</script>"
VALUES = {
    "null": None,
    "a list": [],
    "a mapping": {},
    "a list of null": [None],
    "no": False,
    "zero": 0,
    "minus one": -1,
    "huge": 10**400,
    "tiny": 5e-324,
    "large": 1e300,
    "text": "x",
    "no text": "",
    "markup": EVIL,
    "an escape": "\x1b]0;x\x07\x00",
    "half a character": "\ud800",
    "nested": DEEP,
    "a list of lists": [[[]]],
    "a mapping of a mapping": {EVIL: {EVIL: None}},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A valid result with every part: drift with blame, accuracy, pictures, sustained load."""
    folder = tmp_path_factory.mktemp("bundles")
    one = write_tiny_bundle(folder / "one")
    two = write_tiny_bundle(
        folder / "two", spoiled(tiny_graph_of(), "embedding", 0.5), precision="int8", scheme="u8s8"
    )
    frames = [picture for picture, _ in one.golden()]
    (folder / "scene.png").write_bytes((one.folder / "golden/002.png").read_bytes())
    scenes = Scenes({"scene.png": Scene(people_at((40, 60), (120, 60)), np.ones(2), 128.0)}, folder)
    return measure_bundles(
        [one.folder, two.folder],
        out=folder / "results",
        protocols=[scenes],
        reference=DriftReference(FloatReference(tiny_graph_of(), frames)),
        settings=BenchSettings(seconds=0, frames_per_turn=1, sustained_seconds=1.0, threads=1),
    )


@pytest.fixture(scope="module")
def plain(results):
    """The content of the second's file, its repetitive parts cut to one entry."""
    plain = json.loads(json.dumps(results[1].to_dict()))
    plain["bench"]["samples"]["rounds"] = plain["bench"]["samples"]["rounds"][:1]
    plain["bench"]["sustained"]["slices"] = plain["bench"]["sustained"]["slices"][:1]
    plain["bench"]["decode_us"], plain["accuracy"], plain["pictures"] = (
        plain["bench"]["decode_us"][:1],
        plain["accuracy"][:1],
        plain["pictures"][:1],
    )
    plain["drift"]["lost"], plain["drift"]["invented"] = (
        plain["drift"]["lost"][:1],
        plain["drift"]["invented"][:1],
    )
    for name in ("moved", "people_mm"):
        plain["drift"][name] = plain["drift"][name][:1]
    plain["float_accuracy"], plain["compared"] = (
        plain["float_accuracy"][:1],
        [shortened(plain["compared"][0])],
    )
    plain["bench"]["machine"]["before"]["throttled"] = {"flags": ["throttled"]}
    plain["bench"]["machine"]["after"]["throttled"] = {"flags": []}
    return plain


def shortened(compared):
    """Return a compared picture with one person of one joint for each network."""
    people = {
        name: [{**person, **{field: person[field][:1] for field in ("joints_px", "joints_mm")}}]
        for name in ("float", "compiled")
        for person in compared[name][:1]
    }
    return {**compared, **people, "joints": compared["joints"][:1], "bones": [[0, 0]], "pairs": [[0, 0]]}


def paths(value, path=()):
    """Yield the path of every value inside of lists and mappings."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in inside:
        yield (*path, name)
        yield from paths(inner, (*path, name))


def changed(plain, path, value):
    """Return a copy with another value at a path, or without it."""
    plain = copy.deepcopy(plain)
    inner = plain
    for name in path[:-1]:
        inner = inner[name]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return plain


def read_or_refuse(text):
    try:
        return parse_result(text, "a file")
    except PosecError as error:
        return None if str(error).startswith("'a file' ") else pytest.fail(str(error))


@pytest.mark.parametrize("value", [KeyError, *VALUES.values()], ids=["nothing", *VALUES])
def test_a_file_with_any_one_value_changed_is_refused_or_shown(plain, results, value):
    refused = shown = 0
    for path in paths(plain):
        text = json.dumps(changed(plain, path, value))
        result = read_or_refuse(text)
        if result is None:
            refused += 1
            continue
        page = page_of([result, results[0]])
        page.encode()
        read = Page(page)
        assert read.open == read.crossed == []
        assert read.tags.count("script") == len(read.scripts) == 2
        assert "alert" not in read.scripts[1]
        assert not set(page) & set(map(chr, [*range(9), *range(14, 32), 127]))
        shown += 1
    assert refused > 20
    assert shown > 0 or value is DEEP or value in ("\ud800", 10**400)


def test_deeply_nested_and_unending_files_are_refused_through_the_command(results, plain, tmp_path, capsys):
    out = tmp_path / "page.html"
    os.mkfifo(tmp_path / "fifo")
    files = {
        "deep.result.json": json.dumps(changed(plain, ("bundle",), {**plain["bundle"], "x": DEEP})),
        "very-deep.result.json": "[" * 10**6,
        "nan.result.json": json.dumps({**plain, "x": float("nan")}),
        "wide.result.json": "[" + "[]," * 3_000_000 + "0]",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for name in (*files, "fifo"):
        assert main(["report", str(tmp_path / name), "-o", str(out)]) == 2
        message = capsys.readouterr().err
        assert message.startswith(("posec report: '", "posec report: cannot read '")), message
        assert "Traceback" not in message
    assert main(["report", "/dev/zero", "-o", str(out)]) == 2
    assert "not a plain file" in capsys.readouterr().err
    assert not out.exists()


def test_a_settings_from_a_file_cannot_ask_for_hours_or_gigabytes(results, plain, tmp_path, capsys):
    for settings in (
        {"seconds": 1e18},
        {"resized_to": [10**6, 10**6]},
        {"frames_per_turn": 10**9},
        {"threads": 10**6},
    ):
        path = tmp_path / "a.result.json"
        path.write_text(
            json.dumps(changed(plain, ("bench", "inputs"), {**plain["bench"]["inputs"], **settings}))
        )
        assert main(["bench", plain["bench"]["bundle"], "--again", str(path)]) == 2
        assert f"bench.inputs.{next(iter(settings))}" in capsys.readouterr().err


HOSTILE = (
    "../../x",
    "/etc/passwd",
    "..",
    "",
    "a\nb",
    "x;rm -rf ~",
    "$(id)",
    "\x1b[2J",
    "ｆｕｌｌ",
    "x" * 500,
    "con",
    "-o",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_a_file_never_become_a_path_or_an_option(name):
    made = result_name({"target": name, "precision": name, "sha256": "a" * 64}, name)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert made[0] not in ".-"
    assert made.endswith("-aaaaaaaa.result.json") or "-aaaaaaaa-" in made
    assert len(made) < 200


@pytest.mark.parametrize("name", ["../../x", "a/b", "; touch pwned #", "$(touch pwned)"])
def test_a_bundle_with_a_hostile_target_is_refused_and_nothing_is_written(name, tmp_path, capsys):
    bundle = write_tiny_bundle(tmp_path / "made/deep/bundle")
    description = bundle.folder / "bundle.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "target": name}))
    before = set(tmp_path.rglob("*"))
    assert (
        main(["bench", str(bundle.folder), "--seconds", "0", "-o", str(tmp_path / "made/deep/results")]) == 2
    )
    assert "field 'target' must be a plain name" in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before


def test_the_command_line_on_the_page_is_safe_to_paste(results, plain, tmp_path):
    hostile = parse_result(
        json.dumps(changed(plain, ("bundle", "folder"), "x; touch pwned\n$(touch pwned) `touch pwned`")),
        "a file",
    )
    text = Page(page_of([hostile])).text
    line = text[text.index("posec bench '") :].partition("\nposec report")[0]
    script = f'posec() {{ for word; do echo "<$word>"; done; }}\n{line}'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<bench>\n<x; touch pwned")
    assert list(tmp_path.iterdir()) == []


def test_results_of_two_networks_for_one_board_are_kept_with_distinct_titles(tmp_path, capsys):
    for name in ("one", "other"):
        bundle = write_tiny_bundle(tmp_path / name, name=name)
        assert (
            main(
                [
                    "bench",
                    str(bundle.folder),
                    "--seconds",
                    "0",
                    "--no-accuracy",
                    "-o",
                    str(tmp_path / "results"),
                ]
            )
            == 0
        )
    found = read_results(tmp_path / "results")
    assert {result.bundle["name"] for result in found} == {"one", "other"}
    text = page_of(found)
    assert "generic-cpu float32 one" in text
    assert "generic-cpu float32 other" in text


def test_a_ratio_is_never_taken_over_another_network(tmp_path):
    graph = spoiled(tiny_graph_of(), "depth", 0.1)
    bundles = [
        write_tiny_bundle(tmp_path / "float", name="a"),
        write_tiny_bundle(tmp_path / "int8", graph, name="b", precision="int8"),
    ]
    found = measure_bundles(
        [bundle.folder for bundle in bundles], settings=BenchSettings(seconds=0, frames_per_turn=1, threads=1)
    )
    assert "× " not in page_of(found).split("<h2>Again")[0].replace("Target × precision", "")


def test_a_file_that_is_written_is_one_that_is_read(results, tmp_path):
    for index, result in enumerate(results):
        save_result(result, tmp_path / f"{index}.result.json")
        assert read_result(tmp_path / f"{index}.result.json").to_dict() == json.loads(
            json.dumps(result.to_dict())
        )


def test_the_page_never_replaces_one_of_its_inputs(results, tmp_path, capsys):
    path = tmp_path / "a.result.json"
    save_result(results[0], path)
    before = path.read_bytes()
    for given in (path, tmp_path):
        assert main(["report", str(given), "-o", str(path)]) == 2
        assert "is an input of this report" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_fifo_does_not_hang_the_folder(tmp_path):
    os.mkfifo(tmp_path / "a.result.json")
    done = threading.Event()

    def read():
        with pytest.raises(PosecError, match="not a plain file"):
            read_results(tmp_path)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert done.wait(10)


def test_control_characters_of_a_file_do_not_reach_the_terminal(plain, tmp_path):
    (tmp_path / "a.result.json").write_text(
        json.dumps({**plain, "accuracy": [{"protocol": "p", "subset": "s", "\x1b]0;owned\x07": "x"}]})
    )
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "report", str(tmp_path), "-o", str(tmp_path / "r.html")],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr
    assert b"\\x1b]0;owned\\x07" in done.stderr
