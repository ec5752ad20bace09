"""sign: an Ed25519 signature of a bundle, which `verify --key` and `run --require-signature` check."""

from __future__ import annotations

import argparse

from . import EXIT_OK
from .interface.arguments import BUNDLE, Verb, argument
from .interface.terminal import put

VERB = Verb(
    "Sign a bundle: an Ed25519 signature over bundle.json, which has the hash of every file.",
    "posec sign intel/ --key release.key",
    [
        BUNDLE,
        argument("--key", required=True, help="private key, a PEM file of `posec keygen` or OpenSSL"),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Check the bundle and write its signature."""
    from ..runtime.bundle import read_bundle
    from ..runtime.files.bundle_files import DESCRIPTION, LARGEST_DESCRIPTION
    from ..runtime.files.plain_files import read_plain, write_plain
    from ..runtime.files.signature import SIGNATURE, check_signature_file, make_signature

    bundle = read_bundle(args.bundle)
    check_signature_file(bundle.folder)
    description = read_plain(bundle.folder / DESCRIPTION, most_bytes=LARGEST_DESCRIPTION)
    write_plain(bundle.folder / SIGNATURE, make_signature(description, args.key))
    put(f"{args.bundle}: signed")
    return EXIT_OK
