"""A systemd unit that runs a bundle: watchdog, restarts, a separate user, and no more rights than needed.

The options are those of systemd 247 and later (Debian 11, Ubuntu 22.04); see systemd.exec(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import PosecError

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@+=:,./-")
# A camera that hangs is noticed after this time; then it is tried for the run's --retry.
_MARGIN_S = 60

_UNIT = """\
# Written by `posec service`. Install:
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
TimeoutStartSec={watchdog_s}
TimeoutStopSec=30
Restart=always
RestartSec=10

# A separate user, which owns /var/lib/{name} and /run/{name} and nothing else.
User={name}
DynamicUser=yes
SupplementaryGroups=video
StateDirectory={name}
StateDirectoryMode=0750
RuntimeDirectory={name}
RuntimeDirectoryMode=0755
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


@dataclass(frozen=True)
class Service:
    """A run that systemd starts.

    Attributes:
        name: of the unit, its user and its folders.
        python: full path of the board's Python, or of the `python` that a deployment wrote.
        bundle: full path of the bundle on the board.
        source: camera or address.
        options: further options of the run.
        retry_s: the run's --retry.
    """

    name: str
    python: str
    bundle: str
    source: str
    options: Sequence[str]
    retry_s: float


def unit_text(service: Service) -> str:
    """Return the unit file. Raises PosecError for a relative path, and for words that are not printable."""
    for what, path in (("the bundle", service.bundle), ("--python", service.python)):
        if not path.startswith("/"):
            raise PosecError(f"{what} needs a full path for systemd, got '{path}'")
    words = [service.python, "-m", "toolkit.runtime", service.bundle, "--source", service.source]
    words += service.options
    for word in words:
        if not word.isprintable():
            raise PosecError(f"a service takes printable words, got {word!r}")
    return _UNIT.format(
        name=service.name,
        source="a camera" if "@" in service.source else service.source.replace("%", "%%"),
        command=" ".join(map(quoted, words)),
        watchdog_s=int(service.retry_s) + _MARGIN_S,
    )


def quoted(word: str) -> str:
    """Return a word as systemd.service(5) reads it: quoted, without specifiers and variables."""
    if word and set(word) <= _SAFE:
        return word
    for letter, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(letter, escaped)
    return f'"{word}"'
