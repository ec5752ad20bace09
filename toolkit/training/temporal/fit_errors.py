"""Measure the error model of a network on labelled clips.

Run it as `posec train errors` or `python -m toolkit.training.temporal.fit_errors`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ...frontend.trace import trace
from ...ir.float_engine import float_estimator
from .error_model import (
    CONSTANTS_S,
    DEFAULT,
    LONGEST_MISS,
    SIZE_NODES,
    VIEW_NODES,
    ErrorModel,
    conditions,
    facing_deg,
    save_errors,
)
from .exchanges import exchanged, exchanged_keypoints
from .tracks import Track, clip_names, read_tracks, save_tracks

RANK = 48
RIDGE = 300.0  # of the bias: its conditions are few hundred independent poses
LAGS_S = (0.017, 0.034, 0.067, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
LAG_TOLERANCE = 0.25
SWAPS = (0.05, 0.08)  # of neighbours: rare, so these are assumed


class _Errors(NamedTuple):
    """Errors of the frames of one track with a detection and without an exchange of front and back."""

    values: np.ndarray  # (T, SIZE)
    conditions: np.ndarray  # (T, P)
    seconds: np.ndarray  # (T,) since the start of the track
    log_size: np.ndarray  # (T,)
    degrees: np.ndarray  # (T,)


def fit_errors(tracks: Sequence[Track]) -> ErrorModel:
    """Return the error model of tracks."""
    flipped = [exchanged(track) for track in tracks]
    errors = [_errors(track, flips) for track, flips in zip(tracks, flipped, strict=True)]
    errors = [part for part in errors if len(part.values) > 1]
    inputs, values = (
        np.concatenate([getattr(part, name) for part in errors]) for name in ("conditions", "values")
    )
    penalty = np.full(inputs.shape[1], RIDGE)
    penalty[-1] = 1e-3  # the mean
    bias = np.linalg.solve(inputs.T @ inputs + np.diag(penalty), inputs.T @ values)
    rest = [part.values - part.conditions @ bias for part in errors]
    bias[-1], bias[:-1] = inputs.mean(axis=0) @ bias, 0.0  # the part by pose is that of a few people
    unit = np.concatenate(rest).std(axis=0) + 1e-6
    rms = [np.sqrt(np.square(part / unit).mean(axis=1)) for part in rest]
    by_size = _factors(np.concatenate([part.log_size for part in errors]), np.concatenate(rms), SIZE_NODES)
    by_view = _factors(np.concatenate([part.degrees for part in errors]), np.concatenate(rms), VIEW_NODES)
    scaled = []
    for part, own in zip(errors, rest, strict=True):
        factor = np.interp(part.log_size, SIZE_NODES, by_size) * np.interp(part.degrees, VIEW_NODES, by_view)
        scaled.append(own / factor[:, None])
    tracked = [float(np.log(np.sqrt(np.square(part / unit).mean()))) for part in scaled]
    scaled = [part / np.exp(level) for part, level in zip(scaled, tracked, strict=True)]
    components, shares = _components(scaled, errors, unit * np.exp(np.mean(tracked)))
    fast = _fast_levels(scaled, errors, unit, shares.mean(axis=0))
    return ErrorModel(
        bias=bias,
        components=components,
        shares=shares,
        by_size=by_size,
        by_view=by_view,
        track_spread=np.array([np.std(tracked), np.std(np.array(tracked) + fast)]),
        fast_level=np.array(np.mean(fast)),
        flips=_spans(flipped, tracks),
        misses=_spans([~track.is_seen for track in tracks], tracks),
        swaps=np.array(SWAPS),
        flipped_keypoints=np.array(exchanged_keypoints(tracks, flipped)),
    )


def error_of(track: Track) -> np.ndarray:
    """Return errors (T, SIZE) of a track, in the order of `error_model.PARTS`."""
    record, truth = track.record, track.truth
    frames = len(record.scores)
    scale = truth.px_per_m
    joints = record.joints_px - record.centres_px[:, None] - truth.joints_px + truth.centres_px[:, None]
    columns = (
        (record.bones - truth.bones).reshape(frames, -1),
        (record.poses - truth.bones).reshape(frames, -1),
        (record.centres_px - truth.centres_px) / scale[:, None],
        (joints / scale[:, None, None]).reshape(frames, -1),
        np.log(record.px_per_m / scale)[:, None],
        record.pulls,
        record.scores[:, None],
    )
    return np.concatenate(columns, axis=1).astype(float)


def _errors(track: Track, flipped: np.ndarray) -> _Errors:
    used = track.is_seen & ~flipped
    return _Errors(
        error_of(track)[used],
        conditions(track.truth)[used],
        np.cumsum(track.seconds)[used],
        np.log2(track.truth.px_per_m)[used],
        facing_deg(track.truth.bones)[used],
    )


def _factors(at: np.ndarray, rms: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return the mean size of errors near each node, relative to that of all, shrunk where there are few."""
    width = np.diff(nodes).mean()
    found = []
    for node in nodes:
        weight = np.maximum(0, 1 - np.abs(np.clip(at, nodes[0], nodes[-1]) - node) / width)
        found.append((100 + (weight * rms).sum() / rms.mean()) / (100 + weight.sum()))
    return np.array(found)


