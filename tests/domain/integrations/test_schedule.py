"""The next nights, against a plain model that looks at every minute of the zone's clock."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.integrations.schedule import (
    Blackout,
    Rhythm,
    next_due,
    next_runs,
    nights_after,
    not_in_blackout,
    spread_of,
)
from tests.domain.integrations.nights import modelled

ZONES = [
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Etc/GMT+5",
    "UTC",
]
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]


def rhythm(zone: str, at: time, **other: object) -> Rhythm:
    usual: dict[str, object] = {"every_days": 1, "first_on": date(2020, 1, 1)}
    return Rhythm(at=at, zone=ZoneInfo(zone), **(usual | other))  # type: ignore[arg-type]


def by_the_clock(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first minute of the day whose local time is `at` or later."""
    moment = datetime.combine(day, time(0), UTC) - DAY
    while moment.astimezone(zone).replace(tzinfo=None) < datetime.combine(day, at):
        moment += MINUTE
    return moment


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    at=st.times(timezones=st.none()).map(lambda at: at.replace(second=0, microsecond=0)),
    day=st.dates(date(2024, 2, 20), date(2028, 3, 20)),
)
def test_a_night_begins_at_the_first_minute_that_the_clock_shows_its_time(
    zone: str, at: time, day: date
) -> None:
    assert rhythm(zone, at).night(day) == by_the_clock(day, at, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "day", "at", "instant"),
    [
        ("America/New_York", date(2026, 3, 8), time(2, 30), utc(2026, 3, 8, 7)),
        ("America/New_York", date(2026, 11, 1), time(1, 30), utc(2026, 11, 1, 5, 30)),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 10), utc(2026, 10, 3, 15, 30)),
        ("Etc/GMT+5", date(2026, 7, 1), time(2), utc(2026, 7, 1, 7)),
        ("America/Los_Angeles", date(2028, 2, 29), time(21), utc(2028, 3, 1, 5)),
    ],
)
def test_nights_of_changing_clocks_and_leap_days(
    zone: str, day: date, at: time, instant: datetime
) -> None:
    assert rhythm(zone, at).night(day) == instant
    assert rhythm(zone, at).night(day) == by_the_clock(day, at, ZoneInfo(zone))


blackouts = st.lists(
    st.tuples(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.integers(0, 40)), max_size=5
).map(lambda spans: tuple(Blackout(day, day + length * DAY) for day, length in spans))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    at=st.sampled_from([time(0, 5), time(2), time(2, 30), time(21), time(23, 50)]),
    every_days=st.integers(1, 29),
    first_on=st.dates(date(2025, 12, 1), date(2026, 2, 1)),
    offset=st.integers(0, 240).map(lambda minutes: timedelta(minutes=minutes)),
    blackouts=blackouts,
)
def test_a_year_of_nights_is_what_the_model_says(
    zone: str,
    at: time,
    every_days: int,
    first_on: date,
    offset: timedelta,
    blackouts: tuple[Blackout, ...],
) -> None:
    given = rhythm(
        zone, at, every_days=every_days, first_on=first_on, offset=offset, blackouts=blackouts
    )
    wanted = modelled(given, [date(2025, 11, 1) + number * DAY for number in range(500)])
    found = list(islice(nights_after(given, utc(2025, 11, 1)), len(wanted)))
    assert found == wanted
    assert all(earlier < later for earlier, later in pairwise(found))
    assert not any(given.is_dark(night) for night in found)


def test_one_night_makes_up_for_all_that_a_blackout_left_out() -> None:
    given = rhythm(
        "UTC",
        time(2),
        every_days=7,
        first_on=date(2026, 1, 5),
        blackouts=(Blackout(date(2026, 1, 10), date(2026, 1, 28)),),
    )
    assert next_runs(given, after=utc(2026, 1, 6), count=3) == [
        utc(2026, 1, 29, 2),
        utc(2026, 2, 2, 2),
        utc(2026, 2, 9, 2),
    ]


def test_a_blackout_that_no_night_falls_into_owes_nothing() -> None:
    given = rhythm(
        "UTC",
        time(2),
        every_days=7,
        first_on=date(2026, 1, 5),
        blackouts=(Blackout(date(2026, 1, 6), date(2026, 1, 11)),),
    )
    assert next_due(given, after=utc(2026, 1, 5, 2)) == utc(2026, 1, 12, 2)


def test_a_night_that_begins_after_midnight_is_not_in_the_blackout_of_that_day() -> None:
    given = rhythm(
        "UTC",
        time(23, 50),
        offset=timedelta(minutes=20),
        blackouts=(Blackout(date(2026, 1, 2), date(2026, 1, 2)),),
    )
    assert next_runs(given, after=utc(2025, 12, 31, 1), count=2) == [
        utc(2026, 1, 1, 0, 10),
        utc(2026, 1, 4, 0, 10),
    ]


def test_what_is_late_waits_for_the_first_night_after_the_blackout() -> None:
    given = rhythm("UTC", time(2), blackouts=(Blackout(date(2026, 1, 2), date(2026, 1, 4)),))
    assert not_in_blackout(given, utc(2026, 1, 1, 12)) == utc(2026, 1, 1, 12)
    assert not_in_blackout(given, utc(2026, 1, 3, 12)) == utc(2026, 1, 5, 2)


def test_without_a_night_left_there_is_none() -> None:
    given = rhythm("UTC", time(2), blackouts=(Blackout(date(2020, 1, 1), date(2099, 1, 1)),))
    assert next_due(given, after=utc(2026, 1, 1)) is None


def test_tenants_are_spread_over_the_window_and_keep_their_places() -> None:
    window = timedelta(minutes=30)
    tenants = [UUID(int=number) for number in range(3000)]
    places = [spread_of(tenant, window) for tenant in tenants]
    assert places == [spread_of(tenant, window) for tenant in tenants]
    assert all(timedelta(0) <= place < window for place in places)
    by_minute = [sum(place // MINUTE == minute for place in places) for minute in range(30)]
    assert min(by_minute) > 60
    assert max(by_minute) < 150
    assert spread_of(tenants[0], timedelta(0)) == timedelta(0)
