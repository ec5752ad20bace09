"""Text for people: safe for a terminal and a journal, without credentials, and harmless where a standard stream is closed."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from typing import IO, Callable, Optional

Report = Callable[[str], None]

# scheme://user:password@host; a password may contain '@' and '/' although it should not, and spaces where the address is quoted.
_QUOTED_LOGIN = re.compile(r"(?<=['\"])([a-z][a-z0-9+.\-]{1,19}:/+)[^'\"\n]*@", re.IGNORECASE)
_LOGIN = re.compile(r"\b([a-z][a-z0-9+.\-]{1,19}:/+)[^\s'\"]*@", re.IGNORECASE)
# key=value in an address or in the properties of a GStreamer pipeline.
_SECRET = re.compile(
    r"\b(passw(?:or)?d|passphrase|pass|pwd|psw|pw|user-pw|user-id|user(?:name)?|usr|login|token|auth\w{0,20}|secret\w{0,20}|signature|sig"
    r"|(?:api|access)[_-]?(?:key|token))(=)(\"[^\"]*\"|'[^']*'|[^&\s;,!'\"]+)",
    re.IGNORECASE,
)
HIDDEN = "***"


def redact(text: str) -> str:
    """Return `text` with the logins of addresses, and the values of keys such as `password=`, replaced by `***`.

    >>> redact("cannot open 'rtsp://admin:hunter2@10.0.0.7/live?token=abc'")
    "cannot open 'rtsp://***@10.0.0.7/live?token=***'"
    """
    if "@" in text:
        for login in (_QUOTED_LOGIN, _LOGIN):
            text = login.sub(rf"\g<1>{HIDDEN}@", text)
    return _SECRET.sub(rf"\1\2{HIDDEN}", text)


def printable(text: str, keep: str = "\n\t") -> str:
    """Return `text` with control characters, marks of direction, and bytes of names that are not UTF-8, as escapes such as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(letter if letter in keep or letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def say(line: str = "") -> None:
    """Print a line for a person on standard error; without a standard error the work goes on."""
    _print(line + "\n")


def show_progress(line: str, end: str = "") -> None:
    """Replace the last line of a terminal."""
    _print(f"\r{line}{end}", keep="\r\n\t")


def _print(text: str, keep: str = "\n\t") -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(printable(redact(text), keep))
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # closed, or the terminal is gone


def put(text: str) -> None:
    """Print a command's result on standard output, as text for a person. A reader that has gone, such as `head`, is no error."""
    try:
        if sys.stdout is not None:
            write_out(sys.stdout, printable(redact(text)) + "\n")
    except BrokenPipeError:
        pass


def forget(stream: Optional[IO[str]]) -> None:
    """Send what is still buffered for a stream to the null device: its reader is gone."""
    if stream is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def open_standard_streams() -> None:
    """Open the standard streams that the caller closed, so that no file of ours gets their numbers.

    Standard input is then empty, writing to standard output an OSError, and standard error nothing.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may lack letters of a name
        sys.stdout.reconfigure(errors="backslashreplace")


def write_out(stream: IO[str], text: str = "") -> None:
    """Write text, and all that is buffered, to a stream, so that a full disk is an error here and not a message at exit.

    Raises BrokenPipeError where the reader has gone, OSError where the stream is closed or cannot be written.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        forget(stream)
        if error.errno == errno.EBADF:
            raise OSError(error.errno, "standard output is closed") from error
        raise


def flush_output() -> None:
    """Write what standard output still buffers, see `write_out`; a reader that has gone is no error."""
    try:
        if sys.stdout is not None:
            write_out(sys.stdout)
    except BrokenPipeError:
        pass
