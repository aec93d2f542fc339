"""Where somebody goes after signing in: a page of ours, or a frontend that the settings name.

A frontend on another site gets a code in its address, which it exchanges for a session by showing
what it was made for (PKCE, RFC 7636): a cookie of ours would not travel there.
"""

import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from api.web_settings import origin_of
from domain.one_time import OneTime

CODE_SECONDS: Final = 60
_KIND: Final = "frontend"
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_LONGEST: Final = 2000


@dataclass(frozen=True, slots=True)
class Return:
    """`url` None: where people land. With `code_challenge` it is a frontend's."""

    url: str | None = None
    code_challenge: str | None = None

    def carried(self) -> dict[str, str]:
        """For links and hidden fields."""
        values = {"return_to": self.url, "code_challenge": self.code_challenge}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Which session it is; its token is made when it is fetched, and so lies nowhere before."""

    tenant_id: UUID
    session_id: UUID

    def stored(self) -> dict[str, str]:
        return {"tenant": str(self.tenant_id), "session": str(self.session_id)}

    @classmethod
    def read(cls, kept: Mapping[str, str]) -> Self:
        return cls(UUID(kept["tenant"]), UUID(kept["session"]))


class ReturnRefused(Exception):
    """An address that we do not know: nobody is sent there."""


def check_return(url: str | None, code_challenge: str | None, *, origins: frozenset[str]) -> Return:
    """Raises ReturnRefused."""
    if not url and not code_challenge:
        return Return()
    url = url or ""
    if len(url) <= _LONGEST and _PATH.fullmatch(url) and not code_challenge:
        return Return(url)
    if (
        len(url) <= _LONGEST
        and url.isascii()
        and url.isprintable()
        and not set(url) & set(' \\"<>')
        and _is_frontend(url, origins)
        and _CHALLENGE.fullmatch(code_challenge or "")
    ):
        return Return(url, code_challenge)
    raise ReturnRefused


def _is_frontend(url: str, origins: frozenset[str]) -> bool:
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None or parts.fragment:
            return False
        return origin_of(url) in origins
    except ValueError:
        return False


async def make_code(one_time: OneTime, wanted: Return, session: SessionKey) -> str:
    """The frontend's address with the code in it. Raises OneTimeUnavailable."""
    code = secrets.token_urlsafe(32)
    kept = {"challenge": wanted.code_challenge, **session.stored()}
    await one_time.put(_KIND, code, kept, CODE_SECONDS)
    parts = urlsplit(wanted.url or "")
    given = parse_qsl(parts.query, keep_blank_values=True)
    # A code that whoever made the link has put there is not ours.
    query = [*((name, text) for name, text in given if name != "code"), ("code", code)]
    return urlunsplit(parts._replace(query=urlencode(query)))


async def redeem_code(one_time: OneTime, code: str, verifier: str) -> SessionKey | None:
    """Whose session the code stands for. It is good for one try. Raises OneTimeUnavailable."""
    kept = await one_time.take(_KIND, code)
    if kept is None or not _VERIFIER.fullmatch(verifier):
        return None
    made = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return SessionKey.read(kept) if compare_digest(made, kept["challenge"]) else None
