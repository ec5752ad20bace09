"""The root of all refusals, which a user sees as a sentence rather than a traceback; see `runtime.errors`."""

from __future__ import annotations

from .runtime.errors import PosecError

__all__ = ["PosecError"]
