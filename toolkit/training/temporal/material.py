"""Random tracks for training: simulated from motion capture, and detected on clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .batches import Batch, batch_of, cropped, jumping, varied
from .error_model import ErrorModel
from .motion import MotionSource
from .simulate import SIMULATED, simulated_track
from .temporal_settings import TemporalTraining
from .tracks import Track


class Material:
    """Source of tracks: motion with an error model, and detected tracks of clips."""

    def __init__(
        self,
        source: MotionSource,
        errors: ErrorModel,
        detected: Sequence[Track],
        *,
        settings: TemporalTraining,
    ) -> None:
        self._rng = np.random.default_rng(settings.seed)
        order = self._rng.permutation(len(source.clips))
        labelled = order[: max(1, round(settings.label_share * len(order)))]
        self._source = MotionSource([source.clips[index] for index in labelled])
        self._errors, self._settings = errors, settings
        self._detected = [track for track in detected if len(track.seconds) >= settings.frames]

    def batch(self) -> Batch:
        """Return a random batch; detected tracks are without labels if the settings say so."""
        tracks = self.tracks(self._settings.batch)
        labelled = [bool(self._settings.detected_labels) or track.clip == SIMULATED for track in tracks]
        return batch_of(tracks, labelled)

    def tracks(self, count: int) -> list[Track]:
        """Return random tracks of the settings' length."""
        settings, rng = self._settings, self._rng
        real = int(count * settings.detected_share) if self._detected else 0
        chosen = [self._detected[int(rng.integers(len(self._detected)))] for _ in range(real)]
        drawn = [
            *(cropped(varied(track, rng), settings.frames, rng) for track in chosen),
            *(
                simulated_track(self._source, self._errors, rng, frames=settings.frames)
                for _ in range(count - real)
            ),
        ]
        return [jumping(track, rng) if rng.random() < settings.jump_share else track for track in drawn]
