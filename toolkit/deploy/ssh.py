"""A connection to a board by OpenSSH: one login, with the user's configuration and host keys."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import PosecError
from ..runtime.console import printable

_HOST = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.\-]*(@[A-Za-z0-9_.:\[\]][A-Za-z0-9_.:%\[\]\-]*)?")
_LOST = 255  # the exit status of ssh itself
_LARGEST_ANSWER = 64 << 20
# A login shell may print a greeting; answers begin after this line.
_MARK = b"\x1eposec\n"
# Causes come before their consequences: tar's last line is "exiting with failure status".
_CAUSES = re.compile(
    r"no space left|quota exceeded|read-only file system|permission denied|file too large|input/output error",
    re.IGNORECASE,
)
_LONGEST_REASON = 300


class ConnectionLostError(PosecError):
    """A board that cannot be reached, or no longer."""


class _Running(NamedTuple):
    """A remote script: its local ssh process, and the file with its stderr."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]


class Connection:
    """Runs scripts on a board; made by `connect`."""

    def __init__(self, command: list[str], host: str) -> None:
        self._command, self.host = command, host

    def run(self, script: str, *arguments: str) -> str:
        """Run a shell script in the home folder with arguments "$1", "$2", …, and return its output.

        Raises PosecError with the cause where the script or the connection fails.
        """
        return self._finish(self._start(script, *arguments))

    def send(self, files: Mapping[str, Path | bytes], folder: str) -> int:
        """Write local files or contents into a remote folder; return their total bytes."""
        running = self._start('mkdir -p "$1" && tar -x -f - -C "$1"', folder)
        total = 0
        try:
            with tarfile.open(fileobj=running.process.stdin, mode="w|") as archive:
                for name, source in sorted(files.items()):
                    entry = tarfile.TarInfo(name)
                    entry.mode = 0o755 if isinstance(source, bytes) else 0o644
                    entry.size = size_of(source)
                    total += entry.size
                    with _opened(source) as content:
                        archive.addfile(entry, content)
        except BrokenPipeError:
            pass  # `_finish` raises with the reason from the board
        self._finish(running)
        return total

    @contextlib.contextmanager
    def converse(self, script: str, *arguments: str) -> Iterator[Conversation]:
        """Run a script during a `with` block; its input ends with the block.

        Raises PosecError where the script fails. An error inside the block takes precedence.
        """
        running = self._start(script, *arguments)
        try:
            yield Conversation(self, running)
        except BaseException:
            with contextlib.suppress(PosecError):
                self._finish(running)
            raise
        self._finish(running)

    def _start(self, script: str, *arguments: str) -> _Running:
        remote = shlex.join(["sh", "-c", f"printf '\\036posec\\n'; {script}", "posec", *arguments])
        # Errors go to a file: ssh leaves a process behind that would hold a pipe open.
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        command = [*self._command, "--", self.host, remote]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        return _Running(process, errors)

    def _finish(self, running: _Running) -> str:
        process, errors = running
        if errors.closed:
            return ""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        answer = process.stdout.read(_LARGEST_ANSWER)
        process.stdout.close()
        status = process.wait()
        errors.seek(0)
        reason = _cause(errors.read(_LARGEST_ANSWER).decode(errors="replace").strip().splitlines())
        errors.close()
        if status == _LOST:
            raise ConnectionLostError(
                f"no connection to '{self.host}': {reason or 'ssh gave no reason'}; "
                f"try: {self._command[0]} {self.host}"
            )
        if status:
            raise PosecError(f"'{self.host}' refused: {reason or f'a script ended with status {status}'}")
        return answer.partition(_MARK)[2].decode(errors="replace")


class Conversation:
    """A running script on a board that answers in lines of JSON; made by `Connection.converse`."""

    def __init__(self, connection: Connection, running: _Running) -> None:
        self._connection, self._running, self._is_past_greeting = connection, running, False

    def write_line(self, line: str) -> None:
        """Send a line. Raises PosecError where the script has ended."""
        assert self._running.process.stdin is not None
        try:
            self._running.process.stdin.write(line.encode() + b"\n")
            self._running.process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def answer(self) -> dict[str, Any]:
        """Wait for the next answer. Raises PosecError where the script ends instead."""
        assert self._running.process.stdout is not None
        while True:
            line = self._running.process.stdout.readline(_LARGEST_ANSWER)
            if not line:
                self._fail()
            if not self._is_past_greeting:
                self._is_past_greeting = line.endswith(_MARK)
                continue
            try:
                plain = json.loads(line)
            except (ValueError, RecursionError):
                plain = None
            if isinstance(plain, dict):
                return plain
            text = printable(line[:100].decode(errors="replace"))
            raise PosecError(f"'{self._connection.host}' answered {text!r} instead of JSON")

    def _fail(self) -> None:
        self._connection._finish(self._running)
        raise PosecError(f"'{self._connection.host}' ended the deployment without a reason; try again")


def size_of(source: Path | bytes) -> int:
    """Return the size in bytes of a file or of content."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


@contextlib.contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    if isinstance(source, Path):
        with source.open("rb") as content:
            yield content
        return
    with tempfile.TemporaryFile() as content:
        content.write(source)
        content.seek(0)
        yield content


def _cause(lines: list[str]) -> str:
    """Return the line of stderr with the cause: the first with a known one, else the last."""
    known = [line for line in lines if _CAUSES.search(line)]
    known = known or [f"{line} (is the disk full?)" for line in lines if "Wrote only" in line]
    return printable([*known, *lines[-1:], ""][0])[:_LONGEST_REASON]


@contextlib.contextmanager
def connect(host: str, port: int | None = None, ssh: str = "ssh") -> Iterator[Connection]:
    """Open a connection for the length of a `with` block.

    Unknown host keys are handled as ssh is configured; no option overrides that.

    Args:
        host: `user@host`, or a name of ~/.ssh/config.
        port: None takes the configured port.
        ssh: the command, with options, such as "ssh -i key".

    Raises PosecError where the host or the port is not valid, or `ssh` is missing.
    """
    if not _HOST.fullmatch(host):
        raise PosecError(f"a board is user@host or a name of ~/.ssh/config, got '{printable(host)}'")
    if port is not None and not 0 < port < 1 << 16:
        raise PosecError(f"an SSH port is a number from 1 to 65535, got {port}")
    try:
        words = shlex.split(ssh)
    except ValueError as error:
        raise PosecError(f"the SSH command cannot be split into words: {error}; close its quotes") from error
    if not words:
        raise PosecError("the SSH command is empty; leave the option out for 'ssh'")
    with tempfile.TemporaryDirectory(prefix="posec-") as folder:
        shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/%C", "-o", "ControlPersist=60"]
        alive = ["-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
        command = [*words, *shared, *alive, *([] if port is None else ["-p", str(port)])]
        try:
            yield Connection(command, host)
        except (FileNotFoundError, PermissionError) as error:
            if error.filename != command[0]:
                raise
            raise PosecError(
                f"cannot run '{command[0]}' here: {error.strerror}; install the OpenSSH client"
            ) from error
        finally:
            close, null = [*command, "-O", "exit", "--", host], subprocess.DEVNULL
            with contextlib.suppress(FileNotFoundError, PermissionError):
                subprocess.run(close, stdout=null, stderr=null, check=False)
