"""Passwords: which ones are taken, and hashing with argon2id (OWASP's figures).

A hash takes 19 MiB for a twentieth of a second, in threads of which few run at once: a flood of
guesses waits, and fills no memory.
"""

import asyncio
import unicodedata
from collections.abc import Iterable
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

LEAST: Final = 12
MOST: Final = 128
_AT_ONCE: Final = 4
_argon2: Final = Argon2Hasher(time_cost=2, memory_cost=19 << 10, parallelism=1)
_hasher: Final = PasswordHash((_argon2,))
_UNKNOWN: Final = _hasher.hash("nobody has this password")
"""Compared with where there is no hash, so that the answer takes as long."""
_SHORTEST_PART: Final = 4
# The start of what is tried first everywhere; with twelve characters at least, few are left.
_COMMON: Final = (
    "password",
    "passwort",
    "qwertyui",
    "12345678",
    "iloveyou",
    "letmeinp",
    "welcomet",
    "homerow",
    "typingte",
    "changeme",
)


def problem_of(password: str, *, known: Iterable[str]) -> str | None:
    """Why it is not taken, in a sentence. `known` is what others know: names and addresses."""
    plain = _normalised(password)
    if not LEAST <= len(plain) <= MOST:
        return f"A password has {LEAST} to {MOST} characters."
    if "\x00" in plain:
        return "A password has no NUL in it."
    folded = plain.casefold()
    if len(set(folded)) < _SHORTEST_PART or folded.startswith(_COMMON):
        return "This password is among those that are tried first. Take a few words instead."
    parts = {part for text in known for part in text.casefold().replace("@", " ").split()}
    if any(len(part) >= _SHORTEST_PART and part in folded for part in parts):
        return "A password has no name and no address of yours in it."
    return None


def _normalised(password: str) -> str:
    """The same signs, however the keyboard has made them."""
    return unicodedata.normalize("NFC", password)


class _Slots:
    """A semaphore for each event loop: tests and commands have loops of their own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def get(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._slots = loop, asyncio.Semaphore(_AT_ONCE)
        return self._slots


_slots: Final = _Slots()


async def hash_password(password: str) -> str:
    async with _slots.get():
        return await asyncio.to_thread(_hasher.hash, _normalised(password))


async def is_right(password: str, stored: str | None) -> bool:
    """It takes as long where nothing is stored."""
    plain = _normalised(password)
    if len(plain) > MOST:
        plain, stored = "", None
    async with _slots.get():
        fits = await asyncio.to_thread(_hasher.verify, plain, stored or _UNKNOWN)
    return fits and stored is not None


def is_outdated(stored: str) -> bool:
    """Made with other figures than a new one is: it is made anew when its password is typed."""
    return _argon2.check_needs_rehash(stored)
