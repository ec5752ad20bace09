"""What every training run keeps: settings, weights, a state to resume from, and a log that can be plotted."""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import pickle
import time
import zipfile
from collections.abc import Mapping
from dataclasses import Field, asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from safetensors.torch import save
from torch import nn

from ...errors import PosecError
from ...runtime.files.plain_files import write_plain, write_whole

# Of glibc's malloc.h: how many blocks may be asked of the system one by one, and how much free memory is given back to it (-1: never).
_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1


class Settings(Protocol):
    """A dataclass of numbers with defaults."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


class Stateful(Protocol):
    """A network or an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything it has learned."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take over what another had learned."""


class Clock:
    """How long a run has trained, interruptions not counted."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the time spent."""
        return {"spent_s": self.spent_s}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from that time."""
        self.spent_s = float(state["spent_s"])


class Run:
    """A training run that can be killed: it goes on from the last `keep`.

    Beside the weights `<out>` stand `<out stem>.jsonl`, one line per report, and until the end `<out stem>.state`.

    Attributes:
        first: the step to go on from, 0 for a new run. Constructing the run restores the parts and the generator.

    Raises PosecError where the state on disk cannot be read or belongs to a run with other settings.
    """

    def __init__(
        self, out: str | Path, config: Settings, parts: Mapping[str, Stateful], generator: torch.Generator
    ) -> None:
        self.out = Path(out)
        self.parts, self.generator = parts, generator
        self.settings = json.dumps(asdict(config))
        self.state_path, self.log_path = self.out.with_suffix(".state"), self.out.with_suffix(".jsonl")
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.first = self._resume() if self.state_path.exists() else 0
        self._trim_log()
        self.started = time.monotonic()

    def report(self, step: int, figures: Mapping[str, float]) -> None:
        """Append a line of figures to the log and print it; `seconds` counts from the start or resumption."""
        record = {"step": step, **figures, "seconds": time.monotonic() - self.started}
        line = json.dumps(
            {
                name: float(f"{value:.5g}") if isinstance(value, float) else value
                for name, value in record.items()
            }
        )
        with self.log_path.open("a") as log:
            log.write(line + "\n")
        print(line, flush=True)

    def keep(self, step: int, model: nn.Module) -> None:
        """Write the model's weights and everything needed to resume after `step` steps, whole or not at all."""
        save_weights(self.out, model)
        state = {name: part.state_dict() for name, part in self.parts.items()}
        with write_whole(self.state_path) as file:
            torch.save(
                {"settings": self.settings, "step": step, "generator": self.generator.get_state(), **state},
                file,
            )

    def finish(self, model: nn.Module) -> None:
        """Write the final weights; there is nothing to resume any more."""
        save_weights(self.out, model)
        self.state_path.unlink(missing_ok=True)

    def _resume(self) -> int:
        try:
            # torch also reads an older format that is not a zip file, and fails on torn ones in many ways.
            if not zipfile.is_zipfile(self.state_path):
                raise RuntimeError("not a state that a run has written")
            state = torch.load(self.state_path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError) as error:
            raise PosecError(
                f"cannot resume from '{self.state_path}': {error}; delete it to start anew"
            ) from error
        if state["settings"] != self.settings:
            raise PosecError(
                f"'{self.state_path}' belongs to a run with {state['settings']}, asked: {self.settings}; delete it or give another output"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        return int(state["step"])

    def _trim_log(self) -> None:
        # What a killed run reported after its last state is about to be done again.
        lines = self.log_path.read_text().splitlines() if self.first and self.log_path.exists() else []
        write_plain(
            self.log_path, "".join(line + "\n" for line in lines if json.loads(line)["step"] <= self.first)
        )


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a network's tensors as safetensors, whole or not at all."""
    write_plain(
        path, save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})
    )


def one_cycle(step: int, steps: int, peak: float, warm_up: float = 0.05) -> float:
    """Return the learning rate of a step: a linear rise over the share `warm_up` of all steps, then half a cosine to 0."""
    done = (step + 1) / max(steps, 1)
    if done < warm_up:
        return peak * done / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def keep_memory() -> bool:
    """Have the C library keep what is freed, for the next step to use again; say whether it can (glibc's does).

    Else every step gets its gigabytes anew from the system, which clears them first: 40 % of a step's time on two cores.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return the context in which a training computes its networks: bfloat16 where the device has it, else float32.

    A CPU without it emulates it, 17 times slower than float32.
    """
    able = {
        "cpu": torch.cpu._is_avx512_bf16_supported,
        "cuda": lambda: torch.cuda.is_bf16_supported(including_emulation=False),
    }
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=device.type in able and able[device.type]()
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where to compute: by default on a CUDA GPU, where there is one."""
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", default=default, help=f"torch device (default: cuda where there is one, here {default})"
    )
