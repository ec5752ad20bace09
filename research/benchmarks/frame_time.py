"""Time of a frame without inference, and of precisions, as ratios of two checkouts that take turns.

    python -m research.benchmarks.frame_time BUNDLES --before OTHER_CHECKOUT --seconds 60

BUNDLES holds `generic-cpu-float32`, `generic-cpu-int8`, `intel-cpu-float32`, `intel-cpu-int8` and
`intel-cpu-bfloat16`. Each checkout runs in its own processes, with its default threads. A ratio is the
median over rounds; each takes one turn per round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from toolkit.device.timing.decode_cost import crowd_heads
from toolkit.runtime import read_bundle
from toolkit.runtime.command.refusals import exit_status

HERE = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("frame_time_child.py")
SCENES = HERE / "toolkit" / "samples" / "scenes"
BUNDLES = ("generic-cpu-float32", "generic-cpu-int8", "intel-cpu-float32", "intel-cpu-int8")
FRAMES = 4
BOTH = [("after", "before")]
Turns = dict[str, Callable[[], dict[str, float]]]
Pairs = list[tuple[str, str]]


class Child:
    """A process with one checkout."""

    def __init__(self, root: Path, first: str) -> None:
        """Start it; `first` is what it imports first."""
        given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**given, "PYTHONPATH": str(root)},
        )

    def __call__(self, do: str, **request: Any) -> Any:
        """Return the answer to a request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(title: str, turns: Turns, *, pairs: Pairs, columns: tuple[str, ...], seconds: float) -> None:
    """Let turns alternate for so long; print the median of each, and of the ratios of pairs of them."""
    rounds: list[dict[str, dict[str, float]]] = []
    for turn in turns.values():
        turn()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rounds) < 5:
        rounds.append({name: turn() for name, turn in turns.items()})
    for column in columns:
        middle = {name: float(np.median([each[name][column] for each in rounds])) for name in turns}
        print(f"{title}, {column}: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in middle.items()))
        for one, other in pairs:
            ratios = [each[one][column] / each[other][column] for each in rounds]
            low, half, high = np.percentile(ratios, (25, 50, 75))
            print(
                f"    {one} / {other}: {half:.3f} ({low:.3f} to {high:.3f}, {len(rounds)} rounds)", flush=True
            )


def pictures_of(child: Child, counts: tuple[int, ...]) -> dict[int, str]:
    """Return a scene for each number of people that the network finds."""
    found: dict[int, str] = {}
    for path in sorted(SCENES.glob("*.jpg")):
        people = int(child("frames", name="intel-cpu-int8", picture=str(path), count=1)["people"])
        if people in counts:
            found.setdefault(people, str(path))
        if len(found) == len(counts):
            break
    return found


def rate(bundle: Path, *words: str) -> float:
    """Return the pictures per second that `posec run` reports for the sample clip."""
    source = ["--source", str(SCENES.parent / "clip.mp4"), "--json", *words]
    command = [sys.executable, "-m", "toolkit", "run", str(bundle), *source]
    given = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=given)
    rate = re.search(r"([\d.]+) pictures/s", done.stderr)
    assert rate, done.stderr
    return float(rate[1])


class Comparison(NamedTuple):
    """What every comparison needs: the processes by name, the folder of the bundles, and the seconds."""

    children: dict[str, Child]
    bundles: Path
    seconds: float


def frames(given: Comparison) -> None:
    """Compare the frame beside its inference, for pictures of 1, 2 and 5 people."""
    for people, picture in pictures_of(given.children["after"], (1, 2, 5)).items():
        for name in ("intel-cpu-int8", "generic-cpu-int8"):
            turns = {key: _frames(given.children[key], name, picture) for key in ("before", "after")}
            columns = ("rest", "total")
            compare(f"{name}, {people} people", turns, pairs=BOTH, columns=columns, seconds=given.seconds)


