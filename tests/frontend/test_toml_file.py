"""TOML from outside is refused in a sentence, in little time and memory, wherever posec reads it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from networks import tiny_spec, toml

from toolkit.cli import main
from toolkit.errors import PosecError
from toolkit.ir.toml_file import read_toml

HOSTILE = {
    "a key of 20,000 parts": ".".join(["a"] * 20_000) + " = 1",
    "a quoted key of many parts": ".".join(['"a"'] * 200) + " = 1",
    "a spaced key of many parts": " . ".join(["a"] * 200) + " = 1",
    "a header of many parts": "[" + ".".join(["a"] * 200) + "]",
    "an inline key of many parts": "a = {" + ".".join(["a"] * 200) + " = 1}",
    "lists nested deep": "a = " + "[" * 100_000,
    "tables nested deep": "a = " + "{a = " * 50_000,
    "a number of 400 digits": "a = " + "9" * 400,
    "a number of 5000 digits": "a = " + "9" * 5000,
    "infinity": "a = inf",
    "not a number": "a = [{b = -nan}]",
    "infinity by its digits": "a = 1e999",
    "no UTF-8": b"a = '\xe9'",
    "no TOML": "a =",
    "too long": "#" * 2**20 + "#",
}


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_toml_is_refused_with_the_reason(text, tmp_path):
    write(tmp_path / "a.toml", text)
    with pytest.raises(PosecError, match=r"a\.toml.*; write it again") as refusal:
        read_toml(tmp_path / "a.toml", advice="write it again")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_ordinary_toml_is_read(tmp_path):
    numbers = ".".join(map(str, range(1, 20)))
    text = f'a.b . "c d".e = [0.1, 0.2]\n[x.y]\nz = "{numbers}"\nlast = 1979-05-27\n'
    write(tmp_path / "a.toml", text)
    found = read_toml(tmp_path / "a.toml")
    assert found["a"]["b"]["c d"]["e"] == [0.1, 0.2]
    assert found["x"]["y"]["z"].endswith("19")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_commands_refuse_it_as_a_specification_and_as_a_target(text, tiny_checkpoint, tmp_path, capsys):
    write(tmp_path / "spec.toml", text)
    assert main(["plan", str(tmp_path), "--target", "generic-cpu"]) == 2
    write(tmp_path / "board.toml", text)
    assert main(["plan", str(tiny_checkpoint), "--target", str(tmp_path / "board.toml")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [name in line for name, line in zip(("spec.toml", "board.toml"), lines, strict=True)] == [
        True,
        True,
    ]


def test_one_key_of_many_parts_takes_little_memory(tmp_path):
    write(tmp_path / "a.toml", HOSTILE["a key of 20,000 parts"])
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom toolkit.ir.toml_file import read_toml\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "try:\n    read_toml(Path(sys.argv[1]))\nexcept ValueError as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.toml")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert "more than 16 parts" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 29


@pytest.mark.parametrize(
    "field",
    ["stride", "pad_value", "cell_origin_px", "centre_threshold", "input_size", "mean", "focal_default"],
)
def test_a_number_of_400_digits_in_any_field_is_refused_by_the_command(field, tmp_path, capsys):
    plain = tiny_spec().to_dict()
    plain[field] = [10**400] * len(plain[field]) if isinstance(plain[field], list) else 10**400
    write(tmp_path / "spec.toml", toml(plain))
    assert main(["plan", str(tmp_path), "--target", "generic-cpu"]) == 2
    assert "spec.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["a pipe", "a device"]
)
def test_the_commands_refuse_a_target_or_a_calibration_that_is_no_plain_file(
    make, tiny_checkpoint, tmp_path, capsys
):
    make(tmp_path / "board.toml")
    make(tmp_path / "c.json")
    assert main(["plan", str(tiny_checkpoint), "--target", str(tmp_path / "board.toml")]) == 2
    asked = ["export", str(tiny_checkpoint), "--target", "generic-cpu", "--precision", "int8"]
    assert main([*asked, "--calibration", str(tmp_path / "c.json"), "-o", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [name in line for name, line in zip(("board.toml", "c.json"), lines, strict=True)] == [True, True]
    assert all("a pipe or a device" in line for line in lines)
