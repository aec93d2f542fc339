"""Clever's limit: so many requests a minute for a token, counted in the headers of each answer."""

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from domain.clock import utc_now
from domain.providers.http.hints import retry_after

LONGEST_PAUSE: Final = 120.0
_REMAINING: Final = "x-ratelimit-remaining"
_RESET: Final = "x-ratelimit-reset"


def wait_hint(headers: Mapping[str, str]) -> float | None:
    """The seconds after which a refused request may come again.

    Every answer says when the count starts anew; that matters only if nothing is left of it.
    """
    if headers.get(_REMAINING, "0").strip() == "0":
        seconds = _seconds_to_reset(headers)
        if seconds is not None:
            return seconds
    return retry_after(headers)


class RateLimit:
    """Waits before a request that would be refused."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def note(self, headers: Mapping[str, str]) -> None:
        if headers.get(_REMAINING, "").strip() == "0":
            seconds = min(_seconds_to_reset(headers) or 0.0, LONGEST_PAUSE)
            self._free_at = asyncio.get_running_loop().time() + seconds

    async def pause(self) -> None:
        seconds = self._free_at - asyncio.get_running_loop().time()
        if seconds > 0:
            await asyncio.sleep(seconds)


def _seconds_to_reset(headers: Mapping[str, str]) -> float | None:
    try:
        reset_at = float(headers[_RESET])
    except (KeyError, ValueError):
        return None
    return max(0.0, reset_at - _now(headers))


def _now(headers: Mapping[str, str]) -> float:
    """By Clever's own clock where it tells it: ours may go otherwise."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return utc_now().timestamp()
