"""Mean-PA-MPJPE@K across cameras: cases that one computes by hand, and the command on clips."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of
from scipy.io import savemat
from tiny_bundles import write_tiny_bundle

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.evaluation.retrieval.measure import GALLERIES, retrieval_rows
from toolkit.evaluation.retrieval.mpi_inf_3dhp_train import SKELETON, read_mpi_inf_3dhp_train
from toolkit.evaluation.retrieval.views import EmbeddedPeople
from toolkit.ir.float_engine import float_estimator
from toolkit.report.clips.retrieval_table import read_retrieval, retrieval_section

SQUARE = 100.0 * np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])
OBLONG = SQUARE * (2, 1, 1)
# Scaled by 0.6, the oblong's corners (120, 60) are 20 and 40 from the square's.
APART_MM = np.hypot(20, 40)
TURN = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])


def embedded(*people):
    """People as (embedding, pose, subject, camera, instant)."""
    embeddings, poses, subjects, cameras, instants = zip(*people, strict=True)
    return EmbeddedPeople(
        np.array(embeddings, float)[:, None],
        np.array(poses, float),
        *(np.array(column) for column in (subjects, cameras, instants)),
        found_share=1.0,
    )


def means(rows, gallery, method):
    (row,) = [row for row in rows if (row["gallery"], row["method"]) == (gallery, method)]
    return [row[f"mean_pa_mpjpe_{rank}_mm"] for rank in (1, 5, 10, 20)]


@pytest.fixture
def one_person():
    """A query, and 25 pictures of another camera: the synchronous one, 4 oblongs, 10 squares, 10 oblongs."""
    poses = [SQUARE @ TURN * 1.7] + [OBLONG] * 4 + [SQUARE] * 10 + [OBLONG @ TURN] * 10
    other = [(instant, pose, 0, 1, instant) for instant, pose in enumerate(poses)]
    return [(0.0, SQUARE, 0, 0, 0), *other]


def test_the_nearest_embeddings_count_whatever_side_and_size_they_have(one_person):
    rows = retrieval_rows(embedded(*one_person))
    synchronous_in, synchronous_out, others = GALLERIES
    expected = APART_MM * np.array([0, 4 / 5, 4 / 10, 9 / 20])
    np.testing.assert_allclose(means(rows, synchronous_in, "embedding"), expected, atol=1e-6)
    expected = APART_MM * np.array([1, 4 / 5, 4 / 10, 10 / 20])
    np.testing.assert_allclose(means(rows, synchronous_out, "embedding"), expected, atol=1e-6)
    assert means(rows, others, "embedding") == [None] * 4


def test_the_oracle_ranks_by_the_true_error_and_random_is_the_mean_of_the_gallery(one_person):
    rows = retrieval_rows(embedded(*one_person))
    expected = APART_MM * np.array([0, 0, 0, 9 / 20])
    np.testing.assert_allclose(means(rows, GALLERIES[0], "oracle"), expected, atol=1e-6)
    expected = APART_MM * np.array([0, 0, 0, 10 / 20])
    np.testing.assert_allclose(means(rows, GALLERIES[1], "oracle"), expected, atol=1e-6)
    np.testing.assert_allclose(means(rows, GALLERIES[0], "random"), [APART_MM * 14 / 25] * 4, atol=1e-6)


def test_queries_are_every_64th_frame_and_none_sees_its_own_camera(one_person):
    own_camera = [(0.0, SQUARE, 0, 0, instant) for instant in range(1, 20)]
    rows = retrieval_rows(embedded(*one_person, *own_camera))
    assert {(row["queries"], row["left_out"]) for row in rows if row["gallery"] == GALLERIES[0]} == {(2, 0)}
    assert means(rows, GALLERIES[0], "embedding")[0] == 0
    (row,) = [
        row
        for row in retrieval_rows(embedded(*one_person))
        if (row["gallery"], row["method"]) == (GALLERIES[0], "random")
    ]
    assert (row["queries"], row["left_out"]) == (1, 1)  # the other camera's query has a gallery of one


def test_another_person_in_another_camera_is_a_gallery_of_its_own(one_person):
    others = [(0.0, SQUARE if index < 5 else OBLONG, 1, 1, index) for index in range(20)]
    rows = retrieval_rows(embedded(one_person[0], *others))
    expected = APART_MM * np.array([0, 0, 5 / 10, 15 / 20])
    np.testing.assert_allclose(means(rows, GALLERIES[2], "embedding"), expected, atol=1e-6)
    assert means(rows, GALLERIES[0], "embedding") == [None] * 4


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A recording by two cameras: 24 frames of people that the tiny network finds."""
    folder = tmp_path_factory.mktemp("views")
    estimator = float_estimator(tiny_graph_of(), threads=1)
    for camera in range(2):
        frames = folder / f"000-{camera}"
        frames.mkdir()
        record = {"fps": 10.0, "focal_px": 200.0, "recording": "000", "frames": []}
        for frame in range(24):
            picture = spot_picture(1, seed=5 + frame % 3)
            people = estimator(picture, focal_px=200.0)[:1]
            (frames / f"{frame:04d}.jpg").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            record["frames"].append({"people": [
                {"joints_mm": one.joints_mm.tolist(), "root_mm": one.root_mm.tolist(),
                 "joints_px": one.joints_px.tolist(), "visible": 1.0} for one in people]})  # fmt: skip
        (folder / f"000-{camera}.json").write_text(json.dumps(record))
    return folder


