"""Readers of the field's data sets on small files of their layout, and on hostile ones."""

import io
import os
import pickle
import zlib

import numpy as np
import pytest
from dataset_files import (
    FOCAL_PX,
    absolute_mm,
    people_in_view,
    python2_array,
    threedpw_values,
    write_3dhp,
    write_3dpw,
    write_mupots,
    write_panoptic,
)
from scipy.io import savemat
from standing_people import standing

from toolkit.errors import PosecError
from toolkit.evaluation.datasets.mat5 import read_mat5
from toolkit.evaluation.datasets.mpi_inf_3dhp import read_mpi_inf_3dhp
from toolkit.evaluation.datasets.mupots import read_mupots
from toolkit.evaluation.datasets.panoptic import read_panoptic
from toolkit.evaluation.datasets.pickled import array_of, read_pickle
from toolkit.evaluation.datasets.threedpw import read_3dpw
from toolkit.runtime.pose import MUPOTS17

TWO = people_in_view(standing(), (-600, 0, 4000), (700, 100, 5000))
LATER = people_in_view(standing(), (-500, 0, 4000), (700, 100, 4900))


def same_people(frame, people, names):
    mine = [frame.skeleton.index(name) for name in names]
    theirs = [MUPOTS17.index(name) for name in names]
    first = frame.frames[0]
    assert np.allclose(first.people.joints_mm[:, mine], people.joints_mm[:, theirs], atol=0.01)
    assert np.allclose(first.people.roots_mm, people.roots_mm, atol=0.01)
    assert np.allclose(first.people.joints_px[:, mine], people.joints_px[:, theirs], atol=0.01)
    assert first.focal_px == pytest.approx(FOCAL_PX, rel=1e-4)


def test_mupots_is_read_as_its_owners_ship_it(tmp_path):
    data = read_mupots(write_mupots(tmp_path, {"TS2": [TWO, LATER], "TS10": [TWO]}, universal=0.9))
    assert [frame.file for frame in data.frames] == [
        "TS2/img_000000.jpg",
        "TS2/img_000001.jpg",
        "TS10/img_000000.jpg",
    ]
    same_people(data, TWO, MUPOTS17.names)
    assert np.allclose(data.frames[0].universal_mm, 0.9 * TWO.joints_mm, atol=0.01)
    assert next(iter(data))[1].shape == (400, 640, 3)
    assert len(read_mupots(tmp_path, step=2)) == 2


def test_people_of_mupots_who_are_not_valid_are_left_out(tmp_path):
    write_mupots(tmp_path, {"TS1": [TWO]}, valid=False)
    with pytest.raises(PosecError, match="no labelled people of mupots-3d"):
        read_mupots(tmp_path)


def test_the_test_set_of_3dhp_is_read_as_its_owners_ship_it(tmp_path):
    pytest.importorskip("h5py")
    data = read_mpi_inf_3dhp(write_3dhp(tmp_path, {"TS1": [TWO, LATER, TWO]}, valid=[1, 0, 1]))
    assert [frame.file for frame in data.frames] == [
        f"TS1/imageSequence/img_{number:06d}.jpg" for number in (1, 3)
    ]
    same_people(data, TWO[:1], MUPOTS17.names)


def test_panoptic_is_read_in_the_frame_of_each_camera_with_pictures(tmp_path):
    data = read_panoptic(write_panoptic(tmp_path, [TWO, LATER]))
    assert [frame.file for frame in data.frames] == [
        f"170407_haggling/hdImgs/00_16/00_16_0000000{index}.jpg" for index in (0, 1)
    ]
    same_people(data, TWO, [name for name in data.skeleton.names if name in MUPOTS17.names])
    assert len(next(iter(data))) == 3


def test_uncertain_people_of_panoptic_are_left_out(tmp_path):
    with pytest.raises(PosecError, match="no labelled people of cmu-panoptic"):
        read_panoptic(write_panoptic(tmp_path, [TWO], confidence=0.05))


