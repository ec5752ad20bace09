"""Quantization-aware training: a quantized network learns to reproduce the outputs of its float version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from ...errors import PosecError
from ...ir.graph import Graph, Stage
from ...ir.ranges import Ranges
from ...ir.target import Job, Target
from ...passes import prepare
from ...passes.edit.graph_index import index_graph, weighted_layers
from ...passes.quantize.bias_correction import correct_biases
from ...passes.quantize.pipeline import lower_graph
from ...runtime.preprocess import Batch
from ..run.runs import Progress, Run, RunFiles, RunPlan, seed_all
from ..run.steps import one_cycle, set_learning_rates, take_step
from .distillation_loss import distillation_loss
from .torch_graph import TorchGraph

# This pass merges weights, which could then not be trained one by one.
_SKIPPED = ("fuse_head_convs",)


@dataclass(frozen=True)
class QATSettings:
    """Settings of the run.

    Attributes:
        steps: gradient steps.
        batch: frames per step.
        learning_rate: peak rate of Adam, on a one-cycle schedule.
        held_out: frames that are not trained on, for the loss before and after.
        report_every: steps between reports.
        seed: of the choice of frames.
        threads: of torch.
    """

    steps: int = 200
    batch: int = 4
    learning_rate: float = 3e-5
    held_out: int = 8
    report_every: int = 10
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class _RunIdentity:
    """What a run that resumes must have in common with the one that was interrupted."""

    settings: QATSettings
    target: str
    graph_sha256: str


class Finetuned(NamedTuple):
    """A graph with trained weights, and the loss of its int8 version on held-out frames before and after."""

    graph: Graph
    loss_before: float
    loss_after: float


class _TrainingGraphs(NamedTuple):
    """Graphs of one network: float, with Q/DQ, and the one that receives the weights; constants to train."""

    floating: Graph
    quantized: Graph
    learner: Graph
    trained: Sequence[str]


def finetune(
    graph: Graph,
    target: Target,
    ranges: Ranges,
    *,
    frames: Iterable[np.ndarray],
    settings: QATSettings = QATSettings(),
    files: RunFiles | None = None,
    progress: Progress = lambda step, figures: None,
) -> Finetuned:
    """Return the graph with weights trained for a target's int8 scheme.

    The graph with Q/DQ learns the heads of the float graph (self-distillation with `distillation_loss`), so
    frames need no labels. Scales are constant: every weight ends on its initial int8 grid, and export finds
    the same integers again. Calibrate and export the result as any other checkpoint.

    Args:
        graph: traced or prepared.
        target: its back end's passes and scheme are simulated.
        ranges: of `calibration.collect` on the same graph.
        frames: BGR pictures (H, W, 3) uint8 like those of the application; kept in memory.
        settings: of the run.
        files: state to resume from, and log; None for neither.
        progress: receives the loss at each report.

    Raises PosecError where there are too few frames, the ranges belong to another graph, or an operator
    cannot be trained.
    """
    torch.set_num_threads(settings.threads)
    graphs = _training_graphs(graph, target, ranges)
    inputs = _inputs(graphs.floating, frames)
    least = settings.held_out + settings.batch
    if len(inputs) < least:
        raise PosecError(
            f"{len(inputs)} frames, {settings.held_out} of them held out; give at least {least}, or hundreds"
        )
    teacher, student = TorchGraph(graphs.floating).eval(), TorchGraph(graphs.quantized, graphs.trained)
    held_out, training = inputs[: settings.held_out], inputs[settings.held_out :]

    def loss_of(batch: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(batch)
        return distillation_loss(student(batch), wanted, graphs.floating)

    def held_out_loss() -> float:
        with torch.no_grad():
            return float(np.mean([float(loss_of(frame[None].float())) for frame in held_out]))

    before, generator = held_out_loss(), seed_all(settings.seed)
    optimizer = torch.optim.Adam(student.parameters(), settings.learning_rate)
    identity = _RunIdentity(settings, target.name, ranges.graph_sha256)
    plan = RunPlan(identity, settings.report_every, steps=settings.steps, progress=progress)
    run = Run(plan, {"student": student, "optimizer": optimizer}, generator, files=files)
    _train(run, optimizer, training, loss_of=loss_of, settings=settings)
    weights = {name: value.numpy() for name, value in student.quantized_constants().items()}
    _replace_constants(graphs.learner.model, weights)
    graphs.learner.stage = Stage.TRACED  # new weights must be prepared again
    return Finetuned(graphs.learner, before, held_out_loss())


def _train(
    run: Run,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    *,
    loss_of: Callable[[Tensor], Tensor],
    settings: QATSettings,
) -> None:
    """Take the steps of a run on random batches of inputs (N, …)."""
    while run.done < 1:
        chosen = torch.randint(len(inputs), (settings.batch,), generator=run.generator)
        set_learning_rates(optimizer, one_cycle(run.step, settings.steps, settings.learning_rate))
        loss = loss_of(inputs[chosen].float())
        take_step(optimizer, loss)
        run.advance({"loss": loss})
        if run.report_due:
            run.report()
            run.keep()
    run.finish()


def _training_graphs(graph: Graph, target: Target, ranges: Ranges) -> _TrainingGraphs:
    """Return the graphs of an export, with weights that gradients reach."""
    prepared, job = prepare(graph), Job(target, "int8")
    floating = lower_graph(prepared, job, skip_passes=_SKIPPED)
    quantized = lower_graph(prepared, job, ranges, skip_passes=_SKIPPED, for_training=True)
    learner = prepared.copy()
    correct_biases(learner, ranges.means, target.backend.scheme(job))
    trained = _trained(learner, quantized)
    return _TrainingGraphs(floating, quantized, learner, trained)


def _inputs(graph: Graph, frames: Iterable[np.ndarray]) -> Tensor:
    """Return the graph's input (N, …) for each frame in its own type, because uint8 needs less memory."""
    batch, arrays = Batch(graph.spec, graph.frame), []
    for picture in frames:
        batch.fill(picture)
        arrays.append(batch.array.copy())
    return torch.from_numpy(np.concatenate(arrays)) if arrays else torch.zeros(0)


def _trained(learner: Graph, folded: Graph) -> Sequence[str]:
    """Return the constants to train: weights and biases that the back end's passes left unchanged."""
    kept = index_graph(folded.model).constants
    names = [name for node in weighted_layers(learner.model) for name in node.input[1:] if name in kept]
    same = index_graph(learner.model).constants
    return [
        name
        for name in dict.fromkeys(names)
        if kept[name].SerializeToString() == same[name].SerializeToString()
    ]


def _replace_constants(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(
                numpy_helper.from_array(np.ascontiguousarray(values[tensor.name], np.float32), tensor.name)
            )
