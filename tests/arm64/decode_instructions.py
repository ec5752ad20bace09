"""Count the instructions of decoding on a Raspberry Pi's CPU, by number of people.

    python tests/arm64/decode_instructions.py --against OTHER_CHECKOUT

The other checkout of this project is counted with its own code and decoder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.device.timing.decode_cost import crowd_heads
from toolkit.emulation.counting import CHECKOUT, run_counted
from toolkit.emulation.root import Root, why_not
from toolkit.frontend.trace import trace

PEOPLE = (0, 1, 5, 20, 50)


def count_decoding(root: Root, people: Sequence[int] = PEOPLE, checkout: Path = CHECKOUT) -> dict[int, int]:
    """Return number of people → instructions of one call of `decode_heads`, for the reference network."""
    graph = trace(str(checkout / "toolkit" / "reference"))
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "input.npz"
        np.savez(given, spec=json.dumps(graph.spec.to_dict()), **graph.decoder)
        paths = []
        for count in people:
            paths.append(str(Path(folder) / f"{count}.npz"))
            np.savez(paths[-1], **crowd_heads(graph.spec, count))
        script = [str(Path(__file__).parent / "counted_decode.py"), str(given), *paths]
        counted = run_counted(root, "litert", script, checkout=checkout)
    return {people: counts["all"] for people, counts in zip(people, counted, strict=True)}


def main() -> None:
    """Print a row per number of people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--board", default="raspberry-pi-5", help="default: raspberry-pi-5")
    asked = parser.parse_args()
    if why := why_not():
        sys.exit(f"decode_instructions.py: {why}")
    root = Root()
    root.mount()
    root.become(asked.board)
    counted = {"this": count_decoding(root)}
    if asked.against:
        counted["other"] = count_decoding(root, checkout=asked.against.resolve())
    for people in PEOPLE:
        found = ", ".join(f"{name} {counts[people] / 1e6:.3f}" for name, counts in counted.items())
        print(f"{people} people on a {root.board.title}: {found} million instructions")


if __name__ == "__main__":
    main()
