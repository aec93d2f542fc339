"""The turn of a school year: what it lets go that waits on other nights, and what waits as ever."""

from datetime import timedelta
from typing import Any

import pytest

from domain.clock import utc_now
from domain.errors import Conflict
from domain.people.callers import COMMAND_LINE
from domain.roster.records import Course, Enrollment, Group, Record, RecordType, School, Term
from domain.roster.source import Provider
from domain.sync.basis import basis_of
from domain.sync.decide import Limits
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from domain.sync.run import work
from domain.sync.service import Requested
from domain.sync.year_limits import YearLimits, request_year_preflight
from domain.tenants.service import get_tenant
from domain.training.models import YearRollover
from domain.training.rollover import Window, cancel_rollover, set_rollover, today_of
from tests.domain.sync.feeds import Feed, student
from tests.domain.sync.stories import Story, numbers

pytestmark = pytest.mark.anyio

CLASSES, OLD, NEW = 40, range(20), range(40, 60)
LEFT = range(100)
"""A quarter of the people: those of the first ten classes."""


@pytest.fixture
async def rostered(story: Story) -> Story:
    await story.connect_to(Provider.ONEROSTER)
    await night(story, last_year())
    return story


def feed_of(places: dict[int, int], classes: set[int]) -> Feed:
    """Students by number, each with the class that they are in."""
    records: list[Record] = [
        School("s1", "North"),
        School("s2", "South"),
        Term("t1", "All year", "term"),
        Course("c1", "Typing"),
        *(Group(f"g{n}", f"Class {n}", "s1", "c1", ("t1",)) for n in sorted(classes)),
        student("teacher", roles=("TEACHER",), grades=()),
        *(Enrollment(f"t{n}", "teacher", f"g{n}", "TEACHER") for n in sorted(classes)),
    ]
    for number, place in places.items():
        records += [
            student(f"u{number}"),
            Enrollment(f"e{number}-{place}", f"u{number}", f"g{place}", "STUDENT"),
        ]
    return Feed(records)


