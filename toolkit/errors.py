"""The one exception that a user sees as a sentence rather than a traceback."""

from __future__ import annotations

from .runtime.console import redact


class PosecError(ValueError):
    """A request that cannot be met: the message states what was asked, what there is and what to do, without credentials."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))
