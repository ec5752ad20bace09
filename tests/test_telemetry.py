"""Nothing is sent: in a process whose resolver counts, no command looks a host up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from networks import spot_picture, tiny_graph_of

import targets
from toolkit.compiler.build import build

ROOT = Path(__file__).parents[1]
RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
static void note(const char *what) {
    FILE *file = fopen(getenv("POSEC_LOOKUPS"), "a");
    if (file) { fprintf(file, "%s\n", what); fclose(file); }
}
int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **found) {
    note(name ? name : "?"); return EAI_NONAME;
}
struct hostent *gethostbyname(const char *name) { note(name); return 0; }
int connect(int socket, const struct sockaddr *address, socklen_t size) {
    static int (*real)(int, const struct sockaddr *, socklen_t);
    if (!real) real = dlsym(RTLD_NEXT, "connect");
    if (address->sa_family == AF_INET || address->sa_family == AF_INET6) note("connect");
    return real(socket, address, size);
}
"""
# Events are sent by threads a while after the import.
WAIT = "import time; time.sleep(4)"


@pytest.fixture(scope="module")
def resolver(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler, and Linux's LD_PRELOAD")
    source, library = (tmp_path_factory.mktemp("resolver") / name for name in ("resolver.c", "resolver.so"))
    source.write_text(RESOLVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def lookups(code: str, resolver: Path, folder: Path) -> list[str]:
    """Return the hosts that a Python process looks up, with a new home folder and telemetry allowed."""
    noted = folder / "lookups.txt"
    noted.write_text("")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "ORT_DISABLE_TELEMETRY", "TF_BUILD", "JENKINS_URL")
    }
    home = {
        "HOME": str(folder),
        "POSEC_LOOKUPS": str(noted),
        "LD_PRELOAD": str(resolver),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **home},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return noted.read_text().split()


def test_the_resolver_counts(resolver, tmp_path):
    code = "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass"
    assert lookups(code, resolver, tmp_path) == ["example.org"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import toolkit, onnxsim",
        "import toolkit, openvino",
        "import toolkit, onnxruntime",
        "import toolkit.frontend.trace, toolkit.compiler.build, calibration, targets",
    ],
    ids=["onnxsim", "openvino", "onnxruntime", "the host's packages"],
)
def test_importing_sends_nothing(code, resolver, tmp_path):
    pytest.importorskip(code.rsplit(", ", 1)[-1])
    assert lookups(f"{code}; {WAIT}", resolver, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("target", ["generic-cpu", "intel-cpu"])
def test_running_a_bundle_sends_nothing(target, resolver, tmp_path, people_pictures):
    bundle = tmp_path / "bundle"
    build(tiny_graph_of(), targets.load(target), "float32", out=bundle, golden=people_pictures)
    cv2.imwrite(str(tmp_path / "two.png"), spot_picture(2, seed=2))
    arguments = ["run", str(bundle), "--source", str(tmp_path / "two.png")]
    assert (
        lookups(f"from toolkit.cli import main; assert main({arguments!r}) == 0; {WAIT}", resolver, tmp_path)
        == []
    )


@pytest.mark.slow
def test_exporting_sends_nothing(resolver, tiny_checkpoint, tmp_path):
    arguments = ["export", str(tiny_checkpoint), "--target", "generic-cpu", "-o", str(tmp_path / "out")]
    assert (
        lookups(f"from toolkit.cli import main; assert main({arguments!r}) == 0; {WAIT}", resolver, tmp_path)
        == []
    )
