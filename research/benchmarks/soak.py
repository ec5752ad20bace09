"""Run the command for tens of thousands of pictures of a camera; sample its memory, descriptors and threads.

    python -m research.benchmarks.soak BUNDLE OUT --pictures 50000

A local camera sends small pictures over HTTP, changes their size, and breaks the connection now and then.
The run records rotated lines and overlays within a disk limit, and sends people by UDP and a Unix socket
that a slow reader drains. OUT gets samples.csv and soak.png.
"""

from __future__ import annotations

import argparse
import csv
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

PART = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
SIZES = ((120, 160), (96, 128))
PER_CONNECTION = 2500
EVERY_S = 0.012
SAMPLE_S = 2.0
COLUMNS = ("seconds", "pictures", "resident_mb", "descriptors", "threads", "recording_mb")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Handler(BaseHTTPRequestHandler):
    """Sends spots that move, as a Motion JPEG stream of PER_CONNECTION pictures."""

    connections = 0

    def do_GET(self) -> None:
        """Send one stream and end it."""
        Handler.connections += 1
        height, width = SIZES[Handler.connections % len(SIZES)]
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for number in range(PER_CONNECTION):
                content = cv2.imencode(".jpg", _spot(number, height, width))[1].tobytes()
                self.wfile.write(PART % (len(content), content))
                time.sleep(EVERY_S)
        except OSError:
            pass  # the run has ended

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def _spot(number: int, height: int, width: int) -> np.ndarray:
    """Return a picture with a bright spot that moves, which the tests' tiny network takes for a person."""
    rows, columns = np.mgrid[:height, :width]
    x = width * (0.5 + 0.3 * np.sin(number / 40))
    glow = np.exp(-((columns - x) ** 2 + (rows - height / 2) ** 2) / (2 * 10.0**2))
    light = 65 + 245 * glow
    return np.repeat(np.clip(light, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def main() -> None:
    """Run, sample, and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=50_000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    command = [sys.executable, "-m", "toolkit", "run", args.bundle, "--most", args.pictures, "--json"]
    command += ["--source", f"http://127.0.0.1:{server.server_port}/", "-o", args.out / "recording"]
    command += ["--rotate", "2MB", "--max-disk", "16MB", "--retry", 30]
    command += ["--udp", f"127.0.0.1:{receiver.getsockname()[1]}", "--unix", args.out / "people.sock"]
    started = time.monotonic()
    with (args.out / "log").open("w") as log:
        process = subprocess.Popen(map(str, command), stdout=subprocess.PIPE, stderr=log, text=True)
        counted = _Counter(process)
        threading.Thread(target=_read_slowly, args=(args.out / "people.sock", process), daemon=True).start()
        samples = []
        while process.poll() is None:
            samples.append(
                (time.monotonic() - started, counted.lines, *_sample(process.pid), _size(args.out))
            )
            _write(args.out, samples)
            time.sleep(SAMPLE_S)
    print(f"exit status {process.returncode}, {counted.lines} pictures, {Handler.connections} connections")
    plot(args.out / "samples.csv", args.out / "soak.png")


class _Counter:
    """Counts the lines that a process prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines, self._process = 0, process
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        assert self._process.stdout is not None
        for _ in self._process.stdout:
            self.lines += 1


def _read_slowly(path: Path, process: subprocess.Popen[str]) -> None:
    """Read a little from the socket now and then, more slowly than it is written."""
    while process.poll() is None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as reader:
            try:
                reader.connect(str(path))
                while reader.recv(4096):
                    time.sleep(0.5)
            except OSError:
                time.sleep(1)


def _sample(pid: int) -> tuple[float, int, int]:
    """Return resident memory in MB, open descriptors and threads of a process; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return (
            pages * PAGE_BYTES / 1e6,
            len(os.listdir(f"/proc/{pid}/fd")),
            len(os.listdir(f"/proc/{pid}/task")),
        )
    except (OSError, IndexError):
        return 0.0, 0, 0


def _size(out: Path) -> float:
    """Return the size of the recording in MB; files may vanish meanwhile."""
    total = 0
    for path in (out / "recording").glob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total / 1e6


def _write(out: Path, samples: list[tuple[float, ...]]) -> None:
    with (out / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([[round(value, 3) for value in sample] for sample in samples])


def plot(samples: Path, out: Path) -> None:
    """Draw each column over the number of pictures."""
    with samples.open(newline="") as file:
        rows = [[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)]
    values = np.array([row for row in rows if row[2]])
    panels = [_panel(values[:, 1], values[:, index], COLUMNS[index]) for index in (2, 3, 4, 5)]
    cv2.imwrite(str(out), np.vstack([np.hstack(panels[:2]), np.hstack(panels[2:])]))


def _panel(pictures: np.ndarray, values: np.ndarray, name: str) -> np.ndarray:
    height, width, margin = 260, 560, 48
    panel = np.full((height, width, 3), 255, np.uint8)
    top = max(float(values.max()), 1e-9) * 1.15
    x = margin + (width - 2 * margin) * pictures / max(float(pictures.max()), 1)
    y = height - margin - (height - 2 * margin) * values / top
    cv2.rectangle(panel, (margin, margin), (width - margin, height - margin), (200, 200, 200), 1)
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(panel, [points], False, (160, 80, 20), 1, cv2.LINE_AA)
    early, last, most = values[len(values) // 10], values[-1], values.max()
    label = f"{name}: {early:.1f} at 10 %, {last:.1f} at the end, at most {most:.1f}"
    for text, place in (
        (label, (margin, margin - 16)),
        ("0", (margin - 16, height - margin + 16)),
        (f"{pictures.max():.0f} pictures", (width - margin - 120, height - margin + 18)),
    ):
        cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1, cv2.LINE_AA)
    return panel


if __name__ == "__main__":
    main()
