"""Bundles are written whole or not at all, and replaced only on request."""

import os
import resource
import subprocess
import sys

import pytest
from recorded_heads import bundle_info, recorded_heads, replay_bundle

from toolkit.runtime.bundle import BundleError, read_bundle, write_bundle


def test_an_existing_folder_is_kept(folder, tmp_path):
    with pytest.raises(BundleError, match="is there already; overwrite it"):
        replay_bundle(folder, recorded_heads([]))
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"dear")
    for overwrite in (False, True):
        with pytest.raises(BundleError, match="is not a bundle; give another name"):
            write_bundle(
                tmp_path / "holiday", bundle_info(), {"heads.npz": b"", "pose.npz": b""}, overwrite=overwrite
            )
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"dear"


def test_overwriting_replaces_the_whole_bundle(folder, tmp_path):
    (folder / "stale.plan").write_bytes(b"old")
    write_bundle(folder, bundle_info(name="new"), {"heads.npz": b"1", "pose.npz": b"2"}, overwrite=True)
    assert read_bundle(folder).name == "new"
    assert sorted(os.listdir(folder)) == ["bundle.json", "heads.npz", "pose.npz"]
    assert os.listdir(tmp_path) == ["tiny"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "new").mkdir()
    write_bundle(tmp_path / "new", bundle_info(), {"heads.npz": b"1", "pose.npz": b"2"})
    assert read_bundle(tmp_path / "new").name == "tiny"


def test_a_wrong_field_writes_nothing(tmp_path):
    with pytest.raises(BundleError, match="missing fields"):
        write_bundle(tmp_path / "b", {"name": "tiny"}, {"heads.npz": b""})
    assert os.listdir(tmp_path) == []


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path):
    code = (
        "import resource, signal, sys; sys.path[:0] = sys.argv[2:]; signal.signal(signal.SIGXFSZ, "
        "signal.SIG_IGN)\n"
        "from recorded_heads import bundle_info\nfrom toolkit.runtime.bundle import write_bundle, "
        "BundleError\n"
        "files = {'heads.npz': b'1' * 1000, 'pose.npz': b'2' * 100_000}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n    write_bundle(sys.argv[1], bundle_info(), files)\nexcept BundleError as error:\n    "
        "print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b"), *filter(None, sys.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot write bundle" in done.stdout
    assert "nothing was written" in done.stdout
    assert os.listdir(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def test_an_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match="cannot write bundle"):
        write_bundle(tmp_path / "file" / "b", bundle_info(), {"heads.npz": b"", "pose.npz": b""})
