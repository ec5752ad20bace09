"""The bench on real bundles of the tiny network, in processes of their own."""

import numpy as np
import pytest
from networks import tiny_graph_of
from tiny_bundles import write_tiny_bundle

from toolkit.device.bench import bench
from toolkit.device.timing.bench_pictures import picture_files
from toolkit.device.timing.latency import COLUMNS, steady, summary
from toolkit.device.timing.turns import LEAST_ROUNDS, BenchSettings
from toolkit.errors import PosecError


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two sound bundles and one whose model is no model, measured together; and the calls of the progress."""
    folder, calls = tmp_path_factory.mktemp("bundles"), []
    bundles = [write_tiny_bundle(folder / name).folder for name in ("one", "two")]
    broken = tiny_graph_of()
    broken.model.graph.node[0].op_type = "NoSuchOperator"
    bundles.append(write_tiny_bundle(folder / "broken", broken).folder)
    found = bench(
        bundles,
        settings=BenchSettings(seconds=0.2, frames_per_turn=4, sustained_seconds=1.5, threads=1),
        progress=lambda *done: calls.append(done),
    )
    return found, calls


def test_every_counted_sample_is_kept_and_adds_up(measured):
    one = measured[0][0]
    samples = np.array(one["samples"]["rounds"])
    assert one["status"] == "ran"
    assert one["samples"]["columns"] == ["preprocess", "inference", "decode", "total", "cpu", "people"]
    assert samples.shape[0] >= LEAST_ROUNDS
    assert samples.shape[1:] == (4, 6)
    assert (samples[..., :3] > 0).all()
    assert (samples[..., :3].sum(-1) <= samples[..., 3] + 0.01).all()
    assert set(samples[..., 5].ravel()) == {0, 1, 2, 3, 4}  # the golden pictures, in turn
    assert one["latency"]["total"]["p50_ms"] == pytest.approx(np.median(samples[..., 3]), abs=1e-3)
    assert one["latency"]["total"]["frames"] == samples.shape[0] * 4


def test_a_frame_is_split_by_stage_with_overlap_too(measured):
    overlap = measured[0][0]["overlap"]
    assert set(overlap["stages_ms"]) == {"preprocess", "inference", "decode"}
    assert min(overlap["stages_ms"].values()) > 0
    assert overlap["quantiles"]["p99"]["needs"] == 368
    assert overlap["fps"] < 1000 / overlap["stages_ms"]["inference"] * 1.5


def test_cold_times_memory_engine_and_machine_are_stated(measured):
    one = measured[0][0]
    assert one["cold"]["load_ms"] > 1
    assert one["cold"]["first_ms"] > 0
    cold, memory = one["cold"], one["memory"]
    assert cold["start_to_people_ms"] > cold["libraries_ms"] + cold["import_ms"] > 10
    assert 20 < memory["resident_mb"] < 1000
    assert 20 < memory["peak_mb"] < 1000
    assert one["engine"]["engine"] == "onnxruntime"
    assert one["machine"]["libraries"]["numpy"] == np.__version__
    assert one["machine"]["logical_cpus"] >= 1
    assert [len(picture["sha256"]) for picture in one["inputs"]["pictures"]] == [64] * 5
    assert one["inputs"]["shapes"] == [[120, 160]] * 5


def test_bundles_of_one_run_have_ratios_that_are_each_others_inverse(measured):
    one, two, _ = measured[0]
    assert one["run"] == two["run"]
    assert list(one["ratios"]) == [two["bundle"]]
    there, back = one["ratios"][two["bundle"]], two["ratios"][one["bundle"]]
    assert there["of_medians"] * back["of_medians"] == pytest.approx(1)
    assert there["p10"] <= there["p90"]
    assert there["of_cpu"] * back["of_cpu"] == pytest.approx(1)


def test_a_bundle_that_cannot_run_is_a_result_with_a_reason(measured):
    broken = measured[0][2]
    assert broken["status"] == "failed"
    assert "NoSuchOperator" in broken["reason"]
    assert broken["latency"] is None
    assert broken["samples"]["rounds"] == []
    assert broken["ratios"] == {}


def test_decoding_and_sustained_load_are_measured_too(measured):
    one = measured[0][0]
    assert [row["people"] for row in one["decode_us"]] == [
        0,
        1,
        2,
        5,
        10,
        20,
    ]  # 8 x 12 cells have no room for 50
    assert all(row["unfitted_p50_us"] > 0 for row in one["decode_us"])
    assert one["decode_us"][-1]["p50_us"] > one["decode_us"][0]["p50_us"]
    assert one["sustained"]["seconds"] >= 1.5
    assert all(entry["frames"] > 10 for entry in one["sustained"]["slices"])


def test_progress_counts_seconds_up_to_the_end(measured):
    calls = measured[1]
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]


def test_pictures_are_resized_beforehand(tmp_path):
    bundle = write_tiny_bundle(tmp_path / "one").folder
    found = bench(
        [bundle],
        settings=BenchSettings(bundle / "golden" / "003.png", (72, 128), seconds=0.01, frames_per_turn=1),
    )[0]
    assert found["inputs"]["shapes"] == [[72, 128]]
    assert found["inputs"]["resized_to"] == [72, 128]
    assert [picture["name"] for picture in found["inputs"]["pictures"]] == ["003.png"]


def test_nothing_to_bench_with_is_refused(tmp_path):
    with pytest.raises(PosecError, match="0 bundles"):
        bench([])
    with pytest.raises(PosecError, match="no pictures in"):
        bench([tmp_path], settings=BenchSettings(tmp_path))
    with pytest.raises(PosecError, match="no picture '"):
        bench([tmp_path], settings=BenchSettings(tmp_path / "none.png"))


def test_a_folder_that_is_no_bundle_and_a_text_that_is_no_picture_fail(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    golden = BenchSettings(write_tiny_bundle(tmp_path / "one").folder / "golden", seconds=0)
    assert "no bundle.json" in bench([tmp_path], settings=golden)[0]["reason"]
    assert (
        "not a picture"
        in bench([tmp_path / "one"], settings=BenchSettings(tmp_path / "text.png", seconds=0))[0]["reason"]
    )
    assert picture_files(tmp_path) == [tmp_path / "text.png"]


def test_percentiles_and_steadiness_are_of_the_samples():
    rounds = [
        [[1.0, 2.0, 3.0, total, 5.0, 0] for total in range(1, 11)],
        [[1.0, 2.0, 3.0, total, 5.0, 0] for total in range(11, 101)],
    ]
    found = summary(rounds)
    assert list(found) == list(COLUMNS)
    assert found["total"]["p50_ms"] == 50.5
    assert found["total"]["p90_ms"] == pytest.approx(90.1)
    assert found["total"]["most_ms"] == 100
    slices = [
        {"p50_ms": 10.0 if second < 5 else 12.0, "p90_ms": 20.0, "at_s": second + 1.0} for second in range(10)
    ]
    assert steady(slices)["slower"] == pytest.approx(1.2)
