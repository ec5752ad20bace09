"""JSON lines on a stream, such as standard output."""

from __future__ import annotations

import errno
from typing import IO

from ..console import write_out
from ..video.recording.output_error import OutputError
from ..video.result import Result
from ..video.settings import Summary


class LineSink:
    """Writes each result as a line and flushes it; a reader that has gone ends the run."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, result: Result) -> None:
        """Write one line.

        Raises BrokenPipeError if the reader has gone, OSError if the stream is closed, OutputError if its
        disk is full.
        """
        try:
            write_out(self._stream, result.line)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise OutputError(f"cannot write to standard output: {error.strerror}") from error
            raise

    def close(self, summary: Summary) -> None:
        """Leave the stream open, which belongs to the caller."""
