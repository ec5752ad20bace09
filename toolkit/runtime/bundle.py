"""Bundle: a folder with a compiled network and everything needed to run and to check it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

from .decoding.kinematics import Layers, layers
from .files.arrays import read_arrays
from .files.bundle_fields import FIELDS, FORMAT, check_form
from .files.bundle_files import (
    DESCRIPTION,
    LARGEST_FILE,
    BundleError,
    check_field,
    check_files,
    check_name,
    parse_description,
    read_description,
    sha256_of,
    write_files,
)
from .files.image_header import picture_size
from .files.pictures import read_picture
from .files.plain_files import read_plain
from .files.plain_json import read_json
from .files.signature import check_signature
from .frame import FrameInput
from .pose import PoseFrame, PoseSpec
from .skeleton import LARGEST_NUMBER

DECODER = "pose.npz"
TEMPORAL = "temporal.npz"  # optional: weights of the temporal stage
GOLDEN = "golden/people.json"
LARGEST_DECODER = 64 * 2**20
LARGEST_PEOPLE = 8 * 2**20
MOST_PICTURES = 64
MOST_PIXELS = 256 * 10**6  # of all golden pictures together
PRECISIONS = ("float32", "float16", "bfloat16", "int8")
_NAMES = ("target", "backend", "engine", "precision")  # fields that results and engines are named by


@dataclass(frozen=True)
class Bundle:
    """The contents of bundle.json.

    Attributes:
        folder: of the bundle.
        posec: version that built it.
        name: of the network.
        target, backend, precision: the board, the back end that built the model, and the arithmetic.
        engine: module of `engines` that runs it.
        model: the file that the engine opens, relative to the folder.
        frame: format of the model's input.
        spec: meaning of its outputs.
        scheme: how it was quantized, or None.
        float_baseline: the float model that its drift is measured against.
        ranges_sha256: of the calibration, or None.
        graph_sha256: of the float graph.
        passes: (name, places rewritten), in the order they ran.
        tools: versions of the libraries that built it.
        licence: of the weights.
        allowed: `drift_mm`, `people_lost`, `people_invented` against the float network.
        options: for the engine, such as `threads`.
        float_layers: layers left in float by quantization.
        files: relative path → sha256 of its bytes.
    """

    folder: Path
    posec: str
    name: str
    target: str
    backend: str
    engine: str
    precision: str
    model: str
    frame: FrameInput
    spec: PoseSpec
    scheme: Optional[str]
    float_baseline: str
    ranges_sha256: Optional[str]
    graph_sha256: str
    passes: Tuple[Tuple[str, int], ...]
    tools: Mapping[str, str]
    licence: str
    allowed: Mapping[str, float]
    options: Mapping[str, Any]
    float_layers: Tuple[str, ...]
    files: Mapping[str, str]

    @property
    def model_path(self) -> Path:
        """The file that the engine opens."""
        return self.folder / self.model

    def decoder(self) -> Layers:
        """Return the layers from embeddings to bone directions.

        Raises BundleError if they do not fit the spec or are not finite.
        """
        try:
            decoder = layers(read_arrays(self.folder / DECODER, LARGEST_DECODER))
        except ValueError as error:
            raise BundleError(f"bundle '{self.folder}': {error}") from error
        sizes = (decoder[0][0].shape[1], decoder[-1][0].shape[0])
        wanted = (self.spec.embedding_size, 3 * len(self.spec.skeleton.bones))
        if sizes != wanted:
            raise BundleError(
                f"bundle '{self.folder}': {DECODER} takes and gives {sizes} numbers, "
                f"its spec needs {wanted}; export again"
            )
        return decoder

    def golden(self) -> List[Tuple[np.ndarray, PoseFrame]]:
        """Return the golden pictures (H, W, 3) BGR uint8, each with the people of the float network.

        A bundle may have none. Raises BundleError if they cannot be read.
        """
        if GOLDEN not in self.files:
            return []
        names = sorted(name for name in self.files if name.startswith("golden/") and name.endswith(".png"))
        try:
            people = read_json(self.folder / GOLDEN, most_bytes=LARGEST_PEOPLE)
            if not isinstance(people, list) or not len(people) == len(names) <= MOST_PICTURES:
                raise ValueError(
                    f"it needs one entry for each of {len(names)} pictures, at most {MOST_PICTURES}"
                )
            frames = [PoseFrame.from_dict(plain, len(self.spec.skeleton.names)) for plain in people]
            if sum(self._pixels(name) for name in names) > MOST_PIXELS:
                raise ValueError(f"the pictures have more than {MOST_PIXELS // 10**6} million pixels")
            pictures = [read_picture(self.folder / name) for name in names]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(
                f"bundle '{self.folder}': {GOLDEN} does not hold people: {error}; export again"
            ) from error
        return list(zip(pictures, frames))

    def _pixels(self, name: str) -> int:
        size = picture_size(read_plain(self.folder / name, most_bytes=LARGEST_FILE))
        return size[0] * size[1] if size else 0


def read_bundle(folder: Union[str, Path], key: Union[str, Path, None] = None) -> Bundle:
    """Return the bundle in a folder, after checking its format, every field, and the hash of every file.

    Args:
        folder: of the bundle.
        key: PEM file of the public key that must verify the bundle's signature; None needs no signature.

    Raises SignatureError if it is not signed by that key.
    Raises BundleError if anything is missing, changed, of a newer format, too large, no plain file, or
    outside the folder.
    """
    folder = Path(folder)
    content = read_description(folder)
    if key is not None:
        check_signature(folder, content, key)
    bundle = _parse(parse_description(content, folder), folder)
    check_files(folder, bundle.files)
    return bundle


def write_bundle(
    folder: Union[str, Path], info: Mapping[str, Any], files: Mapping[str, bytes], *, overwrite: bool = False
) -> Bundle:
    """Write a bundle atomically and return it as `read_bundle` would.

    Args:
        folder: of the bundle; its parents are made.
        info: the fields of bundle.json except `format` and `files`, as JSON values.
        files: relative path → bytes: the model, pose.npz, golden/…, temporal.npz
        overwrite: replace an existing bundle; no other folder is ever replaced.

    Raises BundleError if a field or path is wrong, the folder is taken, or it cannot be written.
    """
    folder = Path(folder).absolute()
    plain = {
        "format": FORMAT,
        **info,
        "files": {name: sha256_of(content) for name, content in sorted(files.items())},
    }
    bundle = _parse(plain, folder)
    write_files(
        folder, {**files, DESCRIPTION: json.dumps(plain, indent=1, allow_nan=False).encode()}, overwrite
    )
    return bundle


def _limit(value: Any) -> float:
    limit = float(value)
    if not 0 <= limit < LARGEST_NUMBER:
        raise ValueError(f"a limit must be a finite number from 0 on, got {value!r:.40}")
    return limit


def _parse(plain: Dict[str, Any], folder: Path) -> Bundle:
    """Return the Bundle that a parsed bundle.json describes. Raises BundleError naming the field."""
    check_form(plain, folder)
    values = {name: plain[name] for name in FIELDS}
    try:
        values["spec"] = PoseSpec.from_dict(plain["spec"])
        values["frame"] = FrameInput(**plain["frame"])
        values["passes"] = tuple((str(name), int(count)) for name, count in plain["passes"])
        values["float_layers"] = tuple(str(name) for name in plain["float_layers"])
        values["allowed"] = {str(name): _limit(limit) for name, limit in plain["allowed"].items()}
        values["tools"] = {str(name): str(version) for name, version in plain["tools"].items()}
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BundleError(f"bundle '{folder}': {error}; export again") from error
    for name in _NAMES:
        check_field(values[name], name, folder=folder)
    if values["precision"] not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise BundleError(
            f"bundle '{folder}': precision '{values['precision']}'; known: {known}; update posec here"
        )
    for name, digest in plain["files"].items():
        check_name(name, digest)
    for name in (plain["model"], DECODER):
        if name not in plain["files"]:
            raise BundleError(f"bundle '{folder}': '{name}' is not among its files; export again")
    return Bundle(folder=folder, **values)
