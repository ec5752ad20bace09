"""Predict the instructions of a network from counted operators.

An operator that was counted has its count. For another, a sum of products of its sizes is fitted to the
counted ones of its family by least squares of the error over the root of the count, with coefficients that
are not negative.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .operators import CONVOLUTIONS, Operator
from .table import CostTable

LANES = 8  # channels that the kernels compute at once, at least


class Predicted(NamedTuple):
    """The instructions of one inference, and the kinds of operators that no count covers."""

    instructions: float
    unknown: tuple[str, ...]


class CostModel:
    """Predicts operators and networks from a table; fits each family once."""

    def __init__(self, table: CostTable) -> None:
        self._table = table
        self._coefficients = lru_cache(maxsize=None)(self._fit)

    def operator(self, operator: Operator) -> float | None:
        """Return the instructions of an operator, or None where no operator of its family was counted."""
        counted = self._table.counts.get(operator)
        if counted is not None:
            return float(counted)
        coefficients = self._coefficients(operator.family)
        return None if coefficients is None else float(_terms(operator) @ coefficients)

    def network(self, operators: Iterable[Operator]) -> Predicted:
        """Return the sum over operators."""
        listed = list(operators)
        found = [self.operator(operator) for operator in listed]
        unknown = {each.title for each, count in zip(listed, found, strict=True) if count is None}
        return Predicted(sum(count for count in found if count is not None), tuple(sorted(unknown)))

    def _fit(self, family: tuple[object, ...]) -> np.ndarray | None:
        counted = {each: count for each, count in self._table.counts.items() if each.family == family}
        if not counted:
            return None
        counts = np.array(list(counted.values()), np.float64).clip(1)
        # Between the relative error, which small odd ones would govern, and the absolute one.
        terms = np.array([_terms(operator) for operator in counted]) / np.sqrt(counts)[:, None]
        # Few counts determine the first terms alone.
        terms[:, max(1, len(counts) // 2) :] = 0
        return least_squares(terms, np.sqrt(counts))


def least_squares(terms: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the coefficients (K,), none negative, that bring `terms` (N, K) nearest to `wanted` (N,).

    Columns with a negative coefficient are left out, one after the other.
    """
    kept, found = list(range(terms.shape[1])), np.zeros(terms.shape[1])
    size = np.abs(terms).max(0).clip(1e-300)
    while kept:
        scaled = np.linalg.lstsq(terms[:, kept] / size[kept], wanted, rcond=1e-10)[0]
        if scaled.min() >= 0:
            found[kept] = scaled / size[kept]
            break
        kept.pop(int(scaled.argmin()))
    return found


def _terms(operator: Operator) -> np.ndarray:
    """Return the products of sizes that the cost of an operator is a sum of, the most important first."""
    pixels = operator.height * operator.width
    inputs, outputs = (-(-channels // LANES) * LANES for channels in (operator.inputs, operator.outputs))
    taps = operator.kernel[0] * operator.kernel[1]
    if operator.kind in CONVOLUTIONS[:1]:
        products = pixels * taps * inputs * outputs
        # Other kernels compute float outputs that do not fill the lanes.
        uneven = products if operator.outputs % LANES else 0
        return np.array([products, pixels * outputs, pixels * taps * inputs, pixels, uneven, 1.0])
    return np.array([pixels * outputs, pixels, operator.height * outputs, 1.0])
