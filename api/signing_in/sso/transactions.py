"""A sign-in that is under way: kept for ten minutes, for one use, by the browser that began it."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from domain.one_time import OneTime
from domain.people.models import SignInMethodName

_KIND: Final = "sso"
_DONE_KIND: Final = "sso-done"
_SECONDS: Final = 600
_DONE_SECONDS: Final = 120
_RESTART_EVERY: Final = timedelta(minutes=2)
_LOGIN: Final = re.compile(r"([\w-]{43})(?:\.(\d{1,11}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever starts has asked for. Nothing of it where the sign-in began at the provider."""

    tenant_id: UUID | None = None
    slug: str | None = None
    return_to: str | None = None
    code_challenge: str | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """`browser` is the hash of what the browser's cookie holds.

    `is_restart`: it was begun for somebody who came from the provider without one.
    """

    method: SignInMethodName
    browser: str
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    wish: Wish = Wish()
    is_restart: bool = False

    def is_of(self, login: "Login | None") -> bool:
        return login is not None and compare_digest(self.browser, _hashed(login.binding))


@dataclass(frozen=True, slots=True)
class Login:
    """What the cookie of a browser holds that is signing in; its text is the cookie's value.

    `binding` is random and stays while several tabs sign in. `restarted_at` guards against
    going round in circles with a provider: somebody can do without that only by harming nobody
    but themselves.
    """

    binding: str = field(repr=False)
    restarted_at: int | None = None

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str | None) -> "Login | None":
        match = _LOGIN.fullmatch(text or "")
        return cls(match[1], int(match[2]) if match[2] else None) if match else None

    @override
    def __str__(self) -> str:
        return self.binding if self.restarted_at is None else f"{self.binding}.{self.restarted_at}"

    def may_restart(self, now: datetime) -> bool:
        if self.restarted_at is None:
            return True
        return now.timestamp() - self.restarted_at > _RESTART_EVERY.total_seconds()

    def restarted(self, now: datetime) -> "Login":
        return replace(self, restarted_at=int(now.timestamp()))

    def began(self) -> "Login":
        """Somebody has clicked: that is no circle."""
        return replace(self, restarted_at=None)


def new_transaction(
    method: SignInMethodName, login: Login, wish: Wish, *, is_restart: bool
) -> Transaction:
    return Transaction(
        method=method,
        browser=_hashed(login.binding),
        nonce=secrets.token_urlsafe(32),
        code_verifier=secrets.token_urlsafe(48),
        wish=wish,
        is_restart=is_restart,
    )


async def keep(one_time: OneTime, transaction: Transaction) -> str:
    """The state to be sent along. Raises OneTimeUnavailable, like all of these."""
    state = secrets.token_urlsafe(32)
    await one_time.put(_KIND, state, msgspec.to_builtins(transaction), _SECONDS)
    return state


async def take(one_time: OneTime, state: str) -> Transaction | None:
    kept = await one_time.take(_KIND, state)
    return None if kept is None else msgspec.convert(kept, Transaction)


async def remember_done(one_time: OneTime, state: str, session_token: str) -> None:
    """That the state has led to this session, for a browser that sends its last request again."""
    await one_time.put(_DONE_KIND, state, {"session": _hashed(session_token)}, _DONE_SECONDS)


async def is_done(one_time: OneTime, state: str, session_token: str | None) -> bool:
    """Whether whoever asks holds the session that the state has led to."""
    kept = await one_time.take(_DONE_KIND, state) if session_token else None
    if not (kept and session_token and compare_digest(kept["session"], _hashed(session_token))):
        return False
    await remember_done(one_time, state, session_token)
    return True


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
