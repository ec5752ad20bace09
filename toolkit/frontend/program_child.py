"""Convert a rebuilt .pt2 file to ONNX in a child process without rights; see `sandbox`.

The child reads the program from standard input and writes the model to standard output, or a refusal to
standard error.
"""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import PosecError
from .sandbox import give_up_rights

# The first opset of torch's program exporter; the pass lower_opset brings it down.
OPSET = 18
_REFUSED = 3
_TIMEOUT_S = 1800
_START = "import sys; sys.path[:] = {paths!r}; from {module} import main; main({names!r})"


def convert(content: bytes, names: Sequence[str]) -> bytes:
    """Return a rebuilt program as the bytes of an ONNX model with the given names of outputs.

    Raises PosecError where torch cannot read or convert it.
    """
    start = _START.format(
        paths=[path for path in map(os.path.abspath, sys.path) if os.path.exists(path)],
        module=__name__,
        names=list(names),
    )
    with tempfile.TemporaryDirectory(prefix="posec-") as scratch:
        environment = {
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": scratch,
            "TMPDIR": scratch,
        }
        command = [sys.executable, "-I", "-c", start]
        try:
            done = subprocess.run(
                command,
                input=content,
                capture_output=True,
                cwd=scratch,
                env=environment,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PosecError(
                f"torch did not convert the program in {_TIMEOUT_S // 60} minutes; "
                "export the network to ONNX instead"
            ) from error
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    if done.returncode == _REFUSED:
        raise PosecError(json.loads(lines[-1]))
    raise PosecError(
        f"torch ended with status {done.returncode} on the program ({lines[-1]:.200}); "
        "export the network to ONNX instead"
    )


def main(names: Sequence[str]) -> None:
    """Convert the program on standard input to ONNX on standard output; runs in the child alone."""
    content = sys.stdin.buffer.read()
    result = os.dup(1)
    os.dup2(2, 1)  # prints of libraries must not mix with the model
    give_up_rights(os.environ["TMPDIR"])
    try:
        import onnxscript  # noqa: F401  # torch's exporter needs it
        import torch

        model = _converted(torch, content, names)
    except ImportError as error:
        _refuse(
            f"tracing this checkpoint needs {error.name}: pip install 'posec[host]'; "
            "an ONNX checkpoint needs neither"
        )
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        text = " ".join(str(cause).split())
        _refuse(
            f"torch cannot convert the program: {type(cause).__name__} {text:.300}; "
            "save it again, or export the network to ONNX"
        )
    with open(result, "wb") as file:
        file.write(model)


def _converted(torch: Any, content: bytes, names: Sequence[str]) -> bytes:
    # The exporter warns that torchvision is absent; it is not needed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(io.BytesIO(content))
        _check_targets(torch, program)
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,  # the lowest that torch's exporter writes without a converter
            output_names=list(names),
            external_data=False,
            verbose=False,
        )
    return bytes(exported.model_proto.SerializeToString())


def _check_targets(torch: Any, program: Any) -> None:
    """Raise PosecError where a call of the program is no operator of this torch."""
    import operator

    for node in program.graph.nodes:
        if (
            node.op == "call_function"
            and node.target is not operator.getitem
            and not isinstance(node.target, torch._ops.OpOverload)
        ):
            raise PosecError(
                f"{node.name} calls {node.target!s:.80}, which is no operator of torch {torch.__version__}"
            )


def _refuse(sentence: str) -> None:
    print(json.dumps(sentence), file=sys.stderr, flush=True)
    os._exit(_REFUSED)
