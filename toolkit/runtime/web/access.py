"""Who may look at the viewer page: a token in the link, then a cookie."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Optional

from .address import ViewerError

# A token of one's own, so that links stay valid when a service starts again.
VARIABLE = "POSEC_WEB_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{16,128}")
_RANDOM_BYTES = 24


class Access:
    """Compares tokens in constant time.

    Attributes:
        token: the secret; empty if all users of this machine may see the page.
        is_stated: True if the user chose the token, which is then not printed.
    """

    def __init__(self, token: str, *, is_stated: bool = False) -> None:
        self.token, self.is_stated = token, is_stated

    def accepts(self, offered: Optional[str]) -> bool:
        """Return whether `offered` is the token, or none is needed."""
        if not self.token:
            return True
        return hmac.compare_digest((offered or "").encode("utf-8", "replace"), self.token.encode())

    def cookie(self, port: int) -> str:
        """Return the value of the header Set-Cookie. Cookies apply to all ports, so the name has the port.

        `Lax` and not `Strict`: a link in a message must still open the page after the redirection.
        """
        return f"{_cookie_name(port)}={self.token}; Path=/; HttpOnly; SameSite=Lax"

    def in_cookies(self, header: Optional[str], port: int) -> bool:
        """Return whether a Cookie header holds the token, or none is needed."""
        try:
            found = SimpleCookie(header or "").get(_cookie_name(port))
        except CookieError:
            found = None
        return self.accepts(found.value if found is not None else None)


def make_access(is_local: bool) -> Access:
    """Return the access of a page: open on loopback, else by a random token or the one in POSEC_WEB_TOKEN.

    Raises ViewerError if that token is too short or has characters that a link cannot hold.
    """
    stated = os.environ.get(VARIABLE)
    if stated:
        if not _TOKEN.fullmatch(stated):
            raise ViewerError(
                f"{VARIABLE} must have 16 to 128 letters, digits or _ . ~ -; make one with: "
                "python3 -c 'import secrets; print(secrets.token_urlsafe(24))'"
            )
        return Access(stated, is_stated=True)
    return Access("" if is_local else secrets.token_urlsafe(_RANDOM_BYTES))


def _cookie_name(port: int) -> str:
    return f"posec_{port}"
