"""Messages for people: printable, without credentials, and tolerant of closed standard streams."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from typing import IO, Callable, Optional

Report = Callable[[str], None]

# scheme://user:password@host; a password may contain '@' and '/', and spaces in a quoted address.
_QUOTED_LOGIN = re.compile(r"(?<=['\"])([a-z][a-z0-9+.\-]{1,19}:/+)[^'\"\n]*@", re.IGNORECASE)
_LOGIN = re.compile(r"\b([a-z][a-z0-9+.\-]{1,19}:/+)[^\s'\"]*@", re.IGNORECASE)
# key=value in an address or in the properties of a GStreamer pipeline.
_SECRET = re.compile(
    r"\b(passw(?:or)?d|passphrase|pass|pwd|psw|pw|user-pw|user-id|user(?:name)?|usr|login|token"
    r"|auth\w{0,20}|secret\w{0,20}|signature|sig"
    r"|(?:api|access)[_-]?(?:key|token))(=)(\"[^\"]*\"|'[^']*'|[^&\s;,!'\"]+)",
    re.IGNORECASE,
)
HIDDEN = "***"


def redact(text: str) -> str:
    """Return `text` with logins in addresses, and values of keys such as `password=`, replaced by `***`.

    >>> redact("cannot open 'rtsp://admin:hunter2@10.0.0.7/live?token=abc'")
    "cannot open 'rtsp://***@10.0.0.7/live?token=***'"
    """
    if "@" in text:
        for login in (_QUOTED_LOGIN, _LOGIN):
            text = login.sub(rf"\g<1>{HIDDEN}@", text)
    return _SECRET.sub(rf"\1\2{HIDDEN}", text)


def printable(text: str, keep: str = "\n\t") -> str:
    """Return `text` with escapes such as `\\x1b` for unprintable characters.

    These are control characters, marks of direction, and bytes of file names that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter in keep or letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def say(line: str = "") -> None:
    """Print a line on standard error; a closed standard error is no error."""
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
    """Print a command's result on standard output; a reader that stopped, such as `head`, is no error."""
    try:
        if sys.stdout is not None:
            write_out(sys.stdout, printable(redact(text)) + "\n")
    except BrokenPipeError:
        pass


def forget(stream: Optional[IO[str]]) -> None:
    """Discard the buffer of a stream that lost its reader."""
    if stream is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def open_standard_streams() -> None:
    """Open the standard streams that the caller closed, so that no other file gets their descriptors.

    Standard input is then empty, writing to standard output raises OSError, and standard error is discarded.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free descriptor, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may lack characters of a name
        sys.stdout.reconfigure(errors="backslashreplace")


def write_out(stream: IO[str], text: str = "") -> None:
    """Write text and flush the stream, so that a full disk raises an error here and not at exit.

    Raises BrokenPipeError if the reader has stopped, OSError if the stream is closed or cannot be written.
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
    """Flush standard output; a reader that stopped is no error."""
    try:
        if sys.stdout is not None:
            write_out(sys.stdout)
    except BrokenPipeError:
        pass