def last_year() -> Feed:
    return feed_of({n: n // 10 for n in range(10 * CLASSES)}, set(range(CLASSES)))


def next_year() -> Feed:
    """Half of the classes are gone and as many new ones there; a quarter of the people left."""
    places = {n: n // 10 for n in range(100, 10 * CLASSES)}
    moved = {n: place + 40 for n, place in places.items() if place in OLD}
    return feed_of(places | moved, {*range(20, CLASSES), *NEW})


async def night(story: Story, feed: Feed, mode: SyncMode = SyncMode.FULL) -> SyncRun:
    run = await story.run(mode, opener=feed.open)
    assert run.failure_message is None
    return run


async def declare(story: Story, *, in_days: int, **window: int) -> YearRollover:
    async with story.api.transaction(story.tenant_id) as session:
        tenant = await get_tenant(session, tenant_id=story.tenant_id)
        return await set_rollover(
            session,
            tenant_id=story.tenant_id,
            rolls_on=today_of(tenant, utc_now()) + timedelta(days=in_days),
            window=Window(**window),
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def request_preflight(story: Story) -> Requested:
    async with story.api.transaction(story.tenant_id) as session:
        return await request_year_preflight(
            session, tenant_id=story.tenant_id, caller=COMMAND_LINE, now=utc_now()
        )


async def year_preflight(story: Story, feed: Feed) -> SyncRun:
    requested = await request_preflight(story)
    assert await work(story.worker, feed.open, story.keys) == requested.run.id
    return await story.read_run(requested.run.id)


def report_of(run: SyncRun) -> dict[str, Any]:
    assert run.report is not None
    return run.report


async def codes(story: Story, run: SyncRun) -> set[str]:
    rows = await story.see.fetch(
        "SELECT r ->> 'code' FROM holds h, jsonb_array_elements(h.reasons) r WHERE h.run_id = $1",
        run.id,
    )
    return {row[0] for row in rows}


@pytest.mark.parametrize("in_days", [None, 15, -31])
async def test_outside_of_the_window_the_old_year_waits(
    rostered: Story, in_days: int | None
) -> None:
    if in_days is not None:
        await declare(rostered, in_days=in_days)
    run = await night(rostered, next_year())
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert {kind: run.counts[kind]["held"] for kind in ("USER", "GROUP")} == {
        "USER": 100,
        "GROUP": 20,
    }
    assert await codes(rostered, run) == {"HOLD_DELETES"}


@pytest.mark.parametrize("in_days", [14, -30])
async def test_inside_of_the_window_it_goes(rostered: Story, in_days: int) -> None:
    await declare(rostered, in_days=in_days)
    run = await night(rostered, next_year())
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"archived": 100, "unchanged": 301}
    assert numbers(run, RecordType.GROUP) == {"created": 20, "archived": 20, "unchanged": 20}


async def test_more_than_the_window_allows_waits_in_it_too(rostered: Story) -> None:
    await declare(rostered, in_days=0, archive_percent=24)
    run = await night(rostered, next_year())
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert run.counts["USER"]["held"] == 100


async def test_a_day_that_was_taken_back_allows_nothing(rostered: Story) -> None:
    rollover = await declare(rostered, in_days=0)
    async with rostered.api.transaction(rostered.tenant_id) as session:
        await cancel_rollover(
            session,
            tenant_id=rostered.tenant_id,
            rolls_on=rollover.rolls_on,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    assert (await night(rostered, next_year())).state is SyncRunState.SUCCEEDED_WITH_HOLD


async def test_what_is_unusual_on_any_day_waits_in_the_window_too(rostered: Story) -> None:
    await declare(rostered, in_days=0, archive_percent=100)
    for feed, code in (
        (feed_of({}, set(range(CLASSES))), "HOLD_TYPE_EMPTY"),
        (feed_of(dict.fromkeys(range(400), 0), set()), "HOLD_TYPE_EMPTY"),
        (last_year().without("s2"), "SCHOOL_VANISHED"),
    ):
        run = await night(rostered, feed)
        assert "HELD" in run.state.value or run.state is SyncRunState.SUCCEEDED_WITH_HOLD
        assert code in await codes(rostered, run)
        archived = "SELECT count(*) FROM users WHERE archived_at IS NOT NULL"
        assert await rostered.see.fetchval(archived) == 0


async def test_a_preflight_for_the_new_year_is_judged_by_its_limits_before_the_day(
    rostered: Story,
) -> None:
    rollover = await declare(rostered, in_days=60, archive_percent=50)
    roster = await rostered.roster()
    plain = await night(rostered, next_year(), SyncMode.PREFLIGHT)
    assert report_of(plain)["rollover"] is None
    assert {reason["code"] for reason in report_of(plain)["would_hold"]} == {"HOLD_DELETES"}
    shown = await year_preflight(rostered, next_year())
    assert (shown.mode, shown.target) == (
        SyncMode.PREFLIGHT, {"rollover_id": str(rollover.id)}
    )  # fmt: skip
    assert report_of(shown)["rollover"] == {
        "rolls_on": rollover.rolls_on.isoformat(),
        "archive_percent": 50,
        "update_percent": 100,
    }
    assert (report_of(shown)["would_hold"], report_of(shown)["held"]) == ([], {})
    assert shown.counts["USER"]["archived"] == 100
    assert await rostered.roster() == roster
    # It has shown something, and allowed nothing.
    assert (await night(rostered, next_year())).state is SyncRunState.SUCCEEDED_WITH_HOLD


async def test_a_preflight_of_the_one_kind_is_not_taken_for_the_other(rostered: Story) -> None:
    await declare(rostered, in_days=60)
    waiting = await request_preflight(rostered)
    assert not waiting.joined
    again = await request_preflight(rostered)
    assert (again.joined, again.run.id) == (True, waiting.run.id)
    with pytest.raises(Conflict, match="already waiting"):
        await rostered.request(SyncMode.PREFLIGHT)


async def test_a_preflight_for_the_new_year_needs_a_day_and_a_roster(
    rostered: Story,
) -> None:
    with pytest.raises(Conflict, match="declare its day first"):
        await request_preflight(rostered)
    await declare(rostered, in_days=-31)
    with pytest.raises(Conflict, match="declare its day first"):
        await request_preflight(rostered)
    await rostered.see.execute("UPDATE integrations SET rostered_at = NULL")
    with pytest.raises(Conflict, match="start a plain preflight"):
        await request_preflight(rostered)


async def test_what_was_approved_lapses_when_the_window_opens_and_not_before(
    rostered: Story,
) -> None:
    async def basis() -> str:
        integration_id = await rostered.see.fetchval("SELECT id FROM integrations")
        async with rostered.api.read(rostered.tenant_id) as session:
            return await basis_of(
                session, tenant_id=rostered.tenant_id, integration_id=integration_id
            )

    usual = await basis()
    await declare(rostered, in_days=15)
    assert await basis() == usual
    await declare(rostered, in_days=15, days_before=15)
    widened = await basis()
    assert widened != usual
    await declare(rostered, in_days=15, days_before=15, archive_percent=61)
    assert await basis() not in (usual, widened)


def test_the_wider_of_two_limits_holds_and_never_for_schools() -> None:
    year = YearLimits(utc_now().date(), archive_percent=60, update_percent=100)
    own = {
        RecordType.SCHOOL: Limits(archive_percent=1),
        RecordType.USER: Limits(archive_count=0, archive_percent=80, update_percent=5),
        RecordType.GROUP: Limits(archive_percent=5),
    }
    assert year.widen(own) == {
        RecordType.SCHOOL: Limits(archive_percent=1),
        RecordType.USER: Limits(archive_count=0, archive_percent=80, update_percent=100),
        RecordType.GROUP: Limits(archive_percent=100, update_percent=100),
        RecordType.MEMBERSHIP: Limits(archive_percent=100, update_percent=100),
    }