def test_the_command_finds_equal_pictures_of_another_camera_and_writes_for_the_report(
    clips, tmp_path, capsys
):
    write_tiny_bundle(tmp_path / "tiny")
    out = tmp_path / "tiny.retrieval.json"
    assert main(["evaluate", str(tmp_path / "tiny"), "--views", str(clips), "--json", "-o", str(out)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert means(rows, GALLERIES[0], "embedding")[:2] == pytest.approx([0, 0], abs=1e-3)
    assert means(rows, GALLERIES[0], "oracle")[0] == pytest.approx(0, abs=1e-3)
    assert rows[0]["found_share"] == 1
    measured = read_retrieval([out])
    assert measured[0]["rows"] == rows
    page = retrieval_section(measured)
    assert page.count("<tr") == 1 + len(rows)
    assert "tiny" in page
    assert retrieval_section([]) == ""


def test_one_camera_and_two_measurements_are_refused(clips, tmp_path, capsys):
    write_tiny_bundle(tmp_path / "tiny")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "000-0.json").write_bytes((clips / "000-0.json").read_bytes())
    assert main(["evaluate", str(tmp_path / "tiny"), "--views", str(alone)]) == 2
    assert "posec train clips --views 4" in capsys.readouterr().err
    record = json.loads((clips / "000-1.json").read_text())
    (alone / "000-1.json").write_text(json.dumps({**record, "frames": record["frames"][:20]}))
    assert main(["evaluate", str(tmp_path / "tiny"), "--views", str(alone)]) == 2
    assert "recording '000' differ in frames" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "tiny"), "--views", str(alone), "--clips", str(alone)]) == 2
    assert "two measurements" in capsys.readouterr().err


def write_3dhp_train(folder, joints_mm, *, cameras=2, focal_px=500.0):
    """A sequence of the training set's layout, with joints (F, 28, 3) before every camera."""
    sequence = folder / "S1" / "Seq1"
    (sequence / "imageSequence").mkdir(parents=True)
    pixels = focal_px * joints_mm[..., :2] / joints_mm[..., 2:] + 100
    cells = {name: np.empty((3, 1), object) for name in ("annot2", "annot3")}
    for camera in range(3):
        cells["annot2"][camera, 0] = pixels.reshape(len(pixels), -1)
        cells["annot3"][camera, 0] = joints_mm.reshape(len(pixels), -1)
    savemat(sequence / "annot.mat", cells)
    for camera in range(cameras):
        path = str(sequence / "imageSequence" / f"video_{camera}.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25, (200, 200))
        for frame in range(len(pixels)):
            writer.write(np.full((200, 200, 3), 20 * frame + 5 * camera, np.uint8))
        writer.release()


def test_the_training_set_of_mpi_inf_3dhp_has_a_view_per_camera_with_a_video(tmp_path):
    joints_mm = np.random.default_rng(3).normal((0, 0, 3000), 300, (6, 28, 3))
    write_3dhp_train(tmp_path, joints_mm)
    recordings = read_mpi_inf_3dhp_train(tmp_path, 2)
    assert [(view.camera, view.instant) for view in recordings.views] == [
        (f"video_{camera}", instant) for camera in range(2) for instant in range(3)
    ]
    view = recordings.views[4]
    assert view.recording == "S1/Seq1"
    assert view.focal_px == pytest.approx(500)
    assert view.picture().mean() == pytest.approx(20 * 2 + 5, abs=2)
    neck = joints_mm[2, 5] - joints_mm[2, 4]  # of the data set's 28 joints, 4 is the pelvis and 5 the neck
    np.testing.assert_allclose(view.people.joints_mm[0, SKELETON.index("neck")], neck, atol=0.01)


def test_labels_beyond_the_video_and_other_files_are_refused(tmp_path):
    write_3dhp_train(tmp_path, np.random.default_rng(3).normal((0, 0, 3000), 300, (3, 28, 3)))
    view = read_mpi_inf_3dhp_train(tmp_path).views[0]
    with pytest.raises(PosecError, match="no frame 7"):
        view.picture.__defaults__[0].frame(7)
    savemat(tmp_path / "S1/Seq1/annot.mat", {"annot2": np.zeros((3, 56))})
    with pytest.raises(PosecError, match="lacks 'annot3'"):
        read_mpi_inf_3dhp_train(tmp_path)
