"""Distil the decoder of a checkpoint into a narrow one, which boards evaluate in a fraction of the time.

The narrow decoder imitates the wide one (Hinton et al., "Distilling the knowledge in a neural network", 2015)
on embeddings that the network puts out for pictures, on blends of two of them, and on random ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import PosecError
from ...evaluation.pictures import read_picture
from ...evaluation.scenes import read_scenes
from ...frontend.trace import trace
from ...ir.float_engine import float_estimator
from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.embedding import PoseEmbedding, decoder_arrays, set_decoder
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.estimator import PoseEstimator
from ..labels.label_pictures import picture_names
from ..run.configuration import add_settings, chosen_settings
from ..run.steps import one_cycle, set_learning_rates, take_step
from .fit_decoder import DecoderFit, fit_decoder, labelled_poses


@dataclass(frozen=True)
class NarrowDecoder:
    """Settings of the distillation.

    Attributes:
        hidden: width of both hidden layers.
        least_score: least center score of the cells to take embeddings from.
        noise: standard deviation that is added to embeddings of pictures; blends get twice as much.
        joint_weight: weight of squared joint distances in m² beside squared distances of bone directions.
    """

    steps: int = 12000
    batch: int = 512
    learning_rate: float = 3e-3
    hidden: int = 128
    least_score: float = 0.1
    noise: float = 0.05
    joint_weight: float = 4.0
    report_every: int = 1000
    seed: int = 0


def picture_embeddings(
    estimator: PoseEstimator, pictures: Iterable[np.ndarray], least_score: float
) -> np.ndarray:
    """Return the embeddings (N, E) of all cells of pictures (H, W, 3) whose centre score is above a limit.

    Raises PosecError where there is none.
    """
    found = []
    for picture in pictures:
        heads = estimator.heads(picture)
        found.append(heads["embedding"][:, heads["centre"][0] > least_score].T)
    embeddings = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
    if not len(embeddings):
        raise PosecError("no people in the pictures; give pictures of people in many poses")
    return embeddings


def distil(
    decoder: Mapping[str, np.ndarray], embeddings: np.ndarray, settings: NarrowDecoder
) -> dict[str, np.ndarray]:
    """Return the arrays of a narrow decoder that imitates `decoder`, and print its joint errors.

    Args:
        decoder: arrays of the wide decoder, see `network.embedding.decoder_arrays`.
        embeddings: (N, E) of pictures. Every eighth is held out, and measures the joint error.
        settings: of the distillation.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    torch.manual_seed(settings.seed)
    wide, narrow = PoseEmbedding(), PoseEmbedding(hidden=settings.hidden)
    set_decoder(wide, {name: torch.from_numpy(array) for name, array in decoder.items()})
    optimizer = torch.optim.Adam(narrow.decoder.parameters(), settings.learning_rate)
    all_of_them = torch.from_numpy(embeddings.astype(np.float32))
    held_out = torch.arange(len(all_of_them)) % 8 == 0
    for step in range(settings.steps):
        chosen = _draw(all_of_them[~held_out], settings, generator)
        set_learning_rates(optimizer, one_cycle(step, settings.steps, settings.learning_rate))
        wanted, found = wide.decode(chosen), narrow.decode(chosen)
        joints = _distances(found, wanted).square().sum(dim=-1).mean()
        directions = (found - wanted).square().sum(dim=-1).mean()
        take_step(optimizer, settings.joint_weight * joints + directions)
        if (step + 1) % settings.report_every == 0 or step + 1 == settings.steps:
            with torch.no_grad():
                error = _distances(*(model.decode(all_of_them[held_out]) for model in (narrow, wide)))
            mm = 1000 * error.norm(dim=-1)
            print(f"step {step + 1}: {mm.mean():.2f} mm, p95 {mm.quantile(0.95):.2f} mm", flush=True)
    return decoder_arrays(narrow)


def _draw(embeddings: Tensor, settings: NarrowDecoder, generator: torch.Generator) -> Tensor:
    """Return a batch: embeddings of pictures, as many blends of two, and half as many random ones."""
    count, size = settings.batch, embeddings.shape[1]
    one, other = (embeddings[torch.randint(len(embeddings), (count,), generator=generator)] for _ in range(2))
    share = torch.rand(count, 1, generator=generator) * 1.5 - 0.25
    noise = settings.noise * torch.randn(2, count, size, generator=generator)
    uniform = torch.rand(count // 2, size, generator=generator) * 2 - 1
    return torch.cat([one + noise[0], one.lerp(other, share) + 2 * noise[1], uniform]).clamp(-1, 1)


def _distances(directions: Tensor, others: Tensor) -> Tensor:
    """Return joint differences (N, 17, 3) in m of two sets of bone directions (N, 16, 3)."""
    lengths = bone_lengths_m(device=directions.device)
    return forward_kinematics(directions, lengths) - forward_kinematics(others, lengths)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a checkpoint with a narrow decoder."""
    parser = argparse.ArgumentParser(
        prog="posec train decoder",
        description="Distil the decoder of a checkpoint into a narrow one.",
        epilog="example: posec train decoder --checkpoint snapped/ --pictures ccp/photos.tar --out narrow/",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument("--pictures", nargs="+", required=True, help="folders or plain tars of pictures")
    parser.add_argument(
        "--most", type=int, default=400, help="largest number of pictures of each (default: 400)"
    )
    parser.add_argument(
        "--scenes",
        type=Path,
        help="scenes.json of labelled scenes of the training split, to fit the result to",
    )
    parser.add_argument("--fit-steps", type=int, default=DecoderFit.steps, help="steps of that fit")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    add_settings(parser, NarrowDecoder, "decoder")
    options = parser.parse_args(arguments)
    settings = chosen_settings(options, NarrowDecoder)
    network, decoder, spec, temporal = load_checkpoint(options.checkpoint)
    pictures = (
        read_picture(source, name)
        for source in options.pictures
        for names in [picture_names(source)]
        for name in names[:: -(-len(names) // options.most)]
    )
    estimator = float_estimator(trace(str(options.checkpoint)))
    embeddings = picture_embeddings(estimator, pictures, settings.least_score)
    narrow = distil(decoder, embeddings, settings)
    if options.scenes:
        labelled = labelled_poses(estimator, read_scenes(options.scenes))
        fit = DecoderFit(steps=options.fit_steps, seed=settings.seed)
        narrow = fit_decoder(narrow, decoder, labelled=labelled, embeddings=embeddings, settings=fit)
        print(f"fitted to {len(labelled.embeddings)} labelled people")
    save_checkpoint(options.out, network, narrow, spec=spec, temporal=temporal)
    print(f"{options.out}: decoder of width {settings.hidden}, from {len(embeddings)} embeddings")


if __name__ == "__main__":
    main()
