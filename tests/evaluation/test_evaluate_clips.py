"""`posec evaluate --clips`: the filters over time beside the frames alone, through the command."""

import json

import cv2
import pytest
from networks import spot_picture, tiny_graph_of
from tiny_bundles import write_tiny_bundle

from toolkit.cli import main
from toolkit.ir.float_engine import float_estimator
from toolkit.report.clips.clips_table import read_over_time

FRAMES = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips of one picture each, whose truth is what the tiny network finds in it."""
    folder = tmp_path_factory.mktemp("clips")
    estimator = float_estimator(tiny_graph_of(), threads=1)
    for index, fps in enumerate((30.0, 60.0)):
        picture = spot_picture(2, seed=index + 3)
        people = estimator(picture, focal_px=200.0)
        assert len(people)
        frames = folder / f"{index:03d}"
        frames.mkdir()
        content = cv2.imencode(".png", picture)[1].tobytes()  # lossless, whatever the name
        for frame in range(FRAMES):
            (frames / f"{frame:04d}.jpg").write_bytes(content)
        person = [
            {
                "joints_mm": one.joints_mm.tolist(),
                "root_mm": one.root_mm.tolist(),
                "joints_px": one.joints_px.tolist(),
                "visible": 1.0,
            }
            for one in people
        ]
        record = {"fps": fps, "focal_px": 200.0, "camera": "static", "frames": [{"people": person}] * FRAMES}
        (folder / f"{index:03d}.json").write_text(json.dumps(record))
    return folder


def rows_of(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_filters_are_compared_per_frame_rate(bundle, clips, capsys):
    rows = rows_of(capsys, bundle, "--clips", clips)
    assert {row["method"] for row in rows} == {"per frame", "one-euro", "exponential"}
    assert {row["subset"] for row in rows} == {"all", "30 Hz", "60 Hz"}
    for row in rows:
        # The tiny network agrees with itself, and the picture stands still.
        assert row["mpjpe_mm"] < 1
        assert row["acceleration_mm"] < 1
        assert row["frames"] == FRAMES * (2 if row["subset"] == "all" else 1)
        assert row["id_switches"] == 0


def test_one_filter_can_be_chosen(bundle, clips, capsys):
    rows = rows_of(capsys, bundle, "--clips", clips, "--smooth", "one-euro")
    assert {row["method"] for row in rows} == {"per frame", "one-euro"}


def test_the_figures_are_written_for_the_report(bundle, clips, tmp_path, capsys):
    out = tmp_path / "tiny.over-time.json"
    rows = rows_of(capsys, bundle, "--clips", clips, "-o", out)
    (measured,) = read_over_time([out])
    assert measured["rows"] == rows
    assert measured["course"]["fps"] == 60
    assert len(measured["course"]["truth_mm"]) == FRAMES
    assert set(measured["course"]["found_mm"]) == {"per frame", "one-euro", "exponential"}
    assert main(["evaluate", str(bundle), "-o", str(out)]) == 2
    assert "--out needs --clips" in capsys.readouterr().err


def test_a_bundle_without_a_stage_has_no_lookahead(bundle, clips, capsys):
    assert main(["evaluate", str(bundle), "--clips", str(clips), "--lookahead", "2"]) == 2
    assert "--lookahead needs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("fps"), "lacks 'fps'"),
        (lambda record: record["frames"].append({"people": []}), "all frames have the same people"),
        (lambda record: record.update(fps=0), "above 0"),
        (lambda record: record.update(focal_px=-1), "focal length"),
    ],
)
def test_wrong_labels_are_refused_by_name(bundle, clips, tmp_path, capsys, change, message):
    record = json.loads((clips / "000.json").read_text())
    change(record)
    (tmp_path / "000.json").write_text(json.dumps(record))
    assert main(["evaluate", str(bundle), "--clips", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "000.json" in error
    assert message in error


def test_a_folder_without_clips_is_refused(bundle, tmp_path, capsys):
    assert main(["evaluate", str(bundle), "--clips", str(tmp_path)]) == 2
    assert "posec train clips" in capsys.readouterr().err
