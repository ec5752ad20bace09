"""`tensorrt-check`: networks that obey the rules of every version, and for each rule one that breaks it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from toolkit.errors import PosecError
from toolkit.ir.graph import run_passes
from toolkit.passes import prepare
from toolkit.passes.tensorrt.check import check, check_file, tensorrt_check
from toolkit.passes.tensorrt.rules import rules_for

VERSIONS = ("8.2", "8.5", "8.6", "10")
RANDOM = np.random.default_rng(0)


def model(
    body,
    constants=None,
    opset=13,
    inputs="float[1,4,8,8] x",
    outputs="float[1,4,8,8] y",
    domains="",
    checked=True,
):
    """Return a model of ONNX's text form, with constants by name."""
    text = f'<ir_version: 8, opset_import: ["" : {opset}{domains}]> g ({inputs}) => ({outputs}) {{ {body} }}'
    made = parser.parse_model(text)
    made.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values), name) for name, values in (constants or {}).items()
    )
    if checked:
        onnx.checker.check_model(made)
    return made


WEIGHT = RANDOM.normal(0, 1, (4, 4, 1, 1)).astype(np.float32)
INTEGERS = {
    "s": np.float32(0.1),
    "z": np.int8(0),
    "ws": np.full(4, 0.1, np.float32),
    "wz": np.zeros(4, np.int8),
    "w": WEIGHT,
    "b": np.zeros(4, np.float32),
}
INPUT = "xq = QuantizeLinear(x, s, z) xd = DequantizeLinear(xq, s, z)"
WEIGHTS = "wq = QuantizeLinear<axis=0>(w, ws, wz) wd = DequantizeLinear<axis=0>(wq, ws, wz)"
CONV = f"{INPUT} {WEIGHTS} c = Conv(xd, wd, b)"


def quantized(body=f"{CONV} y = Relu(c)", **changed):
    return model(body, {**INTEGERS, **changed}, checked=not changed)


def rules(findings):
    return {finding.rule for finding in findings}


RESIDUAL = (
    f"{CONV} r = Relu(c) rq = QuantizeLinear(r, s, z) rd = DequantizeLinear(rq, s, z) "
    "c2 = Conv(rd, wd, b) y = Add(xd, c2)"
)
TWO = (
    f"{INPUT} {WEIGHTS} c = Conv(xd, wd, b) c2 = Conv(xd, wd, b) "
    "rq = QuantizeLinear(c2, s, z) rd = DequantizeLinear(rq, s, z) y = Add(c, rd)"
)
GOOD = {
    "int8 convolution": quantized(),
    "int8 residual": quantized(RESIDUAL),
    "int8 sum of two convolutions": quantized(TWO),
    "float with resize": model(
        'u = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, , k) y = Sigmoid(u)',
        {"k": np.asarray([1, 1, 2, 2], np.float32)},
        outputs="float[1,4,16,16] y",
    ),
}


@pytest.mark.parametrize("version", [*VERSIONS, "8.4.1", "10.3.0"])
@pytest.mark.parametrize("name", GOOD)
def test_good_networks_pass_every_version(name, version):
    assert check(GOOD[name], version) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tiny_network_passes_every_version(version, tiny_graph):
    assert check(prepare(tiny_graph).model, version) == []