def test_3dpw_is_read_without_unpickling(tmp_path):
    values = threedpw_values([TWO, LATER], [[1, 1], [1, 0]])
    data = read_3dpw(write_3dpw(tmp_path, values, 2))
    assert [len(frame.people) for frame in data.frames] == [2, 1]
    same_people(data, TWO, [name for name in data.skeleton.names if name in MUPOTS17.names])


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_of_any_protocol_are_those_that_were_pickled(tmp_path, protocol):
    value = {
        "cam_poses": np.arange(12.0).reshape(3, 4),
        "turned": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "list": [np.float32([1, 2]), (1, -7, 2**40, 1.5, None, True), "naïve", b"bytes"],
        "scalar": np.float64(0.25),
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    found = read_pickle(tmp_path / "a.pkl")
    assert np.array_equal(array_of(found["cam_poses"]), value["cam_poses"])
    assert np.array_equal(array_of(found["turned"]), value["turned"])
    assert found["list"][1:] == value["list"][1:]
    assert array_of(found["scalar"]) == 0.25


class Runs:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Runs()),
        pickle.dumps({"cam_poses": Runs()}, protocol=0),
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"cnumpy.testing\nmeasure\n.",
        b"cnumpy\nload\n(S'a'\ntR.",
        b"(S'touch ran'\nios\nsystem\n.",
        b"\x80\x02cnumpy\ndtype\nU\x02V9\x85R.",
        b"\x80\x02}U\x01a" + python2_array(np.ones(3))[:-20] + b"s.",
        python2_array(np.ones(3)).replace(b"J\x03\0\0\0", b"J\xff\xff\xff\x7f") + b".",
        b"\x80\x02" + b"]" * 5,
        b"e.",
        b"",
        b"\x80\x02K\x01a.",
        b"\xff.",
        b"h\x09.",
    ],
    ids=range(15),
)
def test_pickles_that_hold_anything_else_are_refused_and_run_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(PosecError, match="is not a pickle of arrays"):
        read_pickle(tmp_path / "a.pkl")
    assert not (tmp_path / "ran").exists()


def test_a_mat_file_holds_what_was_saved(tmp_path):
    cells = np.empty((2, 2), object)
    cells[:] = [[np.eye(2), "text"], [{"deep": np.arange(3)}, np.zeros((0, 4))]]
    for compressed in (False, True):
        savemat(tmp_path / "a.mat", {"cells": cells, "name": np.float32([[1, 2]])}, do_compression=compressed)
        found = read_mat5(tmp_path / "a.mat")
        assert np.array_equal(found["cells"][0, 0], np.eye(2))
        assert found["cells"][0, 1] == "text"
        assert found["cells"][1, 0]["deep"].tolist() == [[0, 1, 2]]
        assert found["name"].tolist() == [[1, 2]]


def mat_of(content: bytes) -> bytes:
    return b"MATLAB 5.0".ljust(124) + b"\0\x01IM" + content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MATLAB 5.0".ljust(128),
        mat_of(b"\x0e\0\0\0\xff\xff\xff\xff"),
        mat_of(b"\x0f\0\0\0\x08\0\0\0" + b"notzlib!"),
        mat_of(b"\x05\0\0\0\x04\0\0\0abcd\0\0\0\0"),
        mat_of(b"\x0e\0\0\0\x18\0\0\0" + b"\x06\0\0\0\x08\0\0\0\x06\0\0\0\0\0\0\0" + b"\x05\0\0\0\x04\0\0\0"),
    ],
    ids=range(6),
)
def test_damaged_mat_files_are_refused(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(PosecError, match="is not a sound MAT file"):
        read_mat5(tmp_path / "a.mat")


def test_a_mat_file_that_expands_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.evaluation.datasets.mat5.MOST_BYTES", 1 << 20)
    bomb = zlib.compress(bytes(4 << 20), 9)
    (tmp_path / "a.mat").write_bytes(mat_of(b"\x0f\0\0\0" + len(bomb).to_bytes(4, "little") + bomb))
    with pytest.raises(PosecError, match="expands to more than"):
        read_mat5(tmp_path / "a.mat")


def test_every_cut_of_a_mat_file_is_refused_or_holds_the_first_variables(tmp_path):
    file = io.BytesIO()
    savemat(file, {"a": np.eye(3), "b": {"c": np.arange(4)}})
    content = file.getvalue()
    for size in range(0, len(content), 7):
        (tmp_path / "a.mat").write_bytes(content[:size])
        try:
            found = read_mat5(tmp_path / "a.mat")
        except PosecError:
            continue
        assert set(found) < {"a", "b"}


def test_a_mat_file_of_version_7_reads_no_other_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "TS1").mkdir()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["annot2"] = np.zeros((1, 1, 17, 2))
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "w") as file:
        file["annot2"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/annot2")
    with pytest.raises(PosecError, match="'annot2' is no array of this file"):
        read_mpi_inf_3dhp(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(500), b"MATLAB 5.0"]
)
def test_damaged_files_of_version_7_are_refused(tmp_path, content):
    pytest.importorskip("h5py")
    (tmp_path / "TS1").mkdir()
    (tmp_path / "TS1" / "annot_data.mat").write_bytes(content)
    with pytest.raises(PosecError, match=r"is not a sound MAT file of version 7\.3"):
        read_mpi_inf_3dhp(tmp_path)


def test_annotations_of_another_shape_are_refused_by_name(tmp_path):
    (tmp_path / "TS1").mkdir()
    cells = np.empty((1, 1), object)
    cells[0, 0] = {
        "annot2": np.zeros((3, 17)),
        "annot3": absolute_mm(TWO)[0].T,
        "univ_annot3": np.zeros((3, 17)),
        "isValidFrame": 1.0,
    }
    savemat(tmp_path / "TS1" / "annot.mat", {"annotations": cells})
    with pytest.raises(PosecError, match=r"annot2 has shape \(3, 17\), not \(2, 17\)"):
        read_mupots(tmp_path)
