"""A folder of this machine as a board: a stand-in for ssh runs every script there, in a shell of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from toolkit.deploy.deploy import Deployed, deploy
from toolkit.deploy.slot import BoardSettings
from toolkit.runtime.bundle import Bundle

# Options up to `--`, the host, and one string for the login shell. Call number n loses the connection where
# the file `lose` holds n. The login shell runs the file `login`, as a profile.
STAND_IN = """#!/bin/sh
home={home}
for word in "$@"; do [ "$word" = -O ] && exit 0; done
printf '%s' "$*" | tr '\\n' ' ' >> $home/../calls; echo >> $home/../calls
while [ "$1" != -- ]; do shift; done
[ "$2" = pi@board ] || {{ echo "ssh: Could not resolve hostname $2" >&2; exit 255; }}
if [ -f $home/../lose ] && [ "$(wc -l < $home/../calls)" = "$(cat $home/../lose)" ]; then
  timeout 0.5 head -c 1000 > /dev/null; echo "Connection to board closed by remote host." >&2; exit 255
fi
[ -f $home/../login ] && . $home/../login
cd $home && HOME=$home exec sh -c "$3"
"""


def make_board(folder: Path) -> Path:
    """Return the home folder of a board; `ssh` in `folder` is the command that reaches it."""
    home = folder / "board" / "home"
    home.mkdir(parents=True)
    (folder / "ssh").write_text(STAND_IN.format(home=home))
    (folder / "ssh").chmod(0o755)
    return home


def send(bundle: Bundle | Path, home: Path, **options: Any) -> Deployed:
    """Deploy to the board; options of `BoardSettings` and of `deploy`."""
    where = {
        name: options.pop(name)
        for name in ("port", "ssh", "folder", "python", "wheels", "wait_s", "keep")
        if name in options
    }
    where = {"python": sys.executable, "ssh": str(home.parents[1] / "ssh"), **where}
    options = {"seconds": 0.1, "out": home.parents[1] / "results", **options}
    return deploy(bundle, "pi@board", settings=BoardSettings(**where), **options)


def command(bundle: Path, home: Path, *words: str) -> list[str]:
    """Return the command line that deploys a bundle to the board."""
    rest = [
        "--ssh",
        str(home.parents[1] / "ssh"),
        "--python",
        sys.executable,
        "--seconds",
        "0.1",
        "-o",
        str(home.parents[1] / "results"),
    ]
    return [sys.executable, "-m", "toolkit", "deploy", str(bundle), "pi@board", *rest, *words]


def what_runs_on(home: Path) -> Path:
    """Return the folder that the board's link leads to, once the bundle in it has found the golden people."""
    line = [str(home / "posec/pi5/python"), "-m", "toolkit.device", "check", str(home / "posec/pi5/bundle")]
    answer = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert json.loads(answer)["drift"]["within"]
    return (home / "posec/pi5").resolve()


def what_is_deployed(home: Path) -> list[Path]:
    """Return the folders of all deployments; the board may hold only them, links to them and packages."""
    places = sorted((home / "posec").glob(".deployed/*/*"))
    beside = [
        path
        for path in (home / "posec").iterdir()
        if path.name not in (".deployed", ".lock") and not path.name.startswith("packages-")
    ]
    assert all(path.is_symlink() for path in beside)
    return [path.resolve() for path in places]
