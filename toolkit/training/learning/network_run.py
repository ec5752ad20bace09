"""One training run of the image network: what a step changes, its log, and how it goes on after a kill."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import PosecError
from ...network.network import KeypointNetwork
from ...runtime.files.plain_files import write_plain, write_whole
from ...runtime.pose import PoseSpec
from ..run.parallel import average_gradients, processes
from .keypoint_distillation import KeypointAnchor
from .network_settings import NetworkTraining
from .step_losses import FURTHER_LOSSES, step_losses


class NetworkRun:
    """A network in training: what a step changes, and what is saved and resumed."""

    def __init__(
        self, config: NetworkTraining, network: KeypointNetwork, anchor: KeypointAnchor | None, device: str
    ) -> None:
        network.trunk.freeze()
        self.config, self.device = config, torch.device(device)
        self.network = network.to(self.device).train()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from its type stubs
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.anchor = anchor.to(self.device) if anchor is not None else None
        slow = network.slow_parameters()
        if not config.trunk_rate:
            for parameter in slow:
                parameter.requires_grad_(False)
        self.trunk = [p for p in slow if p.requires_grad]
        self.rest = [p for p in network.parameters() if all(p is not other for other in slow)]
        groups = [{"params": self.rest}, {"params": self.trunk}]
        self.optimizer = torch.optim.AdamW(
            groups, config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        self.step = 0
        self.spent_s = 0.0

    @property
    def pictures(self) -> int:
        """Pictures learned from, by all processes."""
        return self.step * self.config.batch * processes()

    @property
    def done(self) -> float:
        """Share of the run that is over."""
        if self.config.pictures:
            return self.pictures / self.config.pictures
        return self.spent_s / (60 * self.config.minutes)

    def learn(
        self, batch: dict[str, Tensor], spec: PoseSpec, decode: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        """Take one step on packed pictures; return the losses and the gradient norms."""
        config = self.config
        pace = min(1.0, (self.step + 1) / config.warm_up) * (
            0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.done)))
        )
        for group, rate in zip(
            self.optimizer.param_groups, (config.learning_rate, config.trunk_rate), strict=True
        ):
            group["lr"] = rate * pace
        batch = {name: values.to(self.device, non_blocking=True) for name, values in batch.items()}
        losses = step_losses(self.network, self.average, self.anchor, config, self.step, batch, spec, decode)
        weights = {**config.losses, **{name: getattr(config, name) for name in FURTHER_LOSSES}}
        loss = sum(
            (weights[name] * value for name, value in losses.items() if name in weights),
            torch.zeros((), device=self.device),
        )
        self.optimizer.zero_grad()
        loss.backward()
        average_gradients([*self.rest, *self.trunk])
        norms = [nn.utils.clip_grad_norm_(group, config.clip_norm) for group in (self.rest, self.trunk)]
        if all(bool(torch.isfinite(norm)) for norm in norms):
            self.optimizer.step()
        self.step += 1
        self._follow()
        return {
            **{name: float(value.detach()) for name, value in losses.items()},
            "norm": float(norms[0]),
            "trunk_norm": float(norms[1]),
        }

    @torch.no_grad()
    def _follow(self) -> None:
        # Early on the average forgets faster, or it would keep the random start.
        decay = min(self.config.average, self.step / (20 + self.step))
        for mine, theirs in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)

    def save(self, path: Path) -> None:
        """Write everything a later process needs to go on, whole or not at all."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        with write_whole(path) as file:
            torch.save(
                {"settings": self._settings(), "step": self.step, "spent_s": self.spent_s, **parts}, file
            )

    def resume(self, path: Path) -> None:
        """Go on from what `save` wrote. Raises PosecError where that was a run with other settings, its length aside."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise PosecError(f"cannot resume from '{path}': {error}; delete it to start anew") from error
        if state["settings"] != self._settings():
            raise PosecError(
                f"'{path}' is of a run with {state['settings']}, asked: {self._settings()}; delete it or give another folder"
            )
        self.step, self.spent_s = state["step"], state["spent_s"]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "average": self.average, "optimizer": self.optimizer}

    def _settings(self) -> str:
        return json.dumps(asdict(replace(self.config, pictures=0, minutes=0.0)), sort_keys=True)


class Log:
    """Figures of a run as JSON lines, each the mean over some steps. Lines after the step resumed from are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.waiting: list[dict[str, float]] = []
        lines = path.read_text().splitlines() if step and path.exists() else []
        write_plain(path, "".join(line + "\n" for line in lines if json.loads(line)["step"] <= step))

    def add(self, run: NetworkRun, figures: dict[str, float]) -> None:
        """Take the figures of one step, and write and print a line when `report_every` have come together."""
        self.waiting.append(figures)
        if len(self.waiting) < run.config.report_every:
            return
        names = dict.fromkeys(name for step in self.waiting for name in step)
        values = {name: [step[name] for step in self.waiting if name in step] for name in names}
        about = {"pictures": run.pictures, "minutes": run.spent_s / 60, "done": run.done}
        rate = run.optimizer.param_groups[0]["lr"]
        line = {**about, "rate": rate, **{name: sum(found) / len(found) for name, found in values.items()}}
        text = json.dumps({"step": run.step, **{name: float(f"{value:.4g}") for name, value in line.items()}})
        with self.path.open("a") as log:
            log.write(text + "\n")
        print(text, flush=True)
        self.waiting = []
