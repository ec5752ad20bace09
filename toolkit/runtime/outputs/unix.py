"""JSON lines for the programs that connect to a Unix socket."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import List, Optional, Tuple

from ..console import Report, printable, say
from ..errors import PoseError
from ..video.result import Result
from ..video.settings import Summary

MOST_READERS = 16
LONGEST_PATH = 107  # bytes that Linux takes


def check_length(path: str) -> None:
    """Raise PoseError for a path that no socket can have."""
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        raise PoseError(
            f"--unix takes the path of a socket, such as /run/posec/people.sock, of 1 to {LONGEST_PATH} bytes"
        )


class _Reader:
    """A connected program; it gets whole lines, and misses those that it is too slow for."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self._rest, self.lost = connection, b"", 0

    def send(self, content: bytes) -> bool:
        """Send what the connection takes at once; return False if the program has gone."""
        if self._rest:
            is_here = self._send_rest()
            if self._rest:
                self.lost += 1
                return is_here
        self._rest = content
        return self._send_rest()

    def _send_rest(self) -> bool:
        try:
            self._rest = self._rest[self.connection.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


class UnixSink:
    """Listens on a Unix socket, and sends every line to all programs that are connected.

    It never waits: a program that reads too slowly misses whole lines.
    The owner and the group of the process may connect.
    """

    def __init__(self, path: str, report: Report = say) -> None:
        """Listen on a path. Raises PoseError if it is taken or cannot be used."""
        self._path, self._report = path, report
        self._readers: List[_Reader] = []
        self._lost = 0
        self._is_in_place = True
        self._server, self._inode = _listen(path)

    def write(self, result: Result) -> None:
        """Send one line to every program."""
        self._keep_listening()
        self._accept()
        if not self._readers:
            return
        content = result.line.encode()
        gone = [reader for reader in self._readers if not reader.send(content)]
        for reader in gone:
            self._drop(reader)

    def _keep_listening(self) -> None:
        """Listen again if the socket was removed; report it once if the path is taken."""
        if not self._is_in_place or _inode(self._path) == self._inode:
            return
        try:
            server, self._inode = _listen(self._path)
        except PoseError as error:
            self._is_in_place = False
            self._report(f"--unix {_shown(self._path)} was removed, and no program can connect: {error}")
            return
        self._server.close()
        self._server = server
        self._report(f"--unix {_shown(self._path)} was removed, and is there again")

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # none is waiting
                return
            if len(self._readers) >= MOST_READERS:
                connection.close()
                continue
            connection.setblocking(False)
            self._readers.append(_Reader(connection))

    def _drop(self, reader: _Reader) -> None:
        reader.connection.close()
        self._lost += reader.lost
        self._readers.remove(reader)

    def close(self, summary: Summary) -> None:
        """Disconnect all programs and remove the socket."""
        for reader in list(self._readers):
            self._drop(reader)
        self._server.close()
        if _inode(self._path) == self._inode:
            with suppress(OSError):
                os.unlink(self._path)
        if self._lost:
            self._report(f"--unix {_shown(self._path)}: slow programs missed {self._lost} lines")


def _listen(path: str) -> Tuple[socket.socket, Optional[int]]:
    """Return a socket that listens on a path, and its inode. Raises PoseError if the path cannot be had."""
    _remove_abandoned(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(path)
        os.chmod(path, 0o660)
        server.listen(MOST_READERS)
    except (OSError, ValueError) as error:
        server.close()
        reason = getattr(error, "strerror", None) or error
        raise PoseError(f"cannot listen on '{_shown(path)}': {reason}; name another path") from error
    server.setblocking(False)
    return server, _inode(path)


def _inode(path: str) -> Optional[int]:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None


def _remove_abandoned(path: str) -> None:
    """Remove a socket that no process listens on. Raises PoseError if the path is taken."""
    check_length(path)
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise PoseError(f"'{_shown(path)}' is there already and is no socket; name another path")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except OSError as error:
        raise PoseError(f"cannot listen on '{_shown(path)}': {error.strerror}; name another path") from error
    finally:
        probe.close()
    raise PoseError(f"another process listens on '{_shown(path)}'; stop it, or name another path")


def _shown(path: str) -> str:
    return printable(path, keep="")
