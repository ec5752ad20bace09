"""JSON lines on a stream, such as standard output."""

from __future__ import annotations

from typing import IO

from ..console import write_out
from ..video.result import Result
from ..video.settings import Summary


class LineSink:
    """Writes each result as a line and flushes it; a reader that has gone ends the run."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, result: Result) -> None:
        """Write one line. Raises BrokenPipeError and OSError as `console.write_out` does."""
        write_out(self._stream, result.line)

    def close(self, summary: Summary) -> None:
        """Leave the stream open, which belongs to the caller."""
