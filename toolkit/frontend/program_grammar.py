"""The allow-list of a .pt2 file's JSON; the file is rebuilt from it, and nothing else reaches torch.

torch resolves strings of such a file to modules, attributes, types, symbols and Python source. So each string
here is an identifier of the graph, an operator of `program_operators`, or one of a few fixed words. The parts
that a static network does not need (metadata, guards, symbols, graphs within graphs, custom objects) are left
out or refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from .program_operators import is_operator
from .program_rules import (
    GrammarError,
    Rule,
    choice,
    constant,
    empty,
    flag,
    identifier,
    listing,
    mapping,
    number,
    optional,
    short,
    table,
    text,
    whole,
)

# Elements of one tensor: a batch of 4096 x 4096 pixels in 16 channels.
MOST_ELEMENTS = 2**28
_MOST_DIMENSIONS = 16
_ATTRIBUTE = re.compile(r"(?!__)[A-Za-z0-9_]{1,400}(\.(?!__)[A-Za-z0-9_]{1,400}){0,100}")
_WORD = re.compile(r"[A-Za-z0-9_ ,.>-]{0,200}")
_PAYLOAD = re.compile(r"(weight|tensor)_[0-9]{1,9}")
_SEQUENCES, _TABLES = ("builtins.tuple", "builtins.list"), ("builtins.dict", "collections.OrderedDict")


def operator(value: Any) -> str:
    """Read a node's target: an operator of `program_operators`."""
    if not isinstance(value, str) or not is_operator(value):
        raise GrammarError(
            f"calls {short(value)}, which is not among the operators that posec reads; export to ONNX instead"
        )
    return value


def elements(value: Any) -> list[dict[str, int]]:
    """Read a tensor's static sizes."""
    sizes: list[dict[str, int]] = listing(choice(as_int=whole))(value)
    if (
        len(sizes) > _MOST_DIMENSIONS
        or any(size["as_int"] < 0 for size in sizes)
        or math.prod(size["as_int"] for size in sizes) > MOST_ELEMENTS
    ):
        raise GrammarError(f"a tensor of {short(value)} is too large or negative")
    return sizes


def tree(value: Any) -> str:
    """Read a tree specification: tuples, lists and dictionaries of tensors. Returns it serialized again."""
    plain = json.loads(value) if isinstance(value, str) else None
    if not isinstance(plain, list) or len(plain) != 2 or plain[0] != 1:
        raise GrammarError(f"{short(value)} is no tree of tuples and dictionaries")
    return json.dumps([1, _branch(plain[1])])


def _branch(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("children_spec"), list):
        raise GrammarError(f"{short(value)} is no tree of tuples and dictionaries")
    kind, context, children = (
        value.get("type"),
        value.get("context"),
        [_branch(child) for child in value["children_spec"]],
    )
    if kind is None and context is None and not children:
        return {"type": None, "context": None, "children_spec": []}
    if kind in _SEQUENCES and context == "null":
        return {"type": kind, "context": "null", "children_spec": children}
    if kind in _TABLES and isinstance(context, str):
        keys = listing(identifier)(json.loads(context))
        if len(keys) == len(children) == len(set(keys)):
            return {"type": kind, "context": json.dumps(keys), "children_spec": children}
    raise GrammarError(f"{short(value)} is no tuple, list or dictionary of tensors")


_TENSOR = table(name=identifier)
_SYMBOL = choice(as_int=whole)
# A network exported on a GPU is read on the CPU.
_CPU = constant({"type": "cpu", "index": None})
_META = table(
    dtype=whole,
    sizes=elements,
    requires_grad=flag,
    device=_CPU,
    strides=listing(_SYMBOL),
    storage_offset=_SYMBOL,
    layout=whole,
)
_CONSTANTS: Mapping[str, Rule] = {
    "as_none": flag,
    "as_int": whole,
    "as_float": number,
    "as_bool": flag,
    "as_string": text(_WORD),
}
_ARGUMENT = choice(
    **_CONSTANTS,
    as_tensor=_TENSOR,
    as_tensors=listing(_TENSOR),
    as_optional_tensor=choice(as_tensor=_TENSOR, as_none=flag),
    as_optional_tensors=listing(choice(as_tensor=_TENSOR, as_none=flag)),
    as_ints=listing(whole),
    as_floats=listing(number),
    as_bools=listing(flag),
    as_scalar_type=whole,
    as_memory_format=whole,
    as_layout=whole,
    as_device=_CPU,
)
_NODE = table(
    target=operator,
    inputs=listing(table(name=text(_WORD), arg=_ARGUMENT, kind=optional(whole))),
    outputs=listing(_ARGUMENT),
    metadata=constant({}),
    is_hop_single_tensor_return=constant(None),
    name=optional(identifier),
)
_GRAPH = table(
    inputs=listing(_ARGUMENT),
    outputs=listing(_ARGUMENT),
    nodes=listing(_NODE),
    tensor_values=mapping(identifier, _META),
    sym_int_values=empty(dict),
    sym_bool_values=empty(dict),
    sym_float_values=empty(dict),
    custom_obj_values=empty(dict),
    is_single_tensor_return=constant(False),
)
_SIGNATURE = table(
    input_specs=listing(
        choice(
            user_input=table(arg=_ARGUMENT),
            parameter=table(arg=_TENSOR, parameter_name=text(_ATTRIBUTE)),
            buffer=table(arg=_TENSOR, buffer_name=text(_ATTRIBUTE), persistent=flag),
            tensor_constant=table(arg=_TENSOR, tensor_constant_name=text(_ATTRIBUTE)),
            constant_input=table(name=identifier, value=choice(**_CONSTANTS)),
        )
    ),
    output_specs=listing(choice(user_output=table(arg=_ARGUMENT))),
)
_CALL = table(
    inputs=listing(_ARGUMENT),
    outputs=listing(_ARGUMENT),
    in_spec=tree,
    out_spec=tree,
    forward_arg_names=optional(listing(identifier)),
)


def _root_call(value: Any) -> list[dict[str, Any]]:
    """Read the call signature of the whole network; those of its modules are left out."""
    roots = (
        [entry for entry in value if isinstance(entry, dict) and entry.get("fqn") == ""]
        if isinstance(value, list)
        else []
    )
    if len(roots) != 1:
        raise GrammarError("must state one call signature of the network")
    return [{"fqn": "", "signature": _CALL(roots[0].get("signature"))}]


def _dialects(value: Any) -> list[str]:
    if not isinstance(value, list) or not set(map(str, value)) <= {"ATEN", "TRAINING", "EDGE"}:
        raise GrammarError(f"{short(value)} is no dialect of ATen operators")
    return ["TRAINING"]


def _not_pickled(value: Any) -> bool:
    if value is not False:
        raise GrammarError("is a pickled object; save the program with plain tensors as weights")
    return False


PROGRAM = table(
    graph_module=table(
        graph=_GRAPH,
        signature=_SIGNATURE,
        module_call_graph=_root_call,
        metadata=constant({}),
        treespec_namedtuple_fields=constant({}),
    ),
    opset_version=mapping(text(re.compile("aten")), whole),
    range_constraints=empty(dict),
    schema_version=table(major=whole, minor=whole),
    verifiers=_dialects,
    torch_version=constant("<=2.4"),
    guards_code=constant([]),
)
PAYLOADS = table(
    config=mapping(
        text(_ATTRIBUTE),
        table(path_name=text(_PAYLOAD), is_param=flag, use_pickle=_not_pickled, tensor_meta=_META),
    )
)
