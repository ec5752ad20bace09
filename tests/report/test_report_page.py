"""Result files and their page: bundles that ran and failed, and files that were tampered with."""

import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_results import made_result
from networks import tiny_graph_of
from report_pages import Page, page_of
from standing_people import people_at
from tiny_bundles import spoiled, write_tiny_bundle

from toolkit.device.comparison.drift_parts import DriftData
from toolkit.device.result import Result, read_result, read_results, save_result
from toolkit.device.timing.turns import BenchSettings
from toolkit.errors import PosecError
from toolkit.evaluation.scenes import Scene, Scenes
from toolkit.report.html import write_report
from toolkit.report.measure import DriftReference, file_names, measure_bundles
from toolkit.report.page_data import MOST_BYTES
from toolkit.report.sections.summary import best, headline
from toolkit.verification.float_reference import FloatReference


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def results(folder):
    """Results of float32, of a spoiled int8 with drift by head, and of a bundle that does not run."""
    graph, broken = tiny_graph_of(), tiny_graph_of()
    broken.model.graph.node[0].op_type = "NoSuchOperator"
    bundles = [
        write_tiny_bundle(folder / "sound"),
        write_tiny_bundle(
            folder / "spoiled", spoiled(graph, "embedding", 0.5), precision="int8", scheme="u8s8"
        ),
        write_tiny_bundle(folder / "broken", broken, precision="float16"),
    ]
    frames = [picture for picture, _ in bundles[0].golden()]
    cv2.imwrite(str(folder / "scene.png"), frames[2])
    truth = people_at((40, 60), (120, 60))
    scenes = Scenes({"scene.png": Scene(truth, np.ones(2), 128.0)}, folder)
    return measure_bundles(
        [bundle.folder for bundle in bundles],
        out=folder / "results",
        protocols=[scenes],
        reference=DriftReference(FloatReference(graph, frames), DriftData("photos", "user")),
        settings=BenchSettings(
            folder / "scene.png", seconds=0.05, frames_per_turn=2, sustained_seconds=1.0, threads=1
        ),
    )


def test_status_and_verdict_are_independent(results):
    sound, wrong, broken = results
    assert (sound.has_run, sound.verdict, sound.reason) == (True, "accepted", "all limits kept on photos")
    assert (wrong.has_run, wrong.verdict) == (True, "rejected")
    assert wrong.reason.startswith("over the allowance on photos: drift_mm ")
    assert wrong.drift["worst_head"] == "embedding"
    assert (broken.status, broken.verdict) == ("failed", "not judged")
    assert "NoSuchOperator" in broken.reason


def test_a_result_holds_the_bundle_the_accuracy_and_pictures(results, folder):
    sound = results[0]
    assert sound.bundle["target"] == "generic-cpu"
    assert sound.bundle["model_bytes"] == sum(
        (folder / "sound" / name).stat().st_size for name in ("model.onnx", "pose.npz")
    )
    assert sound.row("rendered-scenes")["people"] == 2
    assert len(sound.pictures) == 4
    assert cv2.imdecode(np.frombuffer(base64.b64decode(sound.pictures[0]["jpeg"]), np.uint8), 1).shape == (
        120,
        160,
        3,
    )
    assert sound.pictures[0]["caption"] == "4 people"


def test_files_are_named_by_target_and_precision_and_read_back_whole(results, folder):
    names = sorted(path.name for path in (folder / "results").iterdir())
    hashes = {result.bundle["precision"]: result.bundle["sha256"][:8] for result in results}
    assert names == [
        f"generic-cpu-{precision}-{hashes[precision]}.result.json"
        for precision in ("float16", "float32", "int8")
    ]
    again = {result.name: result for result in read_results(folder / "results")}
    for result in results:
        assert json.loads(json.dumps(again[result.name].to_dict())) == json.loads(
            json.dumps(result.to_dict())
        )
    once, twice, thrice = file_names([results[0]] * 3)
    assert once == f"generic-cpu-float32-{hashes['float32']}.result.json"
    assert (twice, thrice) == (once.replace(".result", "-2.result"), once.replace(".result", "-3.result"))


def test_without_a_graph_the_golden_pictures_are_judged(folder, results):
    found = measure_bundles(
        [folder / "sound"], settings=BenchSettings(seconds=0, frames_per_turn=1, threads=1)
    )[0]
    assert found.verdict == "accepted"
    assert found.drift["blame"] == {}
    bare = write_tiny_bundle(folder / "bare", pictures=[])
    unjudged = measure_bundles(
        [bare.folder], settings=BenchSettings(folder / "scene.png", seconds=0, frames_per_turn=1)
    )[0]
    assert (unjudged.has_run, unjudged.verdict) == (True, "not judged")
    assert "has no golden pictures" in unjudged.reason


