"""Read a .pt2 file without torch, and rebuild it from the parts that `program_grammar` lists.

torch.export.load unpickles, imports and evaluates names in a file. It therefore reads only the file that is
rebuilt here, in a process without rights (`program_child`). Compiled
code, pickles, sample inputs and everything else in the archive are left out or refused.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PosecError
from .program_grammar import PAYLOADS, PROGRAM
from .program_rules import GrammarError, Rule

LARGEST_BYTES = 512 * 2**20
LARGEST_JSON_BYTES = 32 * 2**20
MOST_FILES = 20_000
MOST_NODES = 20_000
_ENTRY_MARK = b"PK\x01\x02"  # begins each entry of a zip file's directory
# Exceptions of zipfile, zlib and json on damaged bytes.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    OSError,
    RecursionError,
    ValueError,
)
_ADVICE = "save the program again with torch.export.save of torch 2.8 or later"


class Program(NamedTuple):
    """A program rebuilt.

    Attributes:
        content: bytes of a .pt2 file.
        keys: of the dictionary of tensors that the network returns; None where it returns a tensor, a tuple
            or a list.
        outputs: number of tensors that it returns.
    """

    content: bytes
    keys: tuple[str, ...] | None
    outputs: int


def read_program(path: Path, content: bytes) -> Program:
    """Return the program in the bytes of a .pt2 file; `path` names it in errors.

    Raises PosecError where it is more than a static network of ATen operators.
    """
    if content.count(_ENTRY_MARK) > MOST_FILES:
        raise PosecError(f"'{path}' holds more than {MOST_FILES} files; {_ADVICE}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _rebuilt(_entries(path, archive))
    except GrammarError as error:
        raise PosecError(f"'{path}': {error}") from error
    except _DAMAGED as error:
        if isinstance(error, PosecError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PosecError(f"'{path}' is no file of torch.export.save: {reason:.200}; {_ADVICE}") from error


def _entries(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the archive's program, its lists of tensors and their data, by name without the root folder."""
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > LARGEST_BYTES:
        raise PosecError(f"'{path}' unpacks to more than {LARGEST_BYTES >> 20} MB")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise PosecError(f"'{path}' is packed by a method that torch does not write; {_ADVICE}")
    names = [entry.filename for entry in entries]
    if len({name.split("/", 1)[0] for name in names}) != 1 or len(set(names)) < len(names):
        raise PosecError(f"'{path}' must hold one folder and every file once; {_ADVICE}")
    inner = {name.partition("/")[2]: entry for name, entry in zip(names, entries, strict=True)}
    programs = [name for name in inner if name.startswith("models/")]
    if len(programs) != 1 or not programs[0].endswith(".json"):
        raise PosecError(f"'{path}' holds {len(programs)} programs, posec reads one; {_ADVICE}")
    if any(name.startswith("data/aotinductor/") for name in inner):
        raise PosecError(f"'{path}' holds compiled code; {_ADVICE}")
    model = programs[0][len("models/") : -len(".json")]
    wanted = {
        "models/model.json": programs[0],
        "weights.json": f"data/weights/{model}_weights_config.json",
        "constants.json": f"data/constants/{model}_constants_config.json",
    }
    if any(inner[name].file_size > LARGEST_JSON_BYTES for name in wanted.values()):
        raise PosecError(f"'{path}' describes its network in more than {LARGEST_JSON_BYTES >> 20} MB")
    payloads = [
        name
        for name in inner
        if name.startswith(("data/weights/", "data/constants/")) and not name.endswith(".json")
    ]
    return {
        **{name: archive.read(inner[source]) for name, source in wanted.items()},
        **{name: archive.read(inner[name]) for name in payloads},
    }


def _rebuilt(entries: dict[str, bytes]) -> Program:
    program = _checked(entries, "models/model.json", PROGRAM)
    graph, calls = program["graph_module"]["graph"], program["graph_module"]["module_call_graph"]
    if len(graph["nodes"]) > MOST_NODES:
        raise GrammarError(f"{len(graph['nodes'])} nodes, posec reads up to {MOST_NODES}")
    files = {
        "archive_format": b"pt2",
        "archive_version": b"0",
        "byteorder": b"little",
        ".data/version": b"6\n",
    }
    files |= {"models/model.json": json.dumps(program).encode(), "data/sample_inputs/model.pt": b""}
    for kind in ("weights", "constants"):
        payloads = _checked(entries, f"{kind}.json", PAYLOADS)
        files[f"data/{kind}/model_{kind}_config.json"] = json.dumps(payloads).encode()
        for payload in payloads["config"].values():
            name = f"data/{kind}/{payload['path_name']}"
            files[name] = entries[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(f"archive/{name}", content)
    returned = json.loads(calls[0]["signature"]["out_spec"])[1]
    keys = (
        tuple(json.loads(returned["context"]))
        if returned["type"] in ("builtins.dict", "collections.OrderedDict")
        else None
    )
    return Program(file.getvalue(), keys, len(program["graph_module"]["signature"]["output_specs"]))


def _checked(entries: dict[str, bytes], name: str, rule: Rule) -> Any:
    return rule(json.loads(entries[name].decode()))
