"""A connection to a board by OpenSSH: scripts and files go over one login, under the user's own configuration and host keys."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import PosecError

_HOST = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.\-]*(@[A-Za-z0-9_.:\[\]][A-Za-z0-9_.:%\[\]\-]*)?")
_LOST = 255  # what ssh itself ends with


class Connection:
    """Runs scripts on a board; made by `connect`."""

    def __init__(self, command: list[str], host: str) -> None:
        self._command, self.host = command, host

    def run(self, script: str, *arguments: str) -> str:
        """Return what a shell script prints there; it finds its arguments as "$1", "$2", … and starts in the home folder.

        Raises PosecError with its last words where it fails, and where the connection does.
        """
        return self._finish(self._start(script, *arguments))

    def send(self, files: Mapping[str, Path | bytes], folder: str) -> int:
        """Write files into a folder there, name → where they are here or what they hold; return their bytes in all."""
        process = self._start('mkdir -p "$1" && tar -x -f - -C "$1"', folder)
        total = 0
        try:
            with tarfile.open(fileobj=process.stdin, mode="w|") as archive:
                for name, source in sorted(files.items()):
                    entry = tarfile.TarInfo(name)
                    entry.mode = 0o755 if isinstance(source, bytes) else 0o644
                    entry.size = len(source) if isinstance(source, bytes) else source.stat().st_size
                    total += entry.size
                    if isinstance(source, bytes):
                        with tempfile.SpooledTemporaryFile() as content:
                            content.write(source)
                            content.seek(0)
                            archive.addfile(entry, content)
                    else:
                        with source.open("rb") as content:
                            archive.addfile(entry, content)
        except BrokenPipeError:
            pass  # the other end says why
        self._finish(process)
        return total

    def _start(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        remote = shlex.join(["sh", "-c", script, "posec", *arguments])
        # ssh leaves a process behind that keeps the connection; it would hold a pipe of errors open, so they go to a file.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        return subprocess.Popen(
            [*self._command, "--", self.host, remote],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def _finish(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        answer = process.stdout.read().decode(errors="replace")
        process.stdout.close()
        status = process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        self._errors.close()
        if status == _LOST:
            raise PosecError(
                f"no connection to '{self.host}': {said[-1] if said else 'ssh ended without a word'}; try: {shlex.join(self._command[:1])} {self.host}"
            )
        if status:
            raise PosecError(
                f"'{self.host}' refused: {said[-1] if said else f'a script ended with status {status}'}"
            )
        return answer


@contextlib.contextmanager
def connect(host: str, port: int | None = None, ssh: str = "ssh") -> Iterator[Connection]:
    """Open a connection for the length of a `with` block.

    Args:
        host: `user@host`, or a name of ~/.ssh/config.
        port: None takes ssh's own.
        ssh: the command, with options of its own, such as "ssh -i key".

    Unknown host keys are refused or asked about as ssh is configured to; nothing is overridden. Raises PosecError where the
    host's name is none, or `ssh` is not there.
    """
    if not _HOST.fullmatch(host):
        raise PosecError(f"a board is user@host or a name of ~/.ssh/config, got '{host}'")
    with tempfile.TemporaryDirectory(prefix="posec-") as folder:
        shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/%C", "-o", "ControlPersist=60"]
        alive = ["-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
        command = [*shlex.split(ssh), *shared, *alive, *([] if port is None else ["-p", str(port)])]
        try:
            yield Connection(command, host)
        except FileNotFoundError as error:
            if error.filename != command[0]:
                raise
            raise PosecError(f"no command '{command[0]}' here: install the OpenSSH client") from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                subprocess.run(
                    [*command, "-O", "exit", "--", host],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
