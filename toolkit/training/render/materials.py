"""Procedural materials of floors, walls, grass and facades: colour by position in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOISE_SIZE = 256
GROUNDS_INDOORS = ("planks", "tiles", "checks", "mottled", "plain")
# A repeated entry doubles its probability.
WALLS = ("plain", "plain", "bricks", "stripes", "mottled", "planks")
# Ranges of the cell size by kind.
PITCHES_M = {
    "tiles": (0.2, 0.7),
    "checks": (0.3, 1.0),
    "planks": (0.09, 0.2),
    "bricks": (0.06, 0.1),
    "stripes": (0.08, 0.5),
    "windows": (1.8, 3.5),
    "plain": (0.5, 3),
    "mottled": (0.1, 0.8),
}


@dataclass(frozen=True)
class Material:
    """A pattern of three BGR colours with noise.

    Attributes:
        kind: plain, mottled, stripes, windows, tiles, checks, planks or bricks.
        colours: (3, 3) BGR.
        pitch_m: cell size of the pattern.
        noise: (256, 256) periodic noise, see `fractal_noise`.
        contrast: strength of the noise.
    """

    kind: str
    colours: np.ndarray
    pitch_m: float
    noise: np.ndarray
    contrast: float

    def colour_at(self, u: np.ndarray, v: np.ndarray, footprint_m: np.ndarray) -> np.ndarray:
        """Return BGR (P, 3) at surface coordinates (u, v) in metres.

        Detail finer than `footprint_m` (P,), the size of a pixel on the surface, fades out.
        """
        first, second, _ = self.colours
        rough = self._noise(u / self.pitch_m * 0.21, v / self.pitch_m * 0.21)
        if self.kind in ("plain", "mottled"):
            grain = self._noise(u / self.pitch_m * 2.3, v / self.pitch_m * 2.3)
            fine = 0.4 * grain * _fade(self.pitch_m / 4, footprint_m)
            amount = np.clip(0.5 + self.contrast * (0.6 * rough + fine), 0, 1)[:, None]
            return first + (second - first) * amount
        if self.kind == "stripes":
            fade = _fade(self.pitch_m, footprint_m)
            amount = 0.5 + 0.5 * fade * np.clip(4 * np.sin(2 * np.pi * u / self.pitch_m), -1, 1)
            return first + (second - first) * (0.9 * amount + 0.05 * rough)[:, None]
        if self.kind == "windows":
            return self._windows(u, v, rough)
        return self._cells(u, v, rough, footprint_m=footprint_m)

    def _cells(
        self, u: np.ndarray, v: np.ndarray, rough: np.ndarray, *, footprint_m: np.ndarray
    ) -> np.ndarray:
        """Return tiles, checks, planks or bricks with seams."""
        first, second, third = self.colours
        wide = {"tiles": 1.0, "checks": 1.0, "planks": 9.0, "bricks": 3.0}[self.kind]
        row = np.floor(v / self.pitch_m)
        shifts = {"planks": self._cell(row, 0 * row) * wide, "bricks": (row % 2) * 0.5 * wide}
        across = u / self.pitch_m / wide + shifts.get(self.kind, 0.0) / wide
        column = np.floor(across)
        seam_width = 0.09 if self.kind == "bricks" else 0.025
        seam = np.minimum(_edge(across) * wide, _edge(v / self.pitch_m)) < seam_width
        fade = _fade(self.pitch_m, footprint_m)
        if self.kind == "checks":
            amount = 0.5 + ((row + column) % 2 - 0.5) * fade
        else:
            amount = 0.5 + self.contrast * (self._cell(column, row) - 0.5) * fade + 0.12 * rough
        if self.kind == "planks":
            grain = self._noise(u / self.pitch_m * 0.15, v / self.pitch_m * 4)
            amount += 0.15 * grain * _fade(self.pitch_m / 3, footprint_m)
        seam_amount = (seam * _fade(self.pitch_m / 2, footprint_m))[:, None]
        colours = first + (second - first) * np.clip(amount, 0, 1)[:, None]
        return colours * (1 - seam_amount) + third * seam_amount

    def _windows(self, u: np.ndarray, v: np.ndarray, rough: np.ndarray) -> np.ndarray:
        across, up = u / self.pitch_m, v / (1.15 * self.pitch_m)
        column, row = np.floor(across), np.floor(up)
        inside = (np.abs(across - column - 0.5) < 0.27) & (np.abs(up - row - 0.5) < 0.32)
        frame = ~inside & (np.abs(across - column - 0.5) < 0.31) & (np.abs(up - row - 0.5) < 0.36)
        wall = self.colours[0] * (1 + 0.06 * rough)[:, None]
        pane = (0.35 + 0.9 * self._cell(column, row))[:, None]
        glass = self.colours[1] * pane * (1.15 - 0.3 * (up - row))[:, None]
        return np.where(inside[:, None], glass, np.where(frame[:, None], self.colours[2], wall))

    def _noise(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the periodic noise at (u, v), one period per unit, by bilinear interpolation."""
        x, y = u * NOISE_SIZE, v * NOISE_SIZE
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        a, b = x - left, y - top

        def at(i: np.ndarray, j: np.ndarray) -> np.ndarray:
            return self.noise[j % NOISE_SIZE, i % NOISE_SIZE]

        upper = at(left, top) * (1 - a) + at(left + 1, top) * a
        return upper * (1 - b) + (at(left, top + 1) * (1 - a) + at(left + 1, top + 1) * a) * b

    def _cell(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return a pseudo-random number in 0..1 for each cell."""
        mixed = column.astype(np.int64) * 73856093 ^ row.astype(np.int64) * 19349663
        return (mixed % 1009) / 1008.0


def _edge(cells: np.ndarray) -> np.ndarray:
    inside = cells - np.floor(cells)
    return np.minimum(inside, 1 - inside)


def _fade(detail_m: float, footprint_m: np.ndarray) -> np.ndarray:
    return np.clip(detail_m / (2 * footprint_m + 1e-9) - 0.5, 0, 1)


def fractal_noise(rng: np.random.Generator, power: float) -> np.ndarray:
    """Return periodic noise (256, 256) with mean 0 and standard deviation 0.5; a higher power is smoother."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(NOISE_SIZE), np.fft.fftfreq(NOISE_SIZE)))
    frequency[0, 0] = np.inf
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(0, 1, (NOISE_SIZE, NOISE_SIZE))) / frequency**power).real
    return (noise / (2 * noise.std())).astype(np.float32)


