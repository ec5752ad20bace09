"""Convert the replayed graph by litert-torch."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

import torch

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph

from .replay import Replay

_STDERR = 2


def convert(graph: Graph, integers: bool) -> bytes:
    """Return a graph as a TFLite file with one signature, which has the heads by name.

    Args:
        graph: NHWC frame; with Q/DQ where `integers`.
        integers: convert Q and DQ to integer kernels; otherwise kernels between them stay float.

    Raises PosecError where an operator is not supported, or the converter fails.
    """
    replay = Replay(graph).eval()
    frame = torch.zeros(1, *graph.spec.input_size, 3)
    with _silence():
        import litert_torch
        from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
        from litert_torch.quantize.quant_config import QuantConfig

        # The graph has its Q/DQ already; any quantizer makes the converter use integer kernels.
        settings = (
            QuantConfig(pt2e_quantizer=PT2EQuantizer().set_global(get_symmetric_quantization_config()))
            if integers
            else None
        )
        try:
            return bytes(litert_torch.convert(replay, (frame,), quant_config=settings).model_content())
        except PosecError:
            raise
        except Exception as error:  # its exceptions have no common base class
            raise PosecError(
                f"litert-torch {litert_torch.__version__} cannot convert this graph: "
                f"{type(error).__name__}: {error}"
            ) from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress the converter's progress, so that stdout stays valid with --json."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            _quiet_libraries(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Discard what C++ libraries write to the standard error, which bypasses `sys.stderr`."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