def _components(
    scaled: Sequence[np.ndarray], errors: Sequence[_Errors], unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal components (R, SIZE) and the shares (R, 4) of their processes."""
    whitened = [part / unit for part in scaled]
    whole = np.concatenate(whitened)
    variances, vectors = np.linalg.eigh(whole.T @ whole / len(whole))
    top = np.argsort(-variances)[:RANK]
    scores = [part @ vectors[:, top] / np.sqrt(variances[top]) for part in whitened]
    correlations = _correlations(scores, [part.seconds for part in errors])
    basis = np.stack([np.ones(len(LAGS_S)), *(np.exp(-np.array(LAGS_S) / time) for time in CONSTANTS_S)], 1)
    shares = np.stack([_shares(basis, correlation) for correlation in correlations.T])
    components = np.sqrt(variances[top])[:, None] * vectors[:, top].T * unit
    return components, shares


def _fast_levels(
    scaled: Sequence[np.ndarray], errors: Sequence[_Errors], unit: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return the log size (N,) of each track's changes between frames, relative to the shares' prediction."""
    levels = []
    for part, own in zip(scaled, errors, strict=True):
        steps = np.diff(own.seconds)
        expected = 2 * (shares[3] + shares[2] * (1 - np.exp(-steps / CONSTANTS_S[1])))
        expected += 2 * shares[1] * (1 - np.exp(-steps / CONSTANTS_S[0]))
        changes = np.square(np.diff(part, axis=0) / unit).mean(axis=1)
        levels.append(0.5 * np.log(changes.mean() / expected.mean()))
    return np.array(levels)


def _correlations(scores: Sequence[np.ndarray], seconds: Sequence[np.ndarray]) -> np.ndarray:
    """Return the autocorrelation (L, R) of unit components at LAGS_S, over all pairs of frames of a track."""
    sums, counts = np.zeros((len(LAGS_S), scores[0].shape[1])), np.zeros(len(LAGS_S))
    for part, at in zip(scores, seconds, strict=True):
        lag = at[None] - at[:, None]
        for index, wanted in enumerate(LAGS_S):
            first, second = np.nonzero(np.abs(lag - wanted) < LAG_TOLERANCE * wanted)
            sums[index] += (part[first] * part[second]).sum(axis=0)
            counts[index] += len(first)
    correlations: np.ndarray = sums / np.maximum(counts, 1)[:, None]
    return correlations


def _shares(basis: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Return shares (4,), not negative and of sum 1, that fit a correlation best; a search over a simplex."""
    grid = np.linspace(0, 1, 11)
    best, least = np.array([0.0, 0.0, 0.0, 1.0]), np.inf
    for constant in grid:
        for slow in grid[grid <= 1 - constant + 1e-9]:
            for fast in grid[grid <= 1 - constant - slow + 1e-9]:
                weights = np.array([constant, slow, fast])
                error = np.square(basis @ weights - correlation).sum()
                if error < least:
                    best, least = np.array([*weights, max(0.0, 1 - weights.sum())]), error
    return best


def _spans(flags: Sequence[np.ndarray], tracks: Sequence[Track]) -> np.ndarray:
    """Return starts per second and the mean duration in seconds of the spans in which flags are set."""
    starts, set_s, total_s = 0, 0.0, 0.0
    for flag, track in zip(flags, tracks, strict=True):
        starts += int(flag[0]) + int((flag[1:] & ~flag[:-1]).sum())
        set_s, total_s = set_s + float(track.seconds[flag].sum()), total_s + float(track.seconds.sum())
    return np.array([starts / max(total_s, 1e-6), set_s / max(starts, 1)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train errors`."""
    parser = argparse.ArgumentParser(
        prog="posec train errors",
        description="Measure the errors of a network over time on labelled clips.",
        epilog="example: posec train errors --clips clips/train --out errors.safetensors --tracks tracks.npz",
    )
    parser.add_argument("--clips", type=Path, required=True, help="folder that `posec train clips` wrote")
    parser.add_argument("--checkpoint", default="reference", help="of the network (default: reference)")
    parser.add_argument("--out", type=Path, default=DEFAULT, help="file of the error model")
    parser.add_argument("--tracks", type=Path, help="also write the tracks, for `posec train temporal`")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    estimator = float_estimator(trace(given.checkpoint), threads=1)
    tracks = list(read_tracks(estimator, given.clips, clip_names(given.clips)))
    if given.tracks is not None:
        save_tracks(given.tracks, tracks)
    model = fit_errors(tracks)
    save_errors(given.out, model)
    frames = sum(len(track.seconds) for track in tracks)
    print(
        f"{len(tracks)} tracks, {frames} frames; exchanges of front and back "
        f"{model.flips[0]:.2f} per s of {model.flips[1]:.2f} s, "
        f"misses {model.misses[0]:.2f} per s of {model.misses[1]:.2f} s (at most {LONGEST_MISS} frames)"
    )


if __name__ == "__main__":
    main()
