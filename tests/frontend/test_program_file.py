"""What a .pt2 file may hold: a static network of listed operators and plain weights.

The rest never reaches torch.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from networks import CHANNELS, tiny_decoder, tiny_spec, toml
from safetensors.numpy import save_file

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.frontend.program_file import read_program
from toolkit.frontend.trace import trace

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
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


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program") / "checkpoint"
    folder.mkdir()
    save_file(tiny_decoder(), folder / "pose.safetensors")
    (folder / "spec.toml").write_text(toml({**tiny_spec().to_dict(), "checkpoint": {"network": "model.pt2"}}))
    torch.export.save(torch.export.export(Small().eval(), (torch.zeros(1, 3, *SIZE),)), folder / "model.pt2")
    return folder


@pytest.fixture
def folder(checkpoint, tmp_path, monkeypatch):
    """A checkpoint to spoil in the working folder, with a module `marker` that leaves a file when imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "marker.py").write_text(
        f"import pathlib; pathlib.Path({str(tmp_path / 'CODE_WAS_RUN')!r}).touch()"
    )
    return shutil.copytree(checkpoint, tmp_path / "checkpoint")


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


ENUM = {"__enum__": True, "fqn": "marker:name", "name": "key"}
EXPRESSION = {"as_expr": {"expr_str": "__import__('marker')", "hint": None}}
EVIL = "x=__import__('marker')"
REFUSED = {
    "a tree of inputs that names an enum": (hostile_tree("in_spec", ENUM), "no plain|no tuple|list"),
    "a tree of outputs that names an enum": (hostile_tree("out_spec", ENUM), "no plain|no tuple|list"),
    "a key of a tree that names an enum": (hostile_tree("in_spec", [ENUM]), "no plain name"),
    "a tree of a type to import": (tree_type("marker.Type"), "no tuple, list or dictionary"),
    "a tree of a registered type": (tree_type("torch.Size"), "no tuple, list or dictionary"),
    "a tree that is no JSON": (program(lambda plain: signature(plain).update(in_spec="[")), "model.pt2"),
    "an operator of another module": (target("os.system"), "os.system"),
    "an operator below an allowed one": (target("_operator.getitem.__self__.attrgetter"), "attrgetter"),
    "an operator that only begins as one": (target("_operator.methodcaller"), "methodcaller"),
    "an attribute of the namespace": (target("torch.ops.aten.name.upper"), "torch.ops.aten.name.upper"),
    "an attribute of an operator": (target("torch.ops.aten.conv2d.default.__class__"), "__class__"),
    "an operator that maps a file": (target("torch.ops.aten.from_file.default"), "from_file"),
    "a library of operators": (target("torch.ops.load_library.default"), "load_library"),
    "a function of torch": (target("torch.hub.load"), "torch.hub.load"),
    "a function of math": (target("math.sin"), "math.sin"),
    "an extension": (target("#marker:name"), "#marker"),
    "an operator in capitals of another alphabet": (target("torch.ops.aten.cоnv2d.default"), "calls"),
    "an operator as an argument": (argument({"as_operator": "os.system"}), "as_operator"),
    "an object of its own": (argument({"as_custom_obj": {"name": "a", "class_fqn": "marker"}}), "as_custom_obj"),
    "a graph within": (argument({"as_graph": {"name": "a", "graph": {}}}), "as_graph"),
    "a table of arguments": (argument({"as_string_to_argument": {"a": {"as_int": 1}}}), "as_string_to_argument"),
    "a symbol": (argument({"as_sym_int": {"as_name": EVIL}}), "static"),
    "an expression as a size": (set_size(EXPRESSION), "as_expr.*static"),
    "an expression as a value": (program(lambda plain: graph(plain)["sym_int_values"].update(s0=EXPRESSION)), "not fixed"),
    "a range of a symbol": (program(lambda plain: plain["range_constraints"].update(s0={"min_val": 1, "max_val": 2})), "not fixed"),
    "an object's class": (program(lambda plain: graph(plain)["custom_obj_values"].update(a={"name": "a", "class_fqn": "b"})), "allowed"),
    "source as the name of a tensor": (renamed("images", EVIL), "no plain name"),
    "a keyword as the name of a tensor": (renamed("images", "lambda"), "no plain name"),
    "source as the name of an argument": (program(lambda plain: signature(plain).update(forward_arg_names=[EVIL])), "no plain name"),
    "source as the name of a weight": (renamed("stem.0.weight", f"stem.{EVIL}"), "no plain name"),
    "an attribute of classes as a weight": (renamed("stem.0.weight", "stem.__class__"), "no plain name"),
    "source in a text": (argument({"as_string": "'); import marker; ('"}), "no plain name"),
    "a number of 400 digits": (argument({"as_int": 10**400}), "64 bits"),
    "a huge tensor": (set_size({"as_int": 2**62}), "too large"),
    "a tensor of many dimensions": (program(lambda plain: next(iter(graph(plain)["tensor_values"].values())).update(sizes=[{"as_int": 1}] * 99)), "large"),
    "another dialect": (program(lambda plain: plain.update(verifiers=["marker"])), "no dialect"),
    "a pickled weight": (config("weights", pickled_weight), "pickled"),
    "a weight with a path": (config("weights", lambda weights, _: next(iter(weights.values())).update(path_name="../../a")), "no plain name"),
    "a pickled constant": (payload("tensor_0"), "pickled"),
    "a script object": (payload("custom_obj_0"), "no plain name"),
    "an opaque object": (payload("opaque_obj_0"), "no plain name"),
    "compiled code": (lambda entries: entries.update({"archive/data/aotinductor/model/a.so": b"\x7fELF"}), "compiled code"),
    "two programs": (lambda entries: entries.update({"archive/models/other.json": b"{}"}), "2 programs"),
    "two roots": (lambda entries: entries.update({"other/data/weights/weight_0": b""}), "one folder"),
    "no program": (lambda entries: entries.pop(MODEL), "0 programs"),
    "no list of weights": (lambda entries: entries.pop("archive/data/weights/model_weights_config.json"), "torch.export.save"),
    "a missing weight": (lambda entries: entries.pop("archive/data/weights/weight_0"), "torch.export.save"),
    "a program nested deep": (lambda entries: entries.update({MODEL: b"[" * 100_000}), "torch.export.save"),
    "a program that is a list": (lambda entries: entries.update({MODEL: b"[]"}), "expected a table"),
    "a program in Latin-1": (lambda entries: entries.update({MODEL: b'{"a": "\xe9"}'}), "torch.export.save"),
    "an empty program": (lambda entries: entries.update({MODEL: b"{}"}), "expected a table"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_a_program_that_names_anything_but_its_own_network_is_refused_in_a_sentence(
    change, words, folder, tmp_path
):
    repack(folder / "model.pt2", change)
    with pytest.raises(PosecError, match=words) as refusal:
        trace(folder)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 600
    assert not (tmp_path / "CODE_WAS_RUN").exists()


def metadata(**values):
    def edit(plain):
        for node in graph(plain)["nodes"]:
            node["metadata"] = {
                name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()
            }

    return program(edit)


LEFT_OUT = {
    "guards": program(lambda plain: plain.update(guards_code=["__import__('marker')"])),
    "a pickled sample input": lambda entries: entries.update(
        {"archive/data/sample_inputs/model.pt": pickled()}
    ),
    "names in metadata": metadata(
        source_fn_stack="a,torch.nn.marker", nn_module_stack="a,b,marker", torch_fn="marker;a"
    ),
    "objects in metadata": metadata(custom={"marker": 1}, from_node=[{"name": "marker", "target": "marker"}]),
    "metadata of the whole": program(
        lambda plain: plain["graph_module"].update(metadata={"custom": '{"marker": 1}'})
    ),
    "named tuples": program(
        lambda plain: plain["graph_module"].update(
            treespec_namedtuple_fields={"marker.T": {"field_names": ["a"]}}
        )
    ),
    "how parts were called": program(
        lambda plain: plain["graph_module"]["module_call_graph"].append(
            {"fqn": "marker", "signature": {"in_spec": json.dumps(ENUM)}}
        )
    ),
    "other files": lambda entries: entries.update(
        {"archive/extra/marker": b"marker", "archive/data/weights/model.pt": pickled()}
    ),
    "a device": program(
        lambda plain: [
            value.update(device={"type": "marker", "index": 0})
            for value in graph(plain)["tensor_values"].values()
        ]
    ),
}


@pytest.mark.parametrize("change", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_a_network_does_not_need_never_reaches_torch(change, folder):
    plain = read(folder / "model.pt2").content
    repack(folder / "model.pt2", change)
    assert read(folder / "model.pt2").content == plain


def test_a_program_with_all_of_that_is_traced_by_the_command_and_runs_nothing(folder, tmp_path):
    for change in LEFT_OUT.values():
        repack(folder / "model.pt2", change)
    assert main(["plan", str(folder), "--target", "generic-cpu"]) == 0
    assert not (tmp_path / "CODE_WAS_RUN").exists()


def test_the_pickle_of_these_tests_would_have_run(folder, tmp_path):
    torch.load(io.BytesIO(pickled()), weights_only=False)
    assert (tmp_path / "CODE_WAS_RUN").exists()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
def test_a_file_that_is_a_program_and_a_shared_library_at_once_is_refused_by_the_command(
    folder, tmp_path, capsys
):
    ran = tmp_path / "LIBRARY_WAS_OPENED"
    (tmp_path / "x.c").write_text(
        f'#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ fclose(fopen("{ran}", "w")); }}\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-s", "-o", tmp_path / "x.so", tmp_path / "x.c"], check=True)
    enum = {"__enum__": True, "fqn": "ctypes:cdll", "name": "checkpoint/model.pt2"}

    def edit(plain):
        protocol, schema = json.loads(signature(plain)["in_spec"])
        schema["children_spec"][1]["context"] = json.dumps(enum)
        signature(plain)["in_spec"] = json.dumps([protocol, schema])

    repack(folder / "model.pt2", program(edit), prefix=(tmp_path / "x.so").read_bytes())
    assert main(["plan", "checkpoint", "--target", "generic-cpu"]) == 2
    assert not ran.exists()
    assert "checkpoint/model.pt2" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"PK\x05\x06" + bytes(18), b"\x00" * 100])
def test_what_is_no_archive_is_refused(content, folder):
    (folder / "model.pt2").write_bytes(content)
    with pytest.raises(PosecError, match=r"torch\.export\.save"):
        trace(folder)


@pytest.mark.parametrize("seed", range(300))
def test_a_damaged_program_is_refused_in_a_sentence_or_read(seed, checkpoint, tmp_path):
    random = np.random.default_rng(seed)
    content = bytearray((checkpoint / "model.pt2").read_bytes())
    for _ in range(random.integers(1, 8)):
        content[random.integers(len(content))] = random.integers(256)
    (tmp_path / "model.pt2").write_bytes(
        content[: random.integers(len(content))] if seed % 3 == 0 else content
    )
    try:
        read(tmp_path / "model.pt2")
    except PosecError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_network_that_was_exported_on_a_gpu_is_read_on_the_cpu(folder):
    def on_gpu(entries):
        for name in [name for name in entries if name.endswith(".json")]:
            entries[name] = entries[name].replace(
                b'"type": "cpu", "index": null', b'"type": "cuda", "index": 0'
            )

    repack(folder / "model.pt2", on_gpu)
    assert trace(folder).heads["centre"][1] == (1, 1, 8, 12)


CHILD = """
import os, socket, subprocess, sys, tempfile
sys.path[:] = {paths!r}
from toolkit.frontend.sandbox import give_up_rights
scratch = tempfile.mkdtemp()
print("restricted" if give_up_rights(scratch) else "not restricted")
def tried(name, call):
    try:
        call()
        print(name)
    except OSError as error:
        pass
tried("wrote", lambda: open({outside!r}, "w"))
tried("made a folder", lambda: os.mkdir({outside!r} + ".d"))
tried("removed", lambda: os.unlink({inside!r}))
tried("started a program", lambda: subprocess.run(["true"]))
tried("reached a server", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5))
tried("read", lambda: open({inside!r}).read())
tried("wrote scratch", lambda: open(scratch + "/a", "w"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="rights are taken away on Linux")
def test_a_process_without_rights_can_read_and_do_nothing_else(tmp_path):
    import socket

    (tmp_path / "inside").write_text("a")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = CHILD.format(
            paths=sys.path,
            outside=str(tmp_path / "outside"),
            inside=str(tmp_path / "inside"),
            port=server.getsockname()[1],
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.split("\n")
    if lines[0] == "not restricted":
        pytest.skip("this kernel has no Landlock")
    assert [line for line in lines[1:] if line] == ["read", "wrote scratch"]
    assert os.listdir(tmp_path) == ["inside"]
