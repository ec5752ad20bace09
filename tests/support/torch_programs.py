"""A small network as a .pt2 file, and edits of such files."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from networks import CHANNELS

from toolkit.frontend.program_file import read_program

torch = pytest.importorskip("torch")
SIZE = (64, 96)
MODEL = "archive/models/model.json"


class Small(torch.nn.Module):
    """Five heads of one layer each, in the order of the specification."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, 8), torch.nn.Hardswish())
        self.heads = torch.nn.ModuleDict(
            {name: torch.nn.Conv2d(8, count, 1) for name, count in CHANNELS.items()}
        )

    def forward(self, images):
        features = self.stem(images)
        return tuple(torch.tanh(head(features)) for head in self.heads.values())


class Opens:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return (exec, ("import marker",))


def read(path):
    return read_program(path, path.read_bytes())


def pickled():
    file = io.BytesIO()
    torch.save(Opens(), file)
    return file.getvalue()


def repack(path, change, prefix=b""):
    """Write a .pt2 file again with some of its entries changed: name → bytes."""
    with zipfile.ZipFile(path) as archive:
        entries = {
            f"archive/{entry.filename.partition('/')[2]}": archive.read(entry.filename)
            for entry in archive.infolist()
        }
    change(entries)
    path.write_bytes(prefix)
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def program(edit):
    """Return a change of the program's JSON."""

    def change(entries):
        plain = json.loads(entries[MODEL])
        edit(plain)
        entries[MODEL] = json.dumps(plain).encode()

    return change


def config(kind, edit):
    """Return a change of the JSON that lists weights or constants."""

    def change(entries):
        name = f"archive/data/{kind}/model_{kind}_config.json"
        plain = json.loads(entries[name])
        edit(plain["config"], entries)
        entries[name] = json.dumps(plain).encode()

    return change


def graph(plain):
    return plain["graph_module"]["graph"]


def signature(plain):
    return next(call for call in plain["graph_module"]["module_call_graph"] if call["fqn"] == "")["signature"]


def hostile_tree(field, value):
    def edit(plain):
        protocol, schema = json.loads(signature(plain)[field])
        schema["children_spec"].append(
            {"type": "builtins.dict", "context": json.dumps(value), "children_spec": []}
        )
        signature(plain)[field] = json.dumps([protocol, schema])

    return program(edit)


def tree_type(kind):
    def edit(plain):
        signature(plain)["in_spec"] = json.dumps([1, {"type": kind, "context": "null", "children_spec": []}])

    return program(edit)


def target(name):
    return program(lambda plain: graph(plain)["nodes"][0].update(target=name))


def argument(value):
    return program(
        lambda plain: graph(plain)["nodes"][0]["inputs"].append({"name": "", "arg": value, "kind": 1})
    )


def renamed(old, new):
    def change(entries):
        entries[MODEL] = entries[MODEL].replace(json.dumps(old).encode(), json.dumps(new).encode())

    return change


def set_size(value):
    def edit(plain):
        next(iter(graph(plain)["tensor_values"].values()))["sizes"][0] = value

    return program(edit)


def pickled_weight(weights, entries):
    first = next(iter(weights.values()))
    first["use_pickle"] = True
    entries[f"archive/data/weights/{first['path_name']}"] = pickled()


def payload(name):
    def edit(constants, entries):
        constants["constant"] = {
            "path_name": name,
            "is_param": False,
            "use_pickle": True,
            "tensor_meta": None,
        }
        entries[f"archive/data/constants/{name}"] = pickled()

    return config("constants", edit)
