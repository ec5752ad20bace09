"""A quantization-aware finish: a network learns to say with a scheme's integers what it says in float."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from ..errors import PosecError
from ..graph import Graph, run_passes
from ..passes import prepare
from ..passes.bias_correction import correct_biases
from ..passes.layers import WEIGHT_AXIS, layer_name, links, weighted_layers
from ..passes.quantize import insert_qdq, stays_float
from ..ranges import Ranges
from ..refusals import check_ranges
from ..runtime.preprocess import Batch
from ..target import Job, Target
from .replay import Replay, rounded
from .runs import one_cycle

# What a cell where nobody is counts, beside 1 at a person's centre; in the centre map itself all cells count.
EMPTY = 1e-3


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
    needs a label; cells near people count most. At the end every weight that will be quantized is put on the grid of its integers, where
    `insert_qdq` finds it again without a second rounding. Calibrate and export the result as any other checkpoint.

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
    check_ranges(ranges, prepared)
    scheme, passes = target.backend.scheme(job), list(target.backend.passes(job))
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    floating, learner = prepared.copy(), prepared.copy()
    correct_biases(learner, ranges.means, scheme)
    integer = learner.copy()
    run_passes(floating, passes)
    run_passes(integer, passes)
    trained = _trained(learner, integer)
    insert_qdq(integer, ranges.tensors, replace(scheme, weights_as_integers=False, quantize_bias=False))
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
        return _distance(student(frames), wanted, floating)

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
    left = stays_float(learner, scheme)
    quantized = {node.input[1]: WEIGHT_AXIS[node.op_type] for node in weighted_layers(learner.model) if layer_name(node) not in left}
    learnt = {name: rounded(value, quantized[name] if scheme.per_channel else None) if name in quantized else value
              for name, value in student.trained.items()}  # fmt: skip
    _put(learner.model, {name: value.detach().numpy() for name, value in learnt.items()})
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
    kept = links(folded.model).constants
    names = [name for node in weighted_layers(learner.model) for name in node.input[1:] if name in kept]
    same = links(learner.model).constants
    return [name for name in dict.fromkeys(names) if kept[name].SerializeToString() == same[name].SerializeToString()]


def _distance(mine: Mapping[str, Tensor], wanted: Mapping[str, Tensor], graph: Graph) -> Tensor:
    """Return the mean squared difference of the heads, each in units of its range, cells weighted by the float centre map but for that map itself."""
    near = wanted["centre"] + EMPTY
    loss = torch.zeros(())
    for name, truth in wanted.items():
        head = graph.spec.heads[name]
        cells = near if name != "centre" and truth.shape[2:] == near.shape[2:] else torch.ones_like(truth[:, :1])
        squared = ((mine[name] - truth) / (head.high - head.low)).square().mean(1, keepdim=True)
        loss = loss + (squared * cells).sum() / cells.sum()
    return loss


def _put(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[tensor.name], np.float32), tensor.name))
