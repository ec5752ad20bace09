"""A systemd unit that runs a bundle: watchdog, restarts, a separate user, and no more rights than needed.

The options are those of systemd 247 and later (Debian 11, Ubuntu 22.04); see systemd.exec(5).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import PosecError
from ..runtime.console import redact
from ..runtime.files.plain_files import read_plain
from .run_options import check_path

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@+=:,./-")
# A camera that hangs is noticed after this time; then it is tried for the run's --retry.
_MARGIN_S = 60
# A Jetson builds the plan of a network at the first start.
_FIRST_START_S = 1800
_LARGEST_UNIT = 2**20
_HEADING = "# Written by `posec service`. Install:"

_UNIT = (
    _HEADING
    + """
#   sudo cp {name}.service /etc/systemd/system/
#   sudo systemctl daemon-reload && sudo systemctl enable --now {name}
# Look:   systemctl status {name}; journalctl -u {name}
[Unit]
Description=People in the pictures of {source} (posec)
After=network-online.target
Wants=network-online.target
# Restart for ever: a camera may be away for days.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
# JSON lines go to the recording and the sockets; messages go to the journal.
StandardOutput=null
# No people or empty pictures for so long: the run hangs.
WatchdogSec={watchdog_s}
TimeoutStartSec={start_s}
TimeoutStopSec=30
Restart=always
RestartSec=10

# A separate user, which owns /var/lib/{name}, /var/cache/{name} and /run/{name} and nothing else.
User={name}
DynamicUser=yes
SupplementaryGroups=video
StateDirectory={name}
StateDirectoryMode=0750
RuntimeDirectory={name}
RuntimeDirectoryMode=0755
CacheDirectory={name}
CacheDirectoryMode=0700
Environment=POSEC_CACHE=/var/cache/{name}/plans
WorkingDirectory=/var/lib/{name}
UMask=0027

# It reads the bundle and the camera, and writes its recording.
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectClock=no
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
)


@dataclass(frozen=True)
class Service:
    """A run that systemd starts.

    Attributes:
        name: of the unit, its user and its folders.
        python: full path of the board's Python, or of the `python` that a deployment wrote.
        bundle: full path of the bundle on the board.
        sources: cameras or addresses.
        options: further options of the run.
        retry_s: the run's --retry.
    """

    name: str
    python: str
    bundle: str
    sources: Sequence[str]
    options: Sequence[str]
    retry_s: float


def unit_text(service: Service) -> str:
    """Return the unit file. Raises PosecError for a relative path, and for words that are not printable."""
    for what, path in (("the bundle", service.bundle), ("--python", service.python)):
        check_path(path, what)
    words = [service.python, "-m", "toolkit.runtime", service.bundle, "--source", *service.sources]
    words += service.options
    for word in words:
        if not word.isprintable():
            raise PosecError(f"a service takes printable words, got {word!r}")
    return _UNIT.format(
        name=service.name,
        source=redact(" ".join(service.sources)).replace("%", "%%"),
        command=" ".join(map(quoted, words)),
        watchdog_s=int(service.retry_s) + _MARGIN_S,
        start_s=int(service.retry_s) + _FIRST_START_S,
    )


def check_replaced(path: str, service: Service) -> None:
    """Raise PosecError if a file is there that is not an earlier unit of the same bundle."""
    if not os.path.lexists(path):
        return
    text = read_plain(path, most_bytes=_LARGEST_UNIT, error=PosecError).decode("utf-8", "replace")
    if not text.startswith(_HEADING):
        raise PosecError(f"'{path}' is there and `posec service` did not write it; name another file")
    if f" -m toolkit.runtime {quoted(service.bundle)} " not in text:
        raise PosecError(f"'{path}' is the unit of another bundle; name another file, or remove it first")


def quoted(word: str) -> str:
    """Return a word as systemd.service(5) reads it: quoted, without specifiers and variables."""
    if word and set(word) <= _SAFE:
        return word
    for letter, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(letter, escaped)
    return f'"{word}"'
