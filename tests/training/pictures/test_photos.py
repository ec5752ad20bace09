from __future__ import annotations

from pathlib import Path

import pytest
from labelled_people import people_in_a_portrait
from photo_material import Material, encoded, marked, write_labels, write_tar

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.training.pictures.photos import load_photos

pytestmark = pytest.mark.torch


def test_held_out_uncounted_and_evaluation_photos_are_excluded(material: Material) -> None:
    data, labels, bodies = material
    photos = load_photos(data, labels, "ship", bodies=bodies)
    # Four scenes: with a person, empty, uncounted, for evaluation. Two masks, one of them empty.
    # Portrait 10 is held out.
    assert photos.counts() == {"portraits": 3, "cutouts": 1, "bodies": 1, "scenes": 1, "empty": 2}
    with pytest.raises(PosecError, match="no tier 'all'; known: ship, research"):
        load_photos(data, labels, "all")


def test_a_folder_of_further_photographs_is_added(
    tmp_path: Path, material: Material, embedding: tuple[Path, PoseEmbedding]
) -> None:
    data, labels, _ = material
    person = people_in_a_portrait(embedding[1], 1, 5)
    write_tar(
        tmp_path / "photos.tar",
        {f"{name}.jpg": encoded(marked(person), ".jpg") for name in ("street", "wall", "unused")},
    )
    write_labels(tmp_path / "labels.npz", {"street.jpg": person, "unused.jpg": person})
    table = tmp_path / "photos.csv"
    table.write_text("file,kind,licence\nstreet.jpg,scene,CC0\nwall.jpg,empty,CC0\n")
    before, after = load_photos(data, labels).counts(), load_photos(data, labels, more=[tmp_path]).counts()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "scenes": 1,
        "empty": 1,
    }
    for row, words in (
        ("gone.jpg,scene", "'gone.jpg', which is not in photos.tar"),
        ("wall.jpg,scene", "'wall.jpg' is a 'scene'; needed"),
        ("wall.jpg,portrait", "'wall.jpg' is a 'portrait'; needed"),
    ):
        table.write_text(f"file,kind\n{row}\n")
        with pytest.raises(PosecError, match=words):
            load_photos(data, labels, more=[tmp_path])
    for unusable in (b"file\nstreet.jpg\n", b"file,kind\nstreet.jpg,sc\xe8ne\n"):
        table.write_bytes(unusable)
        with pytest.raises(PosecError, match="UTF-8, with the columns file and kind"):
            load_photos(data, labels, more=[tmp_path])