def random_material(
    rng: np.random.Generator, kinds: tuple[str, ...], brightness: tuple[float, float] = (70, 215)
) -> Material:
    """Return a random material of one of `kinds` in related colours.

    Args:
        rng: the only source of randomness.
        kinds: candidates; repeated ones are more likely.
        brightness: range of the first colour's level, 0 to 255.
    """
    kind = str(rng.choice(kinds))
    level = rng.uniform(*brightness)
    # Most surfaces are nearly grey, from cool to warm; a few are painted.
    paint = rng.normal(0, 0.025 if rng.random() < 0.8 else 0.1, 3)
    tint = 1 + paint + rng.uniform(-0.07, 0.16) * np.array([-1, 0, 1])
    if kind in ("planks", "bricks") and rng.random() < 0.7:
        tint = np.array([0.55, 0.8, 1.1]) + rng.normal(0, 0.05, 3)
    first = np.clip(level * tint, 10, 245)
    second = np.clip(first * rng.uniform(0.6, 1.25) + rng.normal(0, 3, 3), 5, 245)
    third = np.clip(first * rng.choice([0.55, 1.25]), 5, 245)
    contrast = rng.uniform(0.1, 0.3) if kind == "plain" else rng.uniform(0.3, 0.9)
    return Material(
        kind,
        np.stack([first, second, third]),
        rng.uniform(*PITCHES_M[kind]),
        fractal_noise(rng, rng.uniform(0.8, 1.6)),
        contrast,
    )


def grass(rng: np.random.Generator) -> Material:
    """Return a random material of vegetation, green to dry."""
    green = np.array([rng.uniform(30, 70), rng.uniform(90, 150), rng.uniform(60, 130)])
    return Material(
        "mottled", np.stack([green, 0.6 * green, green]), rng.uniform(0.15, 0.8), fractal_noise(rng, 0.9), 0.6
    )


def pavement(rng: np.random.Generator, brightness: tuple[float, float] = (60, 170)) -> Material:
    """Return a random material of asphalt, concrete, sand or slabs."""
    return random_material(rng, ("mottled", "mottled", "tiles", "plain"), brightness)
