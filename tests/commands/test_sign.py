"""Signatures: keygen, sign, verify --key and run --require-signature; every change of a bundle is refused."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys

import pytest
from command_line import refusal, run
from processes import ROOT, posec
from tiny_bundles import write_tiny_bundle

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Path of a pair of keys without a suffix, and of another pair beside it."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("release", "other"):
        assert run("keygen", folder / name) == 0
    return folder / "release"


@pytest.fixture
def signed(keys, tmp_path):
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    assert run("sign", folder, "--key", f"{keys}.key") == 0
    return folder


def verified(capsys, bundle, key):
    return refusal(capsys, "verify", bundle, "--key", key)


def test_a_signed_bundle_is_verified_and_runs(signed, keys, pictures, capsys):
    assert run("verify", signed, "--key", f"{keys}.pub") == 0
    assert "the signature is valid" in capsys.readouterr().err
    for module in (["run"], []):
        done = posec(
            *module, signed, "--source", pictures, "--require-signature", f"{keys}.pub",
            module="toolkit" if module else "toolkit.runtime",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_another_key_is_refused(signed, keys, pictures, capsys):
    other = keys.with_name("other.pub")
    assert "is not signed by the owner of" in verified(capsys, signed, other)
    assert "is not signed" in refusal(
        capsys, "run", signed, "--source", pictures, "--require-signature", other
    )


def test_a_bundle_without_a_signature_runs_only_where_none_is_required(keys, pictures, tmp_path, capsys):
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    words = ["run", folder, "--source", pictures]
    assert "has no signature; sign it" in refusal(capsys, *words, "--require-signature", f"{keys}.pub")
    assert run(*words) == 0


@pytest.mark.parametrize("name", ["model.onnx", "pose.npz", "golden/people.json"])
def test_a_changed_file_is_refused_though_its_hash_is_adjusted(signed, keys, name, capsys):
    import hashlib

    path = signed / name
    path.write_bytes(path.read_bytes() + b" ")
    assert "its hash differs" in verified(capsys, signed, f"{keys}.pub")
    description = json.loads((signed / "bundle.json").read_text())
    description["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (signed / "bundle.json").write_text(json.dumps(description, indent=1))
    assert "or was changed since" in verified(capsys, signed, f"{keys}.pub")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"algorithm": "none", "signature": ""}',
        b'{"algorithm": "Ed25519", "signature": "?"}',
    ],
)
def test_what_is_no_signature_is_refused(signed, keys, content, capsys):
    (signed / "signature.json").write_bytes(content)
    message = verified(capsys, signed, f"{keys}.pub")
    assert "signature" in message


def test_a_key_inside_the_bundle_is_refused(signed, keys, tmp_path, capsys):
    shutil.copy(f"{keys}.pub", signed / "release.pub")
    assert "lies in the bundle" in verified(capsys, signed, signed / "release.pub")
    (tmp_path / "link.pub").symlink_to(signed / "release.pub")
    assert "lies in the bundle" in verified(capsys, signed, tmp_path / "link.pub")


def test_keys_of_the_wrong_kind_are_refused(signed, keys, tmp_path, capsys):
    assert "is no public key in PEM" in verified(capsys, signed, f"{keys}.key")
    assert "is no private key in PEM" in refusal(capsys, "sign", signed, "--key", f"{keys}.pub")
    (tmp_path / "text").write_text("no key")
    assert "is no public key" in verified(capsys, signed, tmp_path / "text")
    if shutil.which("openssl"):
        command = ["openssl", "genpkey", "-algorithm", "X25519", "-out", str(tmp_path / "x.key")]
        subprocess.run(command, check=True, capture_output=True)
        assert "another algorithm" in refusal(capsys, "sign", signed, "--key", tmp_path / "x.key")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_keys_of_openssl_work(tmp_path):
    key, public = tmp_path / "o.key", tmp_path / "o.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    folder = write_tiny_bundle(tmp_path / "bundle").folder
    assert run("sign", folder, "--key", key) == 0
    assert run("verify", folder, "--key", public) == 0


def test_a_secret_key_is_for_its_owner_and_keys_are_never_replaced(keys, tmp_path, capsys):
    assert stat.S_IMODE(keys.with_suffix(".key").stat().st_mode) == 0o600
    before = keys.with_suffix(".key").read_bytes()
    assert "never replaced" in refusal(capsys, "keygen", keys)
    assert keys.with_suffix(".key").read_bytes() == before


def test_a_board_without_the_library_refuses_with_the_way_out(signed, keys, pictures):
    hide = (
        "import sys; sys.modules['cryptography'] = None; "
        "from toolkit.runtime.__main__ import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", hide, signed, "--source", pictures, "--require-signature", f"{keys}.pub"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "pip install cryptography. A board without it can run" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["keygen", "sign"])
def test_a_host_without_the_library_names_it(signed, keys, tmp_path, verb):
    words = {"keygen": [tmp_path / "new"], "sign": [signed, "--key", f"{keys}.key"]}[verb]
    hide = "import sys; sys.modules['cryptography'] = None; from toolkit.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", hide, verb, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "pip install cryptography" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_is_reached_through_the_bundle_is_refused(signed, keys, tmp_path, capsys):
    (signed / "owner.pub").symlink_to(f"{keys}.pub")
    (tmp_path / "near.pub").symlink_to(signed / "owner.pub")
    for key in (signed / "owner.pub", tmp_path / "near.pub"):
        assert "lies in the bundle" in refusal(capsys, "verify", signed, "--key", key)
    (tmp_path / "far.pub").symlink_to(f"{keys}.pub")
    assert run("verify", signed, "--key", tmp_path / "far.pub") == 0


@pytest.mark.parametrize("is_link", [True, False])
def test_a_signature_that_is_a_link_or_a_folder_is_neither_read_nor_written(
    signed, keys, tmp_path, capsys, is_link
):
    path, precious = signed / "signature.json", tmp_path / "precious"
    path.rename(precious)
    content = precious.read_bytes()
    path.symlink_to(precious) if is_link else path.mkdir()
    assert "is not a plain file" in refusal(capsys, "verify", signed, "--key", f"{keys}.pub")
    assert "is not a plain file" in refusal(capsys, "sign", signed, "--key", f"{keys.with_name('other')}.key")
    assert precious.read_bytes() == content


def test_a_pair_of_keys_is_whole_or_not_there(tmp_path):
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (115, 115))\n"
    script += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    script += "from toolkit.commands.keygen import run; from argparse import Namespace\n"
    script += "run(Namespace(name=sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a"], cwd=ROOT, capture_output=True, text=True
    )
    assert "File too large" in done.stderr
    assert not list(tmp_path.iterdir())
