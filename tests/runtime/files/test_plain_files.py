"""Files from outside are plain and bounded; results appear whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from toolkit.runtime.files.plain_files import FileError, read_plain, write_plain, write_whole
from toolkit.runtime.files.plain_folders import write_folder


def test_a_plain_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    assert read_plain(tmp_path / "a", most_bytes=5) == b"hello"
    (tmp_path / "link").symlink_to("a")
    assert read_plain(tmp_path / "link", most_bytes=5) == b"hello"


def fifo(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def long(path):
    path.write_bytes(bytes(101))


REFUSED = {
    "missing": (lambda path: None, "no such file"),
    "a folder": (lambda path: path.mkdir(), "a folder"),
    "a pipe": (fifo, "a pipe or a device"),
    "a device": (endless, "a pipe or a device"),
    "too large": (long, "101 bytes, more than the 100 allowed"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_at_once_with_the_advice(make, words, tmp_path):
    make(tmp_path / "file")
    with pytest.raises(FileError, match=f"{words}.*; copy it again"):
        read_plain(tmp_path / "file", most_bytes=100, advice="copy it again")


def test_a_name_with_a_null_character_is_refused():
    with pytest.raises(FileError, match="null character"):
        read_plain("a\0b", most_bytes=1)


def test_writing_replaces_whole_and_keeps_the_mode(tmp_path):
    path = tmp_path / "new" / "result.json"
    write_plain(path, "old")
    path.chmod(0o640)
    write_plain(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == ["result.json"]


def test_a_new_file_can_be_read_by_others(tmp_path):
    previous = os.umask(0o022)
    try:
        write_plain(tmp_path / "result", b"")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == 0o644


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    def interrupted():
        with write_whole(tmp_path / "result") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    write_plain(tmp_path / "result", "old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "result").read_text() == "old"
    assert os.listdir(tmp_path) == ["result"]


def test_the_error_of_a_full_disk_names_the_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_plain(tmp_path / "large", b"a" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "large")
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link(tmp_path):
    write_plain(tmp_path / "far" / "result", "old")
    (tmp_path / "latest").symlink_to("far/result")
    write_plain(tmp_path / "latest", "new")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "far" / "result").read_text() == "new"


def test_a_device_is_written_to_and_stays_a_device(tmp_path):
    write_plain("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_plain(tmp_path / "pipe", "through")
    reader.join(10)
    assert found == ["through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_part_of_a_writer_that_was_killed_is_removed_and_that_of_a_living_one_stays(tmp_path):
    code = (
        "import sys, time\nfrom toolkit.runtime.files.plain_files import write_whole\n"
        "with write_whole(sys.argv[1]) as file:\n    file.write(b'half'); file.flush(); time.sleep(60)"
    )
    dead, living = (
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "result")]) for _ in range(2)
    )
    try:
        wait_for(lambda: len(os.listdir(tmp_path)) == 2)
        wait_for(lambda: all((tmp_path / name).stat().st_size for name in os.listdir(tmp_path)))
        dead.kill()
        dead.wait()
        for name in os.listdir(tmp_path):
            os.utime(tmp_path / name, (time.time() - 3600,) * 2)
        write_plain(tmp_path / "result", "whole")
        assert len(os.listdir(tmp_path)) == 2
    finally:
        living.kill()
        living.wait()


def test_a_folder_is_replaced_whole_and_only_what_is_recognized(tmp_path):
    folder = tmp_path / "out"
    write_folder(folder, {"mark": b"1", "deep/file": b"2"})
    with pytest.raises(FileExistsError):
        write_folder(folder, {"mark": b"3"})
    write_folder(folder, {"mark": b"3"}, replaces="mark")
    assert [path.name for path in folder.iterdir()] == ["mark"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo").write_bytes(b"dear")
    with pytest.raises(FileExistsError):
        write_folder(tmp_path / "mine", {"mark": b"3"}, replaces="mark")
    assert sorted(os.listdir(tmp_path)) == ["mine", "out"]


def _replace(folder, number, count):
    for turn in range(count):
        write_folder(
            folder,
            {"mark": b"", "a": f"{number} {turn}".encode(), "b": f"{number} {turn}".encode()},
            replaces="mark",
        )


def test_folders_written_over_each_other_leave_one_whole_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_replace, args=(tmp_path / "out", number, 40)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out/a").read_bytes() == (tmp_path / "out/b").read_bytes()


def test_what_a_killed_writer_of_a_folder_left_is_removed_by_the_next(tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom toolkit.runtime.files import plain_folders\n"
        f"plain_folders._exchange = lambda *_: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "plain_folders.write_folder(Path(sys.argv[1]), {'mark': b''})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")])
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    write_folder(tmp_path / "out", {"mark": b""}, replaces="mark")
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_whose_replacement_was_killed_halfway_comes_back(tmp_path):
    write_folder(tmp_path / "out", {"mark": b"old"})
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom toolkit.runtime.files import plain_folders\n"
        "rename, left = os.rename, [1]\n"
        "def fatal(*names):\n    rename(*names) if left.pop() else None\n    os.kill(os.getpid(), "
        f"{int(signal.SIGKILL)})\n"
        "os.rename = fatal\nplain_folders.write_folder(Path(sys.argv[1]), {'mark': b'new'}, replaces='mark')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")]).returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    with pytest.raises(FileExistsError):
        write_folder(tmp_path / "out", {"mark": b"new"})
    assert (tmp_path / "out" / "mark").read_bytes() == b"old"
    write_folder(tmp_path / "out", {"mark": b"new"}, replaces="mark")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("name", ["ä" * 120 + ".json", "人" * 84, "x" * 255])
def test_a_name_of_the_most_bytes_that_a_system_takes_can_be_written(name, tmp_path):
    write_plain(tmp_path / name, "first")
    write_plain(tmp_path / name, "second", durable=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["second"]
