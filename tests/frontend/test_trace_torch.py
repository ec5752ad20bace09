"""Checkpoints that need torch: weights of the reference architecture, and programs that torch.export saved."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
from networks import toml
from safetensors.numpy import save_file

from toolkit.errors import PosecError
from toolkit.frontend.trace import trace
from toolkit.passes import prepare
from toolkit.passes.prepare.opset import OPSET
from toolkit.runtime.pose import HEADS

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
SIZE = (64, 96)
CHANNELS = {"centre": 1, "offset": 2, "embedding": 32, "rotation": 6, "depth": 1}


@pytest.fixture(scope="module")
def spec():
    from toolkit.network.heads import reference_spec

    return dataclasses.replace(reference_spec(), input_size=SIZE)


@pytest.fixture(scope="module")
def decoder(spec):
    random = np.random.default_rng(0)
    return {
        "weight_0": random.normal(0, 1, (3 * len(spec.skeleton.bones), 32)).astype(np.float32),
        "bias_0": np.zeros(48, np.float32),
    }


def assert_heads(graph, wanted):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    heads = session.run(list(HEADS), {graph.input_name: np.zeros((1, 3, *SIZE), np.float32)})
    for name, values in zip(HEADS, heads, strict=True):
        np.testing.assert_allclose(values, wanted[name].detach().numpy(), atol=1e-5, err_msg=name)


def test_weights_of_the_reference_architecture(decoder, tmp_path):
    from toolkit.network.checkpoint import save_checkpoint
    from toolkit.network.network import KeypointNetwork

    torch.manual_seed(1)
    network = KeypointNetwork().eval()
    spec = dataclasses.replace(network.spec(), input_size=SIZE)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # away from the identity
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    save_checkpoint(tmp_path / "weights", network, decoder, spec, licence="none")
    graph = prepare(trace(tmp_path / "weights"))
    assert_heads(graph, network(torch.zeros(1, 3, *SIZE))._asdict())
    assert graph.model.opset_import[0].version == OPSET
    assert graph.model.graph.node[0].name == "backbone.stem.Conv"


@pytest.fixture(scope="module")
def weights(decoder, tmp_path_factory):
    """An untrained network as a checkpoint."""
    from toolkit.network.checkpoint import save_checkpoint
    from toolkit.network.network import KeypointNetwork

    folder = tmp_path_factory.mktemp("weights") / "checkpoint"
    network = KeypointNetwork()
    save_checkpoint(folder, network, decoder, dataclasses.replace(network.spec(), input_size=SIZE))
    return folder


def test_weights_are_traced_at_another_size(weights):
    graph = trace(f"{weights}@128x64")
    assert graph.spec.input_size == (128, 64)
    assert graph.heads["centre"][1] == (1, 1, 16, 8)


@pytest.mark.parametrize("size", ["100x64", "0x64", "64x8192"])
def test_sizes_that_the_network_cannot_take_are_refused(size, weights):
    with pytest.raises(PosecError, match="multiples of 32, up to 4096"):
        trace(f"{weights}@{size}")


class Small(torch.nn.Module):
    """Five heads of one layer; returns them by name, in an order of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 8, 8), torch.nn.BatchNorm2d(8), torch.nn.Hardswish()
        )
        self.heads = torch.nn.ModuleDict(
            {
                name: torch.nn.Conv2d(8, CHANNELS[name], 1)
                for name in ("depth", "rotation", "centre", "embedding", "offset")
            }
        )

    def forward(self, images):
        features = self.stem(images)
        return {name: torch.tanh(head(features)) for name, head in self.heads.items()}


class SmallTuple(Small):
    """Returns the heads in the order of HEADS."""

    def forward(self, images):
        heads = super().forward(images)
        return tuple(heads[name] for name in HEADS)


def write_program(folder, module, spec, decoder):
    folder.mkdir()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, *SIZE),)), folder / "model.pt2")
    save_file(decoder, folder / "pose.safetensors")
    (folder / "spec.toml").write_text(toml({**spec.to_dict(), "checkpoint": {"network": "model.pt2"}}))
    return folder


@pytest.mark.parametrize("returning", [Small, SmallTuple])
def test_a_saved_program(returning, spec, decoder, tmp_path):
    module = returning().eval()
    graph = prepare(trace(write_program(tmp_path / "program", module, spec, decoder)))
    assert graph.model.opset_import[0].version == OPSET
    assert_heads(graph, Small.forward(module, torch.zeros(1, 3, *SIZE)))


class Opens:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('pickle_was_run').touch()",))


def pickled():
    file = io.BytesIO()
    torch.save(Opens(), file)
    return file.getvalue()


def repack(path, change):
    """Write a .pt2 file again with some of its entries changed: name → bytes, None drops it."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry.filename) for entry in archive.infolist()}
    change(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def named(entries, end):
    return next(name for name in entries if name.endswith(end))


def pickled_weight(entries):
    name = named(entries, "weights_config.json")
    plain = json.loads(entries[name])
    first = next(iter(plain["config"].values()))
    first["use_pickle"] = True
    entries[name] = json.dumps(plain).encode()
    entries[named(entries, first["path_name"])] = pickled()


def pickled_sample(entries):
    entries[named(entries, "sample_inputs/model.pt")] = pickled()


def foreign_operator(entries):
    name = named(entries, "models/model.json")
    entries[name] = entries[name].replace(b"torch.ops.aten.hardswish.default", b"os.system")


def symbolic_size(entries):
    name = named(entries, "models/model.json")
    plain = json.loads(entries[name])
    plain["range_constraints"]["s0"] = {"min_val": 1, "max_val": 2}
    plain["graph_module"]["graph"]["inputs"].append(
        {"as_sym_int": {"as_name": "__import__('os').system('true')"}}
    )
    entries[name] = json.dumps(plain).encode()


def compiled_code(entries):
    entries["model/data/aotinductor/model/a.so"] = b"\x7fELF"


def two_programs(entries):
    entries[named(entries, "models/model.json").replace("model.json", "other.json")] = b"{}"


def two_roots(entries):
    entries["other/data/weights/weight_0"] = b""


HOSTILE = {
    "a pickled weight": (pickled_weight, "pickled"),
    "a pickled sample": (pickled_sample, "pickled"),
    "an operator": (foreign_operator, "os.system"),
    "an expression": (symbolic_size, "not fixed"),
    "compiled code": (compiled_code, "compiled code"),
    "two programs": (two_programs, "2 programs"),
    "two roots": (two_roots, "one folder"),
}


@pytest.fixture(scope="module")
def program(spec, decoder, tmp_path_factory):
    return write_program(tmp_path_factory.mktemp("programs") / "program", SmallTuple().eval(), spec, decoder)


@pytest.mark.parametrize(("change", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_program_that_could_run_code_is_refused(change, words, program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(program, tmp_path / "program")
    repack(folder / "model.pt2", change)
    with pytest.raises(PosecError, match=words):
        trace(folder)
    assert not (tmp_path / "pickle_was_run").exists()


def test_the_pickle_of_these_tests_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.load(io.BytesIO(pickled()), weights_only=False)
    assert (tmp_path / "pickle_was_run").exists()


def test_what_is_no_archive_is_refused(program, tmp_path):
    folder = shutil.copytree(program, tmp_path / "program")
    (folder / "model.pt2").write_bytes(b"PK no archive")
    with pytest.raises(PosecError, match=r"torch\.export\.save"):
        trace(folder)
