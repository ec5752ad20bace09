"""Lower a graph to the opset that every board reads."""

from __future__ import annotations

import onnx
from onnx import defs, helper

from ...errors import PosecError
from ...ir.graph import Graph, Stage, requires
from ..edit.edits import replace
from ..prepare.constants import inline_constants_of
from ..prepare.fold_shapes import fold_shapes
from ..prepare.names import drop_notes
from .function_bodies import Expansion, expand
from .rewrites import NEUTRAL, REWRITES
from .tensors import Tensors

# The first opset with an axis in QuantizeLinear; the last that TensorRT 8.2, of the Jetson Nano, reads.
OPSET = 13
# ONNX Runtime before 1.18 refuses later ones.
IR_VERSION = 8
# The first opset that onnx's version converter reads with confidence.
_OLDEST = 7
_DEFAULT_DOMAINS = ("", "ai.onnx")
# The body of a function may use other functions.
_DEEPEST = 8


@requires(Stage.TRACED)
def lower_opset(graph: Graph) -> int:
    """Express a graph in opset 13 of the default domain, without notes and versions of exporters.

        ReduceMean-18(x, axes) -> y        becomes        ReduceMean-13(x), attribute axes -> y

    1. A graph of opset 7 to 12 is converted by onnx's version converter.
    2. An operator with a rewrite, such as a ReduceMean with axes as an input, is rewritten; see `rewrites`.
    3. An operator that opset 13 lacks is replaced by its function body, if ONNX defines one.
    4. An operator with the same inputs and attributes in opset 13 stays. An attribute that opset 13 lacks is
       removed if its value is the default.

    A changed meaning of an unchanged attribute is not detected here: `prepare` compares the heads on noise.
    Returns the number of operators changed. Raises PosecError for an operator that opset 13 cannot express.
    """
    model = graph.model
    stated = next((opset.version for opset in model.opset_import if opset.domain in _DEFAULT_DOMAINS), 0)
    if stated < OPSET:
        graph.model, count = _raised(model, stated), len(model.graph.node)
        model = graph.model
    else:
        count = _lower_all(model, stated) if stated > OPSET else 0
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    drop_notes(model)
    return count


def _raised(model: onnx.ModelProto, stated: int) -> onnx.ModelProto:
    if stated < _OLDEST:
        raise PosecError(
            f"the graph has ONNX opset {stated}, posec reads {_OLDEST} and later; export the network again"
        )
    try:
        raised = onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # its exceptions have no common base class
        why = str(error).strip().splitlines()[0]
        raise PosecError(
            f"the graph has ONNX opset {stated} and cannot be converted to {OPSET} ({why}); "
            f"export it with opset {OPSET} or later"
        ) from error
    del raised.graph.value_info[:]
    return raised


def _lower_all(model: onnx.ModelProto, stated: int) -> int:
    fold_shapes(model)
    tensors, count, kept = Tensors.of(model), 0, []
    pending = [(node, stated, 0) for node in reversed(model.graph.node)]
    while pending:
        node, opset, depth = pending.pop()
        if depth > _DEEPEST:
            raise PosecError(
                f"operator {node.op_type} ({node.name}) is a function of itself; "
                "export the network without it"
            )
        expansion = _expansion(node, opset, tensors)
        if expansion is None:
            count += _lower(node, opset)
            kept.append(node)
            continue
        count += 1
        pending += [(part, expansion.opset, depth + 1) for part in reversed(expansion.nodes)]
    replace(model.graph.node, kept)
    model.graph.initializer.extend(tensors.added)
    # The bodies of functions hold constants as nodes.
    inline_constants_of(model)
    del model.graph.value_info[:]
    return count


def _expansion(node: onnx.NodeProto, opset: int, tensors: Tensors) -> Expansion | None:
    """Return the nodes that replace a newer one, or None for a node that may stay."""
    tensors.note(node)
    if opset > OPSET and node.op_type in REWRITES:
        rewritten = REWRITES[node.op_type](node, tensors)
        return None if rewritten is None else Expansion(rewritten, OPSET)
    return expand(node, opset, tensors) if _is_missing(node) else None


def _is_missing(node: onnx.NodeProto) -> bool:
    try:
        defs.get_schema(node.op_type, OPSET)
    except defs.SchemaError:
        return True
    return False


def _lower(node: onnx.NodeProto, stated: int) -> bool:
    try:
        newer = defs.get_schema(node.op_type, max(stated, OPSET))
        older = defs.get_schema(node.op_type, OPSET)
    except defs.SchemaError as error:
        raise PosecError(
            f"operator {node.op_type} ({node.name}) is not in ONNX opset {OPSET}; express it by others"
        ) from error
    if newer.since_version == older.since_version:
        return False
    if len(node.input) > older.max_input or len(node.input) < older.min_input:
        raise PosecError(
            f"{node.op_type} ({node.name}) takes {len(node.input)} inputs, in opset {OPSET} it takes "
            f"{older.max_input}; express it by other operators"
        )
    for stray in [given for given in node.attribute if given.name not in older.attributes]:
        value, default = helper.get_attribute_value(stray), newer.attributes[stray.name].default_value
        stated_default = (
            default.type != onnx.AttributeProto.UNDEFINED and value == helper.get_attribute_value(default)
        )
        if not stated_default and not NEUTRAL.get((node.op_type, stray.name), lambda value: False)(value):
            raise PosecError(
                f"{node.op_type} ({node.name}) sets {stray.name} to {value!r}, which opset {OPSET} lacks; "
                "express it by other operators"
            )
        node.attribute.remove(stray)
    return True
