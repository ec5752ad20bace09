"""Signatures of bundles: Ed25519 over bundle.json, which has the hash of every other file.

`signature.json` lies beside bundle.json. Keys are PEM files, as OpenSSL writes them.
The only module that imports the library `cryptography`, when a signature is checked or made.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Union

from ..errors import PoseError
from .plain_files import read_plain
from .plain_json import read_json

SIGNATURE = "signature.json"
ALGORITHM = "Ed25519"
LARGEST_KEY = 16 * 2**10
LARGEST_SIGNATURE = 16 * 2**10
_MOST_LINKS = 64  # the system follows 40
# A signature of a bundle is none of any other text.
_CONTEXT = b"posec bundle 1\n"


class SignatureError(PoseError):
    """A bundle without a valid signature, or a key that cannot be used."""


def check_signature(folder: Path, description: bytes, key: Union[str, Path]) -> None:
    """Raise SignatureError unless a bundle is signed by the owner of a public key.

    Args:
        folder: of the bundle.
        description: the bytes of bundle.json that are parsed.
        key: PEM file of the public key, outside the bundle's folder.
    """
    check_signature_file(folder)
    if not (folder / SIGNATURE).exists():
        raise SignatureError(f"bundle '{folder}' has no signature; sign it with `posec sign` on the host")
    plain = read_json(folder / SIGNATURE, most_bytes=LARGEST_SIGNATURE, error=SignatureError)
    try:
        if plain["algorithm"] != ALGORITHM:
            raise SignatureError(
                f"'{folder}/{SIGNATURE}' has algorithm {plain['algorithm']!r:.40}, not {ALGORITHM}"
            )
        signature = base64.b64decode(plain["signature"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError(f"'{folder}/{SIGNATURE}' is no signature; sign the bundle again") from error
    public = _public_key(key, folder)
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, _CONTEXT + description)
    except InvalidSignature as error:
        raise SignatureError(
            f"bundle '{folder}' is not signed by the owner of '{key}', or was changed since; "
            "do not run it, and get it again from its maker"
        ) from error


def check_signature_file(folder: Path) -> None:
    """Raise SignatureError if a bundle's signature is neither a plain file nor missing."""
    path = folder / SIGNATURE
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise SignatureError(f"'{path}' is not a plain file; remove it, and sign the bundle again")


class Keys(NamedTuple):
    """A pair of keys as the content of PEM files."""

    private: bytes
    public: bytes


def make_keys() -> Keys:
    """Return a new pair of keys."""
    serialization, classes = _library()
    private, pem = classes["private"].generate(), serialization.Encoding.PEM
    return Keys(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def make_signature(description: bytes, key: Union[str, Path]) -> bytes:
    """Return the content of signature.json for the bytes of a bundle.json, by a private key's PEM file."""
    private = _loaded(key, "private")
    plain: Dict[str, Any] = {
        "algorithm": ALGORITHM,
        "signature": base64.b64encode(private.sign(_CONTEXT + description)).decode("ascii"),
    }
    return json.dumps(plain, indent=1).encode()


def _public_key(key: Union[str, Path], folder: Path) -> Any:
    around = Path(os.path.realpath(folder))
    if any(around in place.parents for place in _places(key)):
        raise SignatureError(
            f"the key '{key}' lies in the bundle, where its maker could replace it; keep it elsewhere"
        )
    return _loaded(key, "public")


def _places(path: Union[str, Path]) -> Iterator[Path]:
    """Yield the places that a path leads through: itself, and the target of each link at its end."""
    for _ in range(_MOST_LINKS):
        place = Path(os.path.realpath(os.path.dirname(path))) / os.path.basename(path)
        yield place
        if not place.is_symlink():
            return
        path = place.parent / os.readlink(place)


def _loaded(key: Union[str, Path], kind: str) -> Any:
    """Return the key in a PEM file. Raises SignatureError if it is no Ed25519 key of that kind."""
    serialization, classes = _library()
    content = read_plain(key, most_bytes=LARGEST_KEY, error=SignatureError)
    try:
        if kind == "public":
            found = serialization.load_pem_public_key(content)
        else:
            found = serialization.load_pem_private_key(content, password=None)
    except Exception as error:  # the library has no common base class
        raise SignatureError(
            f"'{key}' is no {kind} key in PEM without a password; `posec keygen` makes keys"
        ) from error
    if not isinstance(found, classes[kind]):
        raise SignatureError(f"'{key}' is a {kind} key of another algorithm than {ALGORITHM}")
    return found


def _library() -> Any:
    """Return the parts of `cryptography`. Raises SignatureError if it is missing."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise SignatureError(
            f"signatures need the library cryptography ({error}): pip install cryptography. A board without "
            "it can run a bundle that `posec verify --key` checked on the host, without --require-signature"
        ) from error
    return serialization, {"public": ed25519.Ed25519PublicKey, "private": ed25519.Ed25519PrivateKey}
