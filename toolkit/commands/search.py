"""search: a thinner network that keeps within a board's budget, with the weights of a trained one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PosecError
from . import EXIT_OK
from .interface import inputs
from .interface.arguments import CHECKPOINT, JSON, SEED, TARGET, Verb, argument
from .interface.outputs import FolderOut
from .interface.terminal import answer, progress, say, write_text

if TYPE_CHECKING:
    import torch

    from ..network.checkpoint import Checkpoint
    from ..network.network import KeypointNetwork
    from ..training.search.candidates import Candidate, Cost
    from ..training.search.evolve import Judged
    from ..training.search.thinning import Moments

VERB = Verb(
    "Search for the input size and the channels of a thinner network within a budget of instructions on a "
    "board; it shares the weights of the checkpoint, and is not trained.",
    "posec search reference --target raspberry-pi-4 --budget 0.45 --scenes scenes/scenes.json -o small/",
    [
        CHECKPOINT,
        TARGET,
        argument(
            "--budget",
            type=float,
            required=True,
            help="instructions of an int8 inference, a share of the checkpoint's at its own size",
        ),
        argument(
            "--scenes",
            required=True,
            help="scenes.json of `posec train scenes --split val`; candidates are judged on them",
        ),
        argument(
            "--frames",
            default="samples",
            help="pictures on which the layers are fitted again (default: samples)",
        ),
        argument("--count", type=int, default=16, help="number of frames (default: 16)"),
        argument("--candidates", type=int, default=64, help="how many are judged (default: 64)"),
        argument(
            "--random",
            type=int,
            default=16,
            help="the first ones, drawn at random; later ones change the best (default: 16)",
        ),
        argument("--threads", type=int, default=1, help="of torch (default: 1)"),
        SEED,
        argument(
            "-o",
            "--out",
            type=FolderOut,
            required=True,
            help="folder for the checkpoint, the log, from which a search resumes, and its picture",
        ),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Search, and write the best network."""
    import torch

    from ..evaluation.scenes import read_scenes
    from ..training.search.evolve import Search, search
    from ..training.search.judge import judge
    from ..training.search.picture import log_picture
    from ..training.search.thinning import thin

    settings = Search(args.budget, args.candidates, args.random, seed=args.seed)
    torch.set_num_threads(args.threads)
    out, scenes = Path(args.out), read_scenes(Path(args.scenes))
    whole, cost = _whole(args.checkpoint), _cost(args)
    moments = _moments(whole, args)

    def score(candidate: Candidate) -> float:
        network = thin(whole.network, moments, candidate.shape)
        return judge(network, whole.decoder, whole.spec, size=candidate.size, scenes=scenes).pck

    judged = search(settings, cost.share, score, log=out / "search.jsonl", progress=_report)
    best = max(judged, key=lambda each: (each.score, -each.cost))
    _save(out / "checkpoint", whole, thin(whole.network, moments, best.candidate.shape), best, args)
    write_text(out / "search.svg", log_picture(judged))
    height, width = best.candidate.size
    plain = {"size": [height, width], "cost": best.cost, "pck_rel150": best.score, "candidates": len(judged)}
    text = (
        f"{out}/checkpoint: {height}x{width}, {100 * best.cost:.0f} % of the instructions, PCK_rel@150 "
        f"{best.score:.1f} % on {args.scenes}\ntrain it on: posec train network --init "
        f"{out}/checkpoint/network.safetensors"
    )
    answer(args, plain, text)
    return EXIT_OK


def _whole(name: str) -> Checkpoint:
    """Return the checkpoint. Raises PosecError where channels were left out of it before."""
    from ..frontend.trace import checkpoint_folder, split_size
    from ..network.checkpoint import load_checkpoint
    from ..network.shape import REFERENCE, NetworkShape

    folder = checkpoint_folder(split_size(name)[0])
    whole = load_checkpoint(folder)
    if NetworkShape.of(whole.network.state_dict()) != REFERENCE:
        raise PosecError(f"'{folder}' is thinned already; search from the network that it was thinned from")
    return whole


def _cost(args: argparse.Namespace) -> Cost:
    """Return the cost of candidates. Raises PosecError where the board's operators were not counted."""
    import targets

    from ..compiler.checks import lower_nominal
    from ..cost.graph_operators import named_operators
    from ..cost.predict import CostModel
    from ..ir.target import Job
    from ..passes import prepare
    from ..training.search.candidates import Cost

    target, table = targets.load(args.target), targets.operator_costs(args.target)
    if table is None:
        raise PosecError(
            f"no operators of '{target.name}' were counted; count them with `posec measure-operators`"
        )
    target.check_precision("int8")
    graph = inputs.checkpoint(args.checkpoint)
    named = named_operators(lower_nominal(prepare(graph), Job(target, "int8")))
    model = CostModel(table)
    if unknown := model.network([operator for _, operator in named]).unknown:
        raise PosecError(
            f"the table of '{target.name}' lacks {', '.join(unknown)}; "
            "count the operators of a bundle of this network with `posec measure-operators`"
        )
    return Cost(named, graph.spec.input_size, model)


def _moments(whole: Checkpoint, args: argparse.Namespace) -> dict[str, Moments]:
    """Return the moments of the layers that are fitted again, over the frames."""
    import numpy as np
    import torch

    from ..runtime.frame import FrameInput
    from ..runtime.preprocess import Batch
    from ..training.search.thinning import measure_moments

    frames = inputs.frames(args.frames, whole.spec, args.count, seed=args.seed)
    batch = Batch(whole.spec, FrameInput(colour_order=whole.spec.colour_order))
    show = progress("frames")

    def batches() -> Iterator[torch.Tensor]:
        for number, picture in enumerate(frames, 1):
            batch.fill(picture)
            yield torch.from_numpy(np.array(batch.array))
            show(number, len(frames))

    return measure_moments(whole.network, batches())


def _save(
    folder: Path, whole: Checkpoint, found: KeypointNetwork, best: Judged, args: argparse.Namespace
) -> None:
    from ..network.checkpoint import save_checkpoint

    spec = replace(whole.spec, input_size=best.candidate.size)
    licence = inputs.checkpoint(args.checkpoint).licence
    save_checkpoint(folder, found, whole.decoder, spec=spec, licence=licence, temporal=whole.temporal)


def _report(judged: Judged, count: int) -> None:
    height, width = judged.candidate.size
    say(f"  candidate {count}: {height}x{width}, cost {judged.cost:.3f}, PCK_rel@150 {judged.score:.1f} %")
