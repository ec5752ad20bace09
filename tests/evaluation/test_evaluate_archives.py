"""`posec evaluate` on pictures in tar files and folders, with links, damage and hostile members."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from evaluate_command import coco_of, evaluated, refused

from toolkit.cli import main


def archive(path: Path, pictures: Path, mode: str = "w", prefix: str = "") -> Path:
    with tarfile.open(path, mode) as tar:
        for picture in sorted(pictures.iterdir()):
            tar.add(picture, prefix + picture.name)
    return path


@pytest.mark.parametrize(
    ("mode", "prefix"), [("w", ""), ("w", "./"), ("w:gz", ""), ("w:bz2", "./"), ("w:xz", "")]
)
def test_pictures_are_read_from_the_tar_files_of_gnu_tar(
    tiny_checkpoint, found, pictures, tmp_path, capsys, mode, prefix
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    row = evaluated(
        capsys,
        tiny_checkpoint,
        "--photos",
        tmp_path / "people.json",
        archive(tmp_path / "pictures.tar", pictures, mode, prefix),
    )
    assert row["oks75"] == 1.0


def linked(path: Path, pictures: Path, *links: tuple[bytes, str, str]) -> Path:
    """A tar file of pictures 1 to 4, and links."""
    archive(path, pictures)
    with tarfile.open(path) as tar:
        kept = [(member, tar.extractfile(member).read()) for member in tar if member.name != "0.png"]
        zero = tar.extractfile("0.png").read()
    with tarfile.open(path, "w") as tar:
        for member, content in kept:
            tar.addfile(member, io.BytesIO(content))
        store = tarfile.TarInfo("store/zero.png")
        store.size = len(zero)
        tar.addfile(store, io.BytesIO(zero))
        for kind, name, target in links:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
    return path


@pytest.mark.parametrize(
    "links",
    [
        [(tarfile.SYMTYPE, "0.png", "store/zero.png")],
        [(tarfile.LNKTYPE, "0.png", "store/zero.png")],
        [(tarfile.SYMTYPE, "0.png", "store/link.png"), (tarfile.SYMTYPE, "store/link.png", "zero.png")],
    ],
)
def test_links_to_members_are_followed(tiny_checkpoint, found, pictures, tmp_path, capsys, links):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    path = linked(tmp_path / "pictures.tar", pictures, *links)
    assert evaluated(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", path)["oks75"] == 1.0


@pytest.mark.parametrize(
    "links",
    [
        [],
        [(tarfile.SYMTYPE, "0.png", "0.png")],
        [(tarfile.SYMTYPE, "0.png", "a"), (tarfile.SYMTYPE, "a", "0.png")],
        [(tarfile.LNKTYPE, "0.png", "0.png")],
        [(tarfile.SYMTYPE, "0.png", "/etc/hostname")],
        [(tarfile.SYMTYPE, "0.png", "../../etc/hostname")],
        [(tarfile.DIRTYPE, "0.png", "")],
        [(tarfile.FIFOTYPE, "0.png", "")],
        [(tarfile.CHRTYPE, "0.png", "")],
    ],
)
def test_members_that_lead_to_no_picture_are_refused_with_the_reason(
    tiny_checkpoint, found, pictures, tmp_path, capsys, links
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    path = linked(tmp_path / "pictures.tar", pictures, *links)
    assert "'0.png' in" in refused(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", path)


def test_damaged_tar_files_are_refused_with_the_reason(tiny_checkpoint, found, pictures, tmp_path, capsys):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    random, statuses = np.random.default_rng(0), []
    for number, mode in enumerate(("w", "w:gz", "w:bz2", "w:xz") * 10):
        path = archive(tmp_path / f"{number}.tar", pictures, mode)
        content = bytearray(path.read_bytes())
        at = int(random.integers(0, len(content)))
        content[at : at + 8] = random.bytes(8)
        path.write_bytes(bytes(content[: int(random.integers(1, len(content))) if number % 3 == 0 else None]))
        statuses.append(
            main(
                [
                    "evaluate",
                    str(tiny_checkpoint),
                    "--photos",
                    str(tmp_path / "people.json"),
                    str(path),
                    "--threads",
                    "1",
                ]
            )
        )
        assert capsys.readouterr().err.count("posec evaluate: ") == (statuses[-1] == 2)
    assert statuses.count(2) > 20
    assert set(statuses) <= {0, 2}


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_member_that_claims_gigabytes_is_refused_without_reading_it(
    tiny_checkpoint, found, pictures, tmp_path, capsys, kind
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    member = tarfile.TarInfo("0.png")
    member.size, member.type = 7 << 30, kind
    (tmp_path / "pictures.tar").write_bytes(member.tobuf() + bytes(1024))
    assert refused(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", tmp_path / "pictures.tar")


def test_pictures_of_a_folder_may_be_links_and_pipes_do_not_hang(
    tiny_checkpoint, found, pictures, tmp_path, capsys
):
    (tmp_path / "people.json").write_text(json.dumps(coco_of(found)))
    (tmp_path / "linked").mkdir()
    for picture in pictures.iterdir():
        (tmp_path / "linked" / picture.name).symlink_to(picture)
    assert (
        evaluated(capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", tmp_path / "linked")["oks75"]
        == 1.0
    )
    (tmp_path / "linked" / "0.png").unlink()
    os.mkfifo(tmp_path / "linked" / "0.png")
    assert "no picture '0.png'" in refused(
        capsys, tiny_checkpoint, "--photos", tmp_path / "people.json", tmp_path / "linked"
    )
