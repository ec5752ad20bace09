"""A quantization-aware finish: a network learns to say with a scheme's integers what it says in float."""

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
from ..run.runs import one_cycle
from .distillation_loss import heads_apart
from .torch_graph import Replay

# Computes the same numbers from weights that it merges, which then could not be trained one by one.
_SKIPPED = ("fuse_head_convs",)


@dataclass(frozen=True)
class Finishing:
    """Settings of the run.

    Attributes:
        steps, batch: gradient steps, and frames in each.
        learning_rate: at its highest, of Adam; a linear rise, then half a cosine.
        held: frames that are not learned from, on which the loss is told.
        seed: of the choice of frames.
        threads: of torch.
    """

    steps: int = 200
    batch: int = 4
    learning_rate: float = 3e-5
    held: int = 8
    seed: int = 0
    threads: int = 2


class Finished(NamedTuple):
    """The network, and the loss of its integers on held frames before and after."""

    graph: Graph
    before: float
    after: float


def finish(graph: Graph, target: Target, ranges: Ranges, frames: Iterable[np.ndarray], settings: Finishing = Finishing(),
           report: Callable[[int, Mapping[str, float]], None] = lambda step, figures: None) -> Finished:  # fmt: skip
    """Return the graph with weights whose integers, by the target's scheme, say what the given float weights say.

    The network with the Q/DQ that `insert_qdq` writes learns the float network's own heads (self-distillation), so no frame
    needs a label; `heads_apart` says what counts. Scales stay as they are: every weight ends on the grid of integers that it began
    on, where `insert_qdq` finds it again without a second rounding. Calibrate and export the result as any other checkpoint.

    Args:
        graph: as traced or prepared.
        target: whose back end's passes and scheme are simulated.
        ranges: of `calibration.collect` on the same graph.
        frames: BGR pictures (H, W, 3) uint8 like those that the network will see; kept in memory.
        settings: see Finishing.
        report: is told (step, {"loss": …}).

    Raises PosecError where there are too few frames, the ranges belong to another graph, or an operator cannot be trained.
    """
    prepared, job = prepare(graph), Job(target, "int8")
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    # The order of an export, with weights that gradients can reach: layers of heads stay apart, as their weights do.
    floating = lower_graph(prepared, job, skip_passes=_SKIPPED)
    integer = lower_graph(prepared, job, ranges, skip_passes=_SKIPPED, for_training=True)
    learner = prepared.copy()
    correct_biases(learner, ranges.means, target.backend.scheme(job))
    trained = _trained(learner, integer)
    pixels = _batches(floating, frames)
    if len(pixels) < settings.held + settings.batch:
        raise PosecError(
            f"{len(pixels)} frames, {settings.held} of them held back; give at least {settings.held + settings.batch}, hundreds are better"
        )
    teacher, student = Replay(floating).eval(), Replay(integer, trained)
    held, learned = pixels[: settings.held], pixels[settings.held :]

    def loss_of(frames: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(frames)
        return heads_apart(student(frames), wanted, floating)

    def held_loss() -> float:
        with torch.no_grad():
            return float(np.mean([float(loss_of(frame[None].float())) for frame in held]))

    before = held_loss()
    optimizer = torch.optim.Adam(student.parameters(), settings.learning_rate)
    for step in range(settings.steps):
        chosen = torch.randint(len(learned), (settings.batch,))
        for group in optimizer.param_groups:
            group["lr"] = one_cycle(step, settings.steps, settings.learning_rate)
        loss = loss_of(learned[chosen].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report(step + 1, {"loss": float(loss.detach())})
    _put(learner.model, {name: value.numpy() for name, value in student.on_grid().items()})
    learner.stage = Stage.TRACED  # with other weights, it is prepared anew
    return Finished(learner, before, held_loss())


def _batches(graph: Graph, frames: Iterable[np.ndarray]) -> Tensor:
    """Return (N, …) what the graph is fed for each frame, as the frame's own type: pixels are a quarter of floats."""
    batch, made = Batch(graph.spec, graph.frame), []
    for picture in frames:
        batch.fill(picture)
        made.append(batch.array.copy())
    return torch.from_numpy(np.concatenate(made)) if made else torch.zeros(0)


def _trained(learner: Graph, folded: Graph) -> Sequence[str]:
    """Return the constants that are learned: weights and biases of layers that the back end's passes left as they were."""
    kept = index_graph(folded.model).constants
    names = [name for node in weighted_layers(learner.model) for name in node.input[1:] if name in kept]
    same = index_graph(learner.model).constants
    return [
        name
        for name in dict.fromkeys(names)
        if kept[name].SerializeToString() == same[name].SerializeToString()
    ]


def _put(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(
                numpy_helper.from_array(np.ascontiguousarray(values[tensor.name], np.float32), tensor.name)
            )
