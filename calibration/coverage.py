"""Choose a few hundred of many thousand frames that cover every kind of scene."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

import numpy as np

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph

from .frames import Frames, generator
from .survey import FrameStats, Progress, survey

# Bin edges: number of people, height as a fraction of the picture, mean gray level, position.
PEOPLE = (1, 2, 3, 6)
HEIGHTS = (0.15, 0.3, 0.6)
LIGHTS = (50, 90, 130, 180)
_THIRDS = (1 / 3, 2 / 3)


def cover(
    graph: Graph, frames: Frames, count: int, *, seed: int = 0, progress: Progress | None = None
) -> Frames:
    """Return `count` of the frames that cover the kinds of scene evenly; see `choose`.

    Runs the float network once over every frame. Raises PosecError for a `count` below 1.
    """
    if count < 1:
        raise PosecError(
            f"the number of calibration frames must be at least 1, got {count}; 64 to 256 are usual"
        )
    return frames.take(choose(survey(graph, frames, progress), count, seed))


def kinds(scene: FrameStats) -> list[tuple[str, int]]:
    """Return the kinds of scene that a frame belongs to: bins of people, light, height, place and look."""
    found = {("people", _bin(len(scene.scores), PEOPLE)), ("light", _bin(scene.light, LIGHTS))}
    found |= {("height", _bin(height, HEIGHTS)) for height in scene.heights}
    found |= {("place", 3 * _bin(y, _THIRDS) + _bin(x, _THIRDS)) for x, y in scene.centres}
    # Frames of one camera share the signs of the lowest frequencies.
    found.add(("look", scene.picture_hash.bits >> 55))
    return sorted(found)


def choose(scenes: Sequence[FrameStats], count: int, seed: int = 0) -> list[int]:
    """Return indices of up to `count` scenes, in the order of choice.

    Greedy: the next scene is the one with the rarest kinds among those chosen so far. A kind that was chosen
    n times counts 1 / (1 + n). The seed orders scenes of equal worth; of identical pictures one is chosen.
    """
    shown = [kinds(scene) for scene in scenes]
    shuffled = generator(seed).permutation(len(scenes))
    there: Counter[tuple[str, int]] = Counter()

    def worth(index: int) -> float:
        return sum(1 / (1 + there[kind]) for kind in shown[index])

    # Worth only falls as scenes are chosen, so a stale entry on top of the heap is an upper bound.
    heap = [(-worth(int(index)), place, int(index)) for place, index in enumerate(shuffled)]
    heapq.heapify(heap)
    chosen: list[int] = []
    taken: set[str] = set()
    while heap and len(chosen) < count:
        _, place, index = heapq.heappop(heap)
        now = -worth(index)
        if heap and now > heap[0][0]:
            heapq.heappush(heap, (now, place, index))
            continue
        there.update(shown[index])
        if scenes[index].picture_hash.sha256 not in taken:
            chosen.append(index)
            taken.add(scenes[index].picture_hash.sha256)
    return chosen


def _bin(value: float, edges: Sequence[float]) -> int:
    return int(np.searchsorted(edges, value, side="right"))
