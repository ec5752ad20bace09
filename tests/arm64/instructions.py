"""Instructions of one inference on a board's CPU, emulated: `python tests/arm64/instructions.py BUNDLE …`.

These are counts, not times: caches, memory and instructions per cycle are not emulated. With one thread, the
same file gives the same number to five digits, so they show the cost of a change.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from toolkit.emulation.boards import BOARDS
from toolkit.emulation.counting import run_counted
from toolkit.emulation.root import RUNTIMES, Root, why_not
from toolkit.report.file_kinds import INSTRUCTIONS, INSTRUCTIONS_ENDING
from toolkit.runtime.bundle import read_bundle

HERE = Path(__file__).parent


def count(root: Root, runtime: str, bundle: Path) -> list[dict[str, int]]:
    """Return the instructions of two inferences, by class, on the board that the root is."""
    return run_counted(root, runtime, [str(HERE / "counted.py"), str(bundle)])


def count_all(root: Root, bundles: list[Path]) -> list[dict[str, object]]:
    """Return one row per bundle, board and library, as the report reads them."""
    rows: list[dict[str, object]] = []
    for folder in bundles:
        bundle = read_bundle(folder)
        for name, board in BOARDS.items():
            root.become(name)
            for runtime in RUNTIMES:
                counts = count(root, runtime, folder)[-1]
                rows.append(
                    {
                        "network": bundle.spec.name,
                        "precision": bundle.precision,
                        "board": board.title,
                        "cpu": board.cpu,
                        "library": runtime,
                        "instructions": counts["all"],
                        "simd": counts["simd"],
                    }
                )
                print(
                    f"{folder.name}, {board.title}, {runtime}: "
                    f"{counts['all'] / 1e6:.1f} million instructions",
                    flush=True,
                )
    return rows


def main() -> None:
    """Count what the arguments say, and write it where `posec report` finds it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "bundles", nargs="+", type=Path, help="folders that `posec export --target raspberry-pi-…` wrote"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )
    asked = parser.parse_args()
    if why := why_not():
        sys.exit(f"instructions.py: {why}")
    root = Root()
    root.mount()
    try:
        rows = count_all(root, [folder.resolve() for folder in asked.bundles])
    finally:
        root.unmount()
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"{rows[0]['network']}{INSTRUCTIONS_ENDING}"
    path.write_text(json.dumps({"format": INSTRUCTIONS.version, "counts": rows}, indent=1) + "\n")
    print(f"{path}: {len(rows)} counts")


if __name__ == "__main__":
    main()