def test_the_page_is_one_valid_file_that_loads_nothing(results, tmp_path):
    write_report(results, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.crossed == []
    assert "\\u" not in text.replace(page.scripts[0], "")
    assert page.tags.count("script") == 2  # the data, and posec's own script
    assert not [
        entry
        for entry in page.attributes
        if entry[1] in ("src", "href") and not str(entry[2]).startswith("data:image/jpeg;base64,")
    ]
    assert "url(" not in text
    assert "@import" not in text
    for word in (
        "generic-cpu float32",
        "accepted",
        "rejected",
        "failed",
        "embedding",
        "Accuracy against latency",
        "Decoding by number of people",
        "Sustained load",
    ):
        assert word in page.text or word in text
    assert all(
        entry[:2] == ("img", "alt") and entry[2] for entry in page.attributes if entry[:2] == ("img", "alt")
    )
    assert page.tags.count("img") == 4


def test_instructions_counted_beside_the_results_are_shown(results, tmp_path):
    save_result(results[0], tmp_path / "one.result.json")
    count = {
        "network": "net",
        "precision": "int8",
        "board": "Raspberry Pi 5",
        "cpu": "cortex-a76",
        "library": "litert",
        "instructions": 7_000_000,
        "simd": 1,
    }
    (tmp_path / "net.instructions.json").write_text(json.dumps({"format": 1, "counts": [count]}))
    write_report(tmp_path, tmp_path / "report.html")
    assert "Instructions per inference, counted" in (tmp_path / "report.html").read_text()


def test_the_headline_is_about_the_fastest_that_is_accepted(results):
    assert best(results) is results[0]
    assert headline(results, best(results)).startswith("float32 on generic-cpu takes ")
    assert headline(results[1:], best(results[1:])).endswith(": over the drift limits.")
    assert headline(results[2:], best(results[2:])) == "No bundle ran."
    assert best([]) is None


def test_hostile_names_are_escaped(results, tmp_path):
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    bundle = {
        **results[1].bundle,
        "target": evil,
        "name": evil,
        "licence": evil,
        "scheme": evil,
        "folder": evil,
        "passes": [[evil, 3]],
        "tools": {evil: evil},
        "engine": evil,
    }
    bench = {
        **results[1].bench,
        "engine": {evil: evil},
        "machine": {**results[1].bench["machine"], "cpu": evil, "board": evil, "libraries": {evil: evil}},
    }
    pictures = [
        {"caption": evil, "jpeg": results[0].pictures[0]["jpeg"]},
        {"caption": "x", "jpeg": "x' onload='alert(1)"},
        {"caption": "y", "jpeg": "AAAA"},
    ]
    rows = [{**results[1].accuracy[0], "subset": evil}]
    hostile = replace(
        results[1], bundle=bundle, bench=bench, pictures=pictures, accuracy=[*rows, *results[1].accuracy]
    )
    failed = replace(results[2], bench={**results[2].bench, "reason": evil})
    save_result(hostile, tmp_path / "a.result.json")
    save_result(failed, tmp_path / "b.result.json")
    page = Page(page_of(read_results(tmp_path), title=evil))
    assert page.tags.count("script") == len(page.scripts) == 2
    assert "alert" not in page.scripts[1]
    assert json.loads(page.scripts[0])["options"]
    assert page.open == page.crossed == []
    assert page.tags.count("img") == 1
    assert not [entry for entry in page.attributes if entry[1].startswith("on")]
    assert "<script>alert(1)</script>" in page.text


def test_pictures_beyond_the_bound_of_the_page_are_left_out_and_those_of_the_recommended_stay():
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    person = {"score": 1.0, "joints_px": [[0, 0]], "joints_mm": [[0, 0, 0]]}
    people = {"float": [person], "compiled": [person], "pairs": [[0, 0]], "joints": ["pelvis"], "bones": []}
    results = [
        replace(
            made_result("int8", p90=20.0 + number),
            compared=[
                {
                    "sha256": f"{6 * number + index:064x}",
                    "size": [480, 640],
                    "jpeg": base64.b64encode(jpeg + bytes([number, index])).decode(),
                    **people,
                }
                for index in range(6)
            ],
        )
        for number in range(20)
    ]
    text = page_of(results)
    assert len(text) < MOST_BYTES + 500_000
    options = json.loads(Page(text).scripts[0])["options"]
    kept = {option["role"]: len(option["pictures"]) for option in options if option["role"]}
    assert kept == {"recommended": 6, "runner-up": 6}
    assert any(option["left_out"] and not option["pictures"] for option in options)


def test_a_report_of_failures_alone_is_a_page(results):
    page = Page(page_of([results[2]]))
    assert page.open == page.crossed == []
    assert "No bundle ran." in page.text


def test_drift_is_plotted_where_no_accuracy_was_measured(results):
    text = page_of([replace(result, accuracy=[]) for result in results])
    assert "drift from float32, mm" in text
    assert "Accuracy on labelled pictures" not in text


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"bundle": {}},
        {"bench": {"status": "ran"}},
        {"accuracy": [{}]},
        {"accuracy": [{"protocol": "p", "subset": "s", "x": []}]},
        {"accuracy": [{"protocol": "p", "subset": "s", "x": "<b>"}]},
        {"pictures": [{"caption": 1, "jpeg": ""}]},
        {"drift": {"within": True}},
        {"bench": {"status": "on fire"}},
        {"accuracy": 3},
    ],
)
def test_files_of_another_form_are_refused(results, tmp_path, change):
    (tmp_path / "a.result.json").write_text(json.dumps({**results[0].to_dict(), **change}))
    with pytest.raises(PosecError, match=r"not a result of|result format"):
        read_result(tmp_path / "a.result.json")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.result.json").write_text(text)
    with pytest.raises(PosecError, match="not a result of"):
        read_result(tmp_path / "a.result.json")


def test_missing_results_and_unwritable_files_are_refused(results, tmp_path):
    with pytest.raises(PosecError, match="no results"):
        read_results(tmp_path)
    with pytest.raises(PosecError, match="no result '"):
        read_result(tmp_path / "none.result.json")
    with pytest.raises(PosecError, match="at least one result"):
        write_report([], tmp_path / "report.html")
    (tmp_path / "file").touch()
    with pytest.raises(PosecError, match="cannot write the report"):
        write_report(results, tmp_path / "file" / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_result_without_a_bench_has_a_row(results):
    unmeasured = Result(results[0].bundle)
    assert (unmeasured.status, unmeasured.verdict) == ("not measured", "not judged")
    assert "not measured" in Page(page_of([unmeasured])).text
