"""train: one stage of the reference network's training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from ..errors import PosecError
from . import EXIT_OK
from .interface.arguments import Verb, argument
from .interface.outputs import Out, check_outputs

# Stage: the module with its `main`, which has a parser of its own.
STAGES = {
    "embedding": "training.embedding.train_embedding",
    "lifter": "training.labels.train_lifter",
    "bodies": "training.render.render_bodies",
    "teacher": "training.labels.label_pictures",
    "annotations": "training.labels.annotations",
    "labels": "training.labels.label_people",
    "network": "training.learning.train_network",
    "lift": "training.learning.pretrain_lift",
    "equalize": "training.int8.equalize",
    "grid": "training.int8.snap_weights",
    "centres": "training.centres.train_centres",
    "decoder": "training.embedding.narrow_decoder",
    "ship": "training.release.export_checkpoint",
    "card": "training.release.model_card",
    "sheet": "training.release.contact_sheet",
    "samples": "training.scenes.render_samples",
    "scenes": "training.scenes.render_scenes",
    "clips": "training.scenes.render_clips",
    "errors": "training.temporal.fit_errors",
    "temporal": "training.temporal.train_temporal",
    "quantized": "commands.train_quantized",
}
VERB = Verb(
    "Run one stage of the reference network's training.",
    "posec train embedding --mocap mocap/ --out embedding.safetensors",
    [
        argument("stage", choices=list(STAGES), help="see docs/train.md"),
        argument("rest", nargs=argparse.REMAINDER, help="options of the stage; --help lists them"),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Run the stage."""
    check_outputs(_outputs(args.rest))
    try:
        stage = import_module(f"..{STAGES[args.stage]}", __package__)
    except ModuleNotFoundError as error:
        raise PosecError(f"stage '{args.stage}' needs {error.name}: pip install 'posec[train]'") from error
    stage.main(args.rest)
    return EXIT_OK


def _outputs(words: Sequence[str]) -> list[Out]:
    """Return the output among a stage's options. Every stage writes to --out."""
    named = [words[index] for index in range(1, len(words)) if words[index - 1] in ("-o", "--out")]
    named += [word.partition("=")[2] for word in words if word.startswith("--out=")]
    return [Out(name) for name in named]
