"""Contents of a .pt2 file: only static networks of listed operators and plain weights reach torch."""

from __future__ import annotations

import io
import json

import pytest
from torch_programs import (
    MODEL,
    argument,
    config,
    graph,
    hostile_tree,
    payload,
    pickled,
    pickled_weight,
    program,
    read,
    renamed,
    repack,
    set_size,
    signature,
    target,
    tree_type,
)

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.frontend.trace import trace

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

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
    "an object of its own": (
        argument({"as_custom_obj": {"name": "a", "class_fqn": "marker"}}),
        "as_custom_obj",
    ),
    "a graph within": (argument({"as_graph": {"name": "a", "graph": {}}}), "as_graph"),
    "a table of arguments": (
        argument({"as_string_to_argument": {"a": {"as_int": 1}}}),
        "as_string_to_argument",
    ),
    "a symbol": (argument({"as_sym_int": {"as_name": EVIL}}), "static"),
    "an expression as a size": (set_size(EXPRESSION), "as_expr.*static"),
    "an expression as a value": (
        program(lambda plain: graph(plain)["sym_int_values"].update(s0=EXPRESSION)),
        "not fixed",
    ),
    "a range of a symbol": (
        program(lambda plain: plain["range_constraints"].update(s0={"min_val": 1, "max_val": 2})),
        "not fixed",
    ),
    "an object's class": (
        program(lambda plain: graph(plain)["custom_obj_values"].update(a={"name": "a", "class_fqn": "b"})),
        "allowed",
    ),
    "source as the name of a tensor": (renamed("images", EVIL), "no plain name"),
    "a keyword as the name of a tensor": (renamed("images", "lambda"), "no plain name"),
    "source as the name of an argument": (
        program(lambda plain: signature(plain).update(forward_arg_names=[EVIL])),
        "no plain name",
    ),
    "source as the name of a weight": (renamed("stem.0.weight", f"stem.{EVIL}"), "no plain name"),
    "an attribute of classes as a weight": (renamed("stem.0.weight", "stem.__class__"), "no plain name"),
    "source in a text": (argument({"as_string": "'); import marker; ('"}), "no plain name"),
    "a number of 400 digits": (argument({"as_int": 10**400}), "64 bits"),
    "a huge tensor": (set_size({"as_int": 2**62}), "too large"),
    "a tensor of many dimensions": (
        program(
            lambda plain: next(iter(graph(plain)["tensor_values"].values())).update(
                sizes=[{"as_int": 1}] * 99
            )
        ),
        "large",
    ),
    "another dialect": (program(lambda plain: plain.update(verifiers=["marker"])), "no dialect"),
    "a pickled weight": (config("weights", pickled_weight), "pickled"),
    "a weight with a path": (
        config("weights", lambda weights, _: next(iter(weights.values())).update(path_name="../../a")),
        "no plain name",
    ),
    "a pickled constant": (payload("tensor_0"), "pickled"),
    "a script object": (payload("custom_obj_0"), "no plain name"),
    "an opaque object": (payload("opaque_obj_0"), "no plain name"),
    "compiled code": (
        lambda entries: entries.update({"archive/data/aotinductor/model/a.so": b"\x7fELF"}),
        "compiled code",
    ),
    "two programs": (lambda entries: entries.update({"archive/models/other.json": b"{}"}), "2 programs"),
    "two roots": (lambda entries: entries.update({"other/data/weights/weight_0": b""}), "one folder"),
    "no program": (lambda entries: entries.pop(MODEL), "0 programs"),
    "no list of weights": (
        lambda entries: entries.pop("archive/data/weights/model_weights_config.json"),
        "torch.export.save",
    ),
    "a missing weight": (lambda entries: entries.pop("archive/data/weights/weight_0"), "torch.export.save"),
    "a program nested deep": (lambda entries: entries.update({MODEL: b"[" * 100_000}), "torch.export.save"),
    "a program that is a list": (lambda entries: entries.update({MODEL: b"[]"}), "expected a table"),
    "a program in Latin-1": (lambda entries: entries.update({MODEL: b'{"a": "\xe9"}'}), "torch.export.save"),
    "an empty program": (lambda entries: entries.update({MODEL: b"{}"}), "expected a table"),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_a_program_with_foreign_names_is_refused_with_the_reason(change, words, folder, tmp_path):
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
def test_unneeded_parts_of_a_program_never_reach_torch(change, folder):
    plain = read(folder / "model.pt2").content
    repack(folder / "model.pt2", change)
    assert read(folder / "model.pt2").content == plain


def test_the_command_traces_a_program_with_unneeded_parts_and_runs_none_of_them(folder, tmp_path):
    for change in LEFT_OUT.values():
        repack(folder / "model.pt2", change)
    assert main(["plan", str(folder), "--target", "generic-cpu"]) == 0
    assert not (tmp_path / "CODE_WAS_RUN").exists()


def test_the_pickle_of_these_tests_would_have_run(folder, tmp_path):
    torch.load(io.BytesIO(pickled()), weights_only=False)
    assert (tmp_path / "CODE_WAS_RUN").exists()
