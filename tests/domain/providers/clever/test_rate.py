"""Clever's limit: how long its headers say to wait."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from domain.clock import utc_now
from domain.providers.clever.rate import LONGEST_PAUSE, RateLimit, wait_hint

NOW = datetime(2026, 9, 1, 10, 0, 0, tzinfo=UTC)


def headers(*, remaining="0", reset_in=30, date=NOW, **others):
    reset = (date or utc_now()) + timedelta(seconds=reset_in)
    named = {
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-reset": str(int(reset.timestamp())),
        "date": date and format_datetime(date, usegmt=True),
        **others,
    }
    return {name: value for name, value in named.items() if value is not None}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (headers(), 30.0),
        (headers(remaining=None), 30.0),
        (headers(reset_in=-5), 0.0),
        (headers(remaining="17"), None),
        (headers(remaining="17", **{"retry-after": "7"}), 7.0),
        ({"retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({}, None),
    ],
)
def test_a_refused_request_waits_for_the_next_count(given, seconds):
    assert wait_hint(given) == seconds


def test_without_a_date_our_own_clock_is_asked():
    for date in (None, "yesterday"):
        given = {**headers(date=None), **({"date": date} if date else {})}
        assert 28.0 <= wait_hint(given) <= 30.0


async def pause_after(given):
    """How long the next request would sleep."""
    rate = RateLimit()
    rate.note(given)
    loop = asyncio.get_running_loop()
    return rate._free_at - loop.time()  # noqa: SLF001 - rather than to sleep for so long


@pytest.mark.anyio
async def test_a_pause_is_no_longer_than_two_minutes():
    assert 29.0 < await pause_after(headers()) <= 30.0
    assert LONGEST_PAUSE - 1 < await pause_after(headers(reset_in=86_400)) <= LONGEST_PAUSE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "given", [{}, headers(remaining="1"), headers(reset_in=-9), {"x-ratelimit-remaining": "0"}]
)
async def test_requests_do_not_wait_while_something_is_left(given):
    rate = RateLimit()
    rate.note(given)
    await asyncio.wait_for(rate.pause(), 0.2)
