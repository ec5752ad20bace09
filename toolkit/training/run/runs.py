"""A resumable training run: its length, clock, state, log and progress.

Every stage of the training uses it.
"""

from __future__ import annotations

import json
import pickle
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ...errors import PosecError
from ...runtime.files.plain_files import write_plain, write_whole
from .parallel import agreed

_COUNTERS = ("step", "spent_s", "generator")
# Steps taken, and the figures of a report.
Progress = Callable[[int, Mapping[str, float]], None]


class Settings(Protocol):
    """A dataclass of settings with defaults."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


class Stateful(Protocol):
    """A module or an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Restore a state."""


class RunFiles(NamedTuple):
    """Where a run keeps its state, to resume from, and its log, one JSON object a line."""

    state: Path
    log: Path

    @classmethod
    def beside(cls, out: str | Path) -> RunFiles:
        """Return the files beside an output: the same name with `.state` and `.jsonl`."""
        return cls(Path(out).with_suffix(".state"), Path(out).with_suffix(".jsonl"))


@dataclass(frozen=True)
class RunPlan:
    """How long a run is, and which settings a resumed run must have.

    Attributes:
        settings: a state with other settings is refused.
        report_every: steps between reports.
        steps: length in steps, 0 where `minutes` is the length.
        minutes: length in minutes of training, interruptions excluded.
        progress: receives each report.
    """

    settings: Settings
    report_every: int
    steps: float = 0.0
    minutes: float = 0.0
    progress: Progress = lambda step, figures: print(log_line(step, figures), flush=True)


class Run:
    """A training run that can be killed at any time and resumes from its last `keep`.

    Constructing a run restores its parts and generator where a state exists, and cuts later lines off the
    log.

    Attributes:
        step: steps taken.
        spent_s: seconds of training, interruptions excluded.

    Raises PosecError where the state cannot be read or belongs to a run with other settings.
    """

    def __init__(
        self,
        plan: RunPlan,
        parts: Mapping[str, Stateful],
        generator: torch.Generator,
        *,
        files: RunFiles | None = None,
        save: Callable[[], None] = lambda: None,
        writes: bool = True,
    ) -> None:
        """Start or resume a run.

        Args:
            plan: length and settings.
            parts: modules and optimizers, restored and kept.
            generator: the source of randomness, restored and kept.
            files: state and log; None to keep neither.
            save: writes the weights at each `keep` and at the end.
            writes: False in all but one of several processes.
        """
        self.plan, self.parts, self.generator, self.save = plan, parts, generator, save
        self.files, self.writes = files, writes and files is not None
        self.step, self.spent_s = 0, 0.0
        self._figures: list[Mapping[str, Tensor | float]] = []
        if files is not None and files.state.exists():
            self._resume(files.state)
        if files is not None and self.writes:
            _cut_log(files.log, self.step)
        self._last = time.monotonic()

    @property
    def done(self) -> float:
        """Completed share of the run; 1 or more at its end."""
        return self.step / self.plan.steps if self.plan.steps else self.spent_s / (60 * self.plan.minutes)

    @property
    def report_due(self) -> bool:
        """Whether the last step was a multiple of `report_every`."""
        return self.step > 0 and self.step % self.plan.report_every == 0

    def advance(self, figures: Mapping[str, Tensor | float]) -> None:
        """Count a step and its time, and collect its figures for the next report."""
        now = time.monotonic()
        self.spent_s, self._last = self.spent_s + agreed(now - self._last), now
        self.step += 1
        if self.writes or self.files is None:
            detached = {
                name: value.detach() if isinstance(value, Tensor) else value
                for name, value in figures.items()
            }
            self._figures.append(detached)

    def report(self, further: Mapping[str, float] | None = None) -> None:
        """Report the means of the figures since the last report, `further` figures, and the minutes."""
        names = dict.fromkeys(name for figures in self._figures for name in figures)
        values = {
            name: [float(figures[name]) for figures in self._figures if name in figures] for name in names
        }
        means = {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
        record = {**means, **(further or {}), "minutes": self.spent_s / 60}
        self._figures = []
        if self.files is not None and self.writes:
            with self.files.log.open("a") as log:
                log.write(log_line(self.step, record) + "\n")
        self.plan.progress(self.step, record)

    def keep(self) -> None:
        """Save the weights, and atomically write the state to resume from."""
        if self.files is None or not self.writes:
            return
        self.save()
        state = {name: part.state_dict() for name, part in self.parts.items()}
        about = {"settings": self._settings(), "step": self.step, "spent_s": self.spent_s}
        with write_whole(self.files.state) as file:
            torch.save({**about, "generator": self.generator.get_state(), **state}, file)

    def finish(self) -> None:
        """Save the final weights and delete the state."""
        if self.files is not None and self.writes:
            self.save()
            self.files.state.unlink(missing_ok=True)

    def _resume(self, path: Path) -> None:
        try:
            # torch also reads a legacy format, and fails on truncated files with many exceptions.
            if not zipfile.is_zipfile(path):
                raise RuntimeError("not a state that a run has written")
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or not {"settings", *_COUNTERS, *self.parts} <= set(state):
                raise RuntimeError("not the state of such a run")
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise PosecError(f"cannot resume from '{path}': {error}; delete it to start anew") from error
        if state["settings"] != self._settings():
            raise PosecError(
                f"'{path}' belongs to a run with {state['settings']}, asked: {self._settings()}; "
                "delete it or give another output"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.step, self.spent_s = int(state["step"]), float(state["spent_s"])

    def _settings(self) -> str:
        return json.dumps(asdict(self.plan.settings), sort_keys=True)


def seed_all(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Seed torch's global generators, and return a generator of the same seed on a device."""
    torch.manual_seed(seed)
    return torch.Generator(device).manual_seed(seed)


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a module's tensors atomically as safetensors."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_plain(path, save(tensors))


def log_line(step: int, figures: Mapping[str, float]) -> str:
    """Return a report as one line of JSON, with five significant digits."""
    return json.dumps({"step": step, **{name: float(f"{value:.5g}") for name, value in figures.items()}})


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines after a step: a killed run repeats what it reported after its last state."""
    lines = path.read_text().splitlines() if step and path.exists() else []
    write_plain(path, "".join(line + "\n" for line in lines if json.loads(line)["step"] <= step))
