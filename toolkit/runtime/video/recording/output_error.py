"""The error of outputs, which ends a run with a separate exit status."""

from __future__ import annotations

from ...errors import PoseError


class OutputError(PoseError):
    """A folder that cannot hold a recording, or an output that cannot continue."""