BROKEN = {
    "zero point is not 0": ("zero point", quantized(z=np.int8(3))),
    "zero point is uint8": ("zero point", quantized(z=np.uint8(0), wz=np.zeros(4, np.int8))),
    "zero point is left out": (
        "zero point",
        quantized(CONV.replace("DequantizeLinear(xq, s, z)", "DequantizeLinear(xq, s)") + " y = Relu(c)"),
    ),
    "scale is 0": ("scale", quantized(s=np.float32(0))),
    "scale is negative": ("scale", quantized(ws=np.asarray([0.1, 0.1, -0.1, 0.1], np.float32))),
    "scale is infinite": ("scale", quantized(s=np.float32(np.inf))),
    "fewer zero points than scales": ("scale", quantized(wz=np.zeros(1, np.int8))),
    "scale is computed": (
        "scale",
        quantized(
            "t = Add(s, s) "
            + CONV.replace("QuantizeLinear(x, s, z)", "QuantizeLinear(x, t, z)").replace(
                "(xq, s, z)", "(xq, t, z)"
            )
            + " y = Relu(c)"
        ),
    ),
    "activation per channel": (
        "per channel",
        quantized(
            CONV.replace("(x, s, z)", "<axis=1>(x, ws, wz)").replace("(xq, s, z)", "<axis=1>(xq, ws, wz)")
            + " y = Relu(c)"
        ),
    ),
    "axis left out": ("per channel", quantized(CONV.replace("<axis=0>", "") + " y = Relu(c)")),
    "axis of the inputs": ("per channel", quantized(CONV.replace("<axis=0>", "<axis=1>") + " y = Relu(c)")),
    "scales for other channels": (
        "per channel",
        quantized(ws=np.full(3, 0.1, np.float32), wz=np.zeros(3, np.int8)),
    ),
    "int32 bias": (
        "bias",
        quantized(
            CONV.replace("Conv(xd, wd, b)", "Conv(xd, wd, bd)").replace(
                "c =", "bd = DequantizeLinear<axis=0>(bi, bs, bz) c ="
            )
            + " y = Relu(c)",
            bi=np.zeros(4, np.int32),
            bs=np.full(4, 0.01, np.float32),
            bz=np.zeros(4, np.int32),
        ),
    ),
    "Q/DQ before the Relu": (
        "fusion",
        quantized(f"{CONV} cq = QuantizeLinear(c, s, z) cd = DequantizeLinear(cq, s, z) y = Relu(cd)"),
    ),
    "Q/DQ before the Add": (
        "fusion",
        quantized(f"{CONV} cq = QuantizeLinear(c, s, z) cd = DequantizeLinear(cq, s, z) y = Add(cd, xd)"),
    ),
    "Q without DQ": ("pair", quantized(f"{CONV} y = Relu(c) q = QuantizeLinear(c, s, z) n = Cast<to=1>(q) ")),
    "DQ of an input": (
        "pair",
        model("d = DequantizeLinear(x, s, z) y = Relu(d)", INTEGERS, inputs="int8[1,4,8,8] x"),
    ),
    "int8 input, float weight": ("pair", quantized(f"{INPUT} c = Conv(xd, w, b) y = Relu(c)")),
    "int8 weight, float input": ("pair", quantized(f"{WEIGHTS} c = Conv(x, wd, b) y = Relu(c)")),
    "opset 21": ("opset", model("y = Relu(x)", opset=21, checked=False)),
    "another domain": ("domain", model("y = Relu(x)", domains=', "com.microsoft" : 1')),
    "an operator of another domain": ("operator", model("y = com.microsoft.Gelu(x)", checked=False)),
    "unknown operator": ("operator", model("y = Bernoulli(x)", opset=15)),
    "integer convolution": (
        "operator",
        model(
            "i = ConvInteger(x, w) y = Cast<to=1>(i)",
            {"w": np.ones((4, 4, 1, 1), np.int8)},
            inputs="int8[1,4,8,8] x",
        ),
    ),
    "double input": ("type", model("y = Cast<to=1>(x)", inputs="double[1,4,8,8] x")),
    "double constant": (
        "type",
        model("d = Cast<to=11>(x) e = Add(d, k) y = Cast<to=1>(e)", {"k": np.ones(1)}),
    ),
    "uint8 into a Transpose": (
        "type",
        model("t = Transpose<perm=[0,3,1,2]>(x) y = Cast<to=1>(t)", inputs="uint8[1,8,8,4] x"),
    ),
    "free batch size": (
        "dynamic shape",
        model("y = Relu(x)", inputs="float[N,4,8,8] x", outputs="float[N,4,8,8] y"),
    ),
    "computed bias": (
        "constant input",
        model("k = Add(b, b) y = Conv(x, w, k)", {"w": WEIGHT, "b": np.zeros(4, np.float32)}),
    ),
    "float16 bias": (
        "bias",
        model("y = Conv(x, w, b)", {"w": WEIGHT, "b": np.zeros(4, np.float16)}, checked=False),
    ),
    "computed bounds of a Clip": (
        "constant input",
        model("k = Add(m, m) y = Clip(x, k)", {"m": np.float32(0)}),
    ),
    "computed scales of a Resize": (
        "constant input",
        model("k = Add(m, m) y = Resize(x, , k)", {"m": np.full(4, 0.5, np.float32)}),
    ),
    "coordinates of a Resize": (
        "resize",
        model(
            'y = Resize<coordinate_transformation_mode="half_pixel_symmetric">(x, , k)',
            {"k": np.ones(4, np.float32)},
            opset=19,
        ),
    ),
    "rounding of a Resize": (
        "resize",
        model(
            'y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="ceil">(x, , k)',
            {"k": np.ones(4, np.float32)},
        ),
    ),
    "linear Resize of four axes": (
        "resize",
        model(
            'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, , k)',
            {"k": np.full(4, 2, np.float32)},
            checked=False,
        ),
    ),
    "uint8 output": ("type", model("y = Cast<to=2>(x)", outputs="uint8[1,4,8,8] y")),
    "one-dimensional convolution": (
        "shape",
        model(
            "y = Conv(x, w)",
            {"w": np.ones((4, 4, 1), np.float32)},
            inputs="float[1,4,8] x",
            outputs="float[1,4,8] y",
        ),
    ),
    "kernel_shape differs": (
        "shape",
        model("y = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)", {"w": WEIGHT}, checked=False),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_network_that_breaks_a_rule_gives_a_finding(name):
    rule, broken = BROKEN[name]
    assert rules(check(broken, "10")) == {rule}


@pytest.mark.parametrize(
    ("rule", "broken", "refuse"),
    [
        ("opset", model("y = Relu(x)", opset=14), ("8.2",)),
        ("opset", model("y = Relu(x)", opset=18), ("8.2", "8.5", "8.6")),
        ("opset", model("y = Relu(x)", opset=8, checked=False), ("10",)),
        (
            "weights",
            quantized(
                CONV.replace("wq = QuantizeLinear<axis=0>(w, ws, wz) ", "") + " y = Relu(c)",
                wq=np.ones((4, 4, 1, 1), np.int8),
            ),
            ("8.2", "8.5", "8.6"),
        ),
        (
            "type",
            model("f = Cast<to=1>(x) y = Transpose<perm=[0,3,1,2]>(f)", inputs="uint8[1,8,8,4] x"),
            ("8.2",),
        ),
        ("resize", model('y = Resize<mode="cubic">(x, , k)', {"k": np.ones(4, np.float32)}), ("8.2",)),
        ("operator", model("y = Trilu(x)", opset=14), ("8.2",)),
        (
            "operator",
            model("y = LayerNormalization(x, k)", {"k": np.ones(8, np.float32)}, opset=17),
            ("8.2", "8.5"),
        ),
        ("operator", model("y = Mish(x)", opset=18), ("8.2", "8.5", "8.6")),
    ],
    ids=[
        "opset 14",
        "opset 18",
        "opset 8",
        "int8 constant",
        "uint8 input",
        "cubic",
        "Trilu",
        "LayerNormalization",
        "Mish",
    ],
)
def test_rules_that_depend_on_the_version(rule, broken, refuse):
    assert tuple(version for version in VERSIONS if rule in rules(check(broken, version))) == refuse


def test_external_weights_give_a_finding():
    made = model("y = Conv(x, w)", {"w": WEIGHT})
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL
    made.graph.initializer[0].external_data.add(key="location", value="weights.bin")
    with pytest.raises(Exception, match=r"weights\.bin"):  # the file is missing, so the rule must not try to
        numpy_helper.to_array(made.graph.initializer[0])
    made.graph.node[0].op_type = "Relu"
    assert "external data" in rules(check(made, "10"))


def test_a_finding_has_its_layer_and_reason():
    [finding] = check(quantized(f"{INPUT} c = Conv(xd, w, b) y = Relu(c)"), "8.6")
    assert (
        str(finding) == "c: its input is int8 and its weight is not: the layer computes in float, "
        "and its Q/DQ only cost time (pair)"
    )


def test_the_pass_refuses_with_the_first_findings(tiny_graph):
    graph = prepare(tiny_graph)
    run_passes(graph, [tensorrt_check("8.2", "8.6", "10.3")])
    assert graph.history[-1] == ("tensorrt_check", 0)
    graph.model.opset_import[0].version = 17
    with pytest.raises(
        PosecError,
        match=r"TensorRT 8\.2 cannot read this network: model: opset 17; TensorRT 8\.2 reads 7 to 13",
    ):
        run_passes(graph, [tensorrt_check("8.2")])


def test_a_file_is_checked_by_its_path(tmp_path):
    onnx.save(GOOD["int8 residual"], str(tmp_path / "a.onnx"))
    assert check_file(tmp_path / "a.onnx", "8.5.2") == []
    (tmp_path / "b.onnx").write_bytes(b"no model")
    with pytest.raises(PosecError, match="is not an ONNX model"):
        check_file(tmp_path / "b.onnx", "8.5.2")
    with pytest.raises(PosecError, match="cannot read"):
        check_file(tmp_path / "none.onnx", "8.5.2")


@pytest.mark.parametrize("version", ["7.2", "11.0", "ten"])
def test_versions_without_rules_are_refused(version):
    with pytest.raises(PosecError, match="TensorRT"):
        rules_for(version)


def test_every_operator_of_the_rules_exists_in_onnx():
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    assert rules_for("10").operators <= known
    assert (
        rules_for("8.2").operators
        < rules_for("8.5").operators
        < rules_for("8.6").operators
        < rules_for("10").operators
    )
    assert helper.make_node("Conv", [], []).op_type in rules_for("8.2").operators