def decode(given: Comparison) -> None:
    """Compare decoding for 1, 5 and 50 people."""
    spec = read_bundle(given.bundles / "intel-cpu-int8").spec
    with tempfile.TemporaryDirectory() as folder:
        for people in (1, 5, 50):
            heads = Path(folder) / f"{people}.npz"
            np.savez(heads, **crowd_heads(spec, people))
            turns = {key: _decode(given.children[key], heads) for key in ("before", "after")}
            columns = ("decode",)
            compare(f"decode, {people} people", turns, pairs=BOTH, columns=columns, seconds=given.seconds)


def six_lines(given: Comparison) -> None:
    """Compare the order of imports: numpy and cv2 before the runtime, or after it, as in `posec run`."""
    picture = pictures_of(given.children["after"], (2,))[2]
    for name in ("intel-cpu-int8", "generic-cpu-int8"):
        turns = {key: _frames(child, name, picture) for key, child in given.children.items()}
        pairs = [(key, f"{key}, posec run") for key in ("before", "after")]
        compare(
            f"six lines, {name}", turns, pairs=pairs, columns=("total", "inference"), seconds=given.seconds
        )


def precisions(given: Comparison) -> None:
    """Compare the precisions of each engine with its float32."""
    turns = {
        f"{key} {name}": _engine(given.children[key], name) for key in ("before", "after") for name in BUNDLES
    }
    new = "intel-cpu-bfloat16"
    given.children["after"]("open_bundle", name=new, folder=str(given.bundles / new))
    turns[f"after {new}"] = _engine(given.children["after"], new)
    pairs = [(name, f"{name.rpartition('-')[0]}-float32") for name in turns if not name.endswith("float32")]
    compare("engine", turns, pairs=pairs, columns=("inference", "processor"), seconds=given.seconds)


def throughput(given: Comparison) -> None:
    """Print the throughput of `posec run` in parts of the engine's alone, with and without overlap."""
    child = given.children["after"]
    for name in ("intel-cpu-int8", "intel-cpu-float32"):
        shares: dict[str, list[float]] = {"overlap": [], "--no-overlap": []}
        for _ in range(int(given.seconds // 4) + 1):
            for words, found in shares.items():
                alone = [1000 / child("engine", name=name, count=30)["inference"]]
                reached = rate(given.bundles / name, *([words] if words.startswith("--") else []))
                alone.append(1000 / child("engine", name=name, count=30)["inference"])
                found.append(reached / float(np.mean(alone)))
        for words, found in shares.items():
            middle = f"{np.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"
            print(f"throughput of posec run over the engine alone, {name}, {words}: {middle}", flush=True)


SECTIONS = {part.__name__: part for part in (frames, decode, six_lines, precisions, throughput)}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path)
    parser.add_argument("--before", type=Path, required=True, help="another checkout of this project")
    parser.add_argument("--seconds", type=float, default=20, help="for each comparison")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options = parser.parse_args()
    roots = {"before": options.before, "after": HERE}
    children = {key: Child(root, "numpy") for key, root in roots.items()}
    children |= {f"{key}, posec run": Child(root, "posec") for key, root in roots.items()}
    for child in children.values():
        for name in BUNDLES:
            child("open_bundle", name=name, folder=str(options.bundles / name))
    for name in options.only:
        SECTIONS[name](Comparison(children, options.bundles, options.seconds))
    for child in children.values():
        child.close()


def _frames(child: Child, name: str, picture: str) -> Callable[[], dict[str, float]]:
    return lambda: child("frames", name=name, picture=picture, count=FRAMES)


def _decode(child: Child, heads: Path) -> Callable[[], dict[str, float]]:
    return lambda: child("decode", name="intel-cpu-int8", heads=str(heads), count=20)


def _engine(child: Child, name: str) -> Callable[[], dict[str, float]]:
    return lambda: child("engine", name=name, count=FRAMES)


if __name__ == "__main__":
    sys.exit(exit_status(main))
