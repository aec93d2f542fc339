"""What a run's end means, and when things are due: without a database."""

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from domain.integrations.standings import SyncStanding
from domain.sync.models import SyncMode, SyncRunState, SyncTrigger, ToldAs
from domain.tenants.models import SummaryMail
from domain.watch.digests import next_digest
from domain.watch.following import told_at
from domain.watch.judging import Ended, Judged, Standing, judge, receives
from domain.watch.licences import Level, level_of
from tests.domain.watch.mailing import local

NIGHT = datetime(2026, 10, 1, 7, tzinfo=UTC)
SUCCEEDED = Ended(
    SyncRunState.SUCCEEDED, SyncMode.FULL, SyncTrigger.SCHEDULE, None, frozenset(), False, NIGHT
)
REFUSED = SUCCEEDED._replace(state=SyncRunState.FAILED, code="CONN_AUTH_REJECTED")
HELD = SUCCEEDED._replace(state=SyncRunState.HELD, holds=frozenset({"HOLD_DELETES"}))
AWAY = REFUSED._replace(code="CONN_UNREACHABLE")


@pytest.mark.parametrize("failures", [0, 1, 5])
def test_what_an_outage_does_is_no_step(failures: int) -> None:
    standing = Standing(failures, NIGHT)
    excused = AWAY._replace(is_outage=True)
    assert judge(standing, excused) == Judged(standing, ToldAs.NONE)
    own = REFUSED._replace(is_outage=True)
    assert judge(standing, own).standing.failures == failures + 1


def test_who_asked_by_hand_hears_of_a_passing_trouble_at_once() -> None:
    assert judge(Standing(), AWAY).told_as is ToldAs.NONE
    asked = AWAY._replace(trigger=SyncTrigger.MANUAL)
    assert judge(Standing(), asked).told_as is ToldAs.FAILURE


def test_a_trouble_that_nobody_was_told_of_has_no_recovery() -> None:
    failing = judge(Standing(), AWAY).standing
    assert judge(failing, SUCCEEDED) == Judged(Standing(), ToldAs.SUMMARY)


def test_a_hold_ends_a_failure_and_is_told() -> None:
    failing = judge(Standing(), REFUSED).standing
    judged = judge(failing, HELD)
    assert judged == Judged(Standing(told=failing.told | HELD.holds), ToldAs.HOLD)
    again = failing._replace(told=failing.told | HELD.holds)
    partly = HELD._replace(state=SyncRunState.SUCCEEDED_WITH_HOLD)
    assert judge(again, partly).told_as is ToldAs.RECOVERED
    assert judge(Standing(told=HELD.holds), partly).told_as is ToldAs.SUMMARY


def test_new_errors_are_a_problem_and_known_ones_are_not() -> None:
    found = SUCCEEDED._replace(has_new_errors=True)
    assert judge(Standing(), found).told_as is ToldAs.NEW_ERRORS
    assert judge(Standing(), SUCCEEDED).told_as is ToldAs.SUMMARY


def test_who_is_told_of_what() -> None:
    told = {wish: {one for one in ToldAs if receives(wish, one)} for wish in SummaryMail}
    every = set(ToldAs) - {ToldAs.NONE}
    assert told == {
        SummaryMail.ALWAYS: every,
        SummaryMail.ONLY_PROBLEMS: every - {ToldAs.SUMMARY},
        SummaryMail.NEVER: set(),
    }


def test_the_same_reason_is_told_once_whatever_lies_between() -> None:
    """However failures and holds follow one another, none is told twice without a success."""
    for nights in product((REFUSED, AWAY, HELD), repeat=4):
        standing, told = Standing(), []
        for night in nights:
            standing, told_as = judge(standing, night)
            if told_as is not ToldAs.NONE:
                told.append((told_as, night))
        assert len(set(told)) == len(told)


def test_the_daily_hour_is_seven_on_both_sides_of_a_clock_change() -> None:
    zone = ZoneInfo("America/Chicago")
    following = next_digest(zone, local(7, "07:00"))
    assert following == local(8, "07:00")
    assert next_digest(zone, local(7, "06:59")) == local(7, "07:00")
    assert following.astimezone(UTC).hour == 12
    assert local(7, "07:00").astimezone(UTC).hour == 13


def test_licences_run_out_in_two_steps() -> None:
    used = (0, 90, 91, 99, 100, 101)
    assert [level_of(one, 100).name for one in used] == [
        "ENOUGH", "ENOUGH", "NEAR", "NEAR", "FULL", "FULL",
    ]  # fmt: skip
    assert level_of(10_000, None) is Level.ENOUGH
    assert level_of(0, 0) is Level.FULL


def test_a_run_is_told_later_than_a_daily_mail_that_was_written_meanwhile() -> None:
    """Else the next one, which tells what came after this one, would leave it out."""
    before, written = NIGHT, NIGHT + timedelta(seconds=3)
    assert told_at(SyncStanding(digest_from=written), before) > written
    assert told_at(SyncStanding(digest_from=before), written) == written
    assert told_at(SyncStanding(), before) == before
