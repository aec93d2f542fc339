"""How far a run is, how fast, and when it should be over: from its row alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.sync.models import SyncRunState
from domain.sync.progress import RunProgress, usual_seconds
from tests.domain.sync.stories import Story

pytestmark = pytest.mark.anyio

BEGAN = datetime.fromisoformat("2026-08-20T02:00:00+00:00")
USUAL = {"FETCHING": 60.0, "VALIDATING": 10.0, "PLANNING": 20.0, "APPLYING": 5.0}


def phase(second: int, seconds: float) -> dict[str, Any]:
    return {"started_at": (BEGAN + timedelta(seconds=second)).isoformat(), "seconds": seconds}


def told(state: str, *, second: int, progress: dict[str, Any], **phases: Any) -> RunProgress:
    now = BEGAN + timedelta(seconds=second)
    return RunProgress.read_from(SyncRunState(state), progress, phases, now=now)


def reading(**values: Any) -> dict[str, Any]:
    at = (BEGAN + timedelta(seconds=30)).isoformat()
    return {"read": 500, "expected": 2000, "rate": 50.0, "at": at, "usual": USUAL} | values


def test_the_reading_lasts_as_long_as_it_is_fast_and_the_rest_as_last_time() -> None:
    now = told("FETCHING", second=31, progress=reading())
    assert (now.read, now.expected, now.percent, now.rate) == (500, 2000, 25, 50.0)
    assert now.estimated_finish_at == BEGAN + timedelta(seconds=30 + 1500 / 50 + 35)


def test_a_later_phase_lasts_as_long_as_last_time() -> None:
    phases = {"FETCHING": phase(0, 40.0), "VALIDATING": phase(40, 8.0)}
    now = told("PLANNING", second=50, progress=reading(read=2000), **phases)
    assert now.estimated_finish_at == BEGAN + timedelta(seconds=48 + 20 + 5)


def test_nothing_is_estimated_where_nothing_is_known() -> None:
    assert told("FETCHING", second=31, progress=reading(usual={})).estimated_finish_at is None
    assert told("FETCHING", second=31, progress=reading(rate=None)).estimated_finish_at is None
    assert told("QUEUED", second=31, progress={"usual": USUAL}).estimated_finish_at is None


def test_an_estimate_that_was_wrong_is_not_told() -> None:
    progress = reading(read=2000)
    assert told("APPLYING", second=500, progress=progress, FETCHING=phase(0, 40.0)) == RunProgress(
        SyncRunState.APPLYING, 2000, 2000, 50.0, None
    )


def test_a_run_that_has_ended_says_how_fast_it_was_and_where() -> None:
    phases = {"FETCHING": phase(0, 40.0), "VALIDATING": phase(40, 8.0)}
    ended = told("FAILED", second=50, progress=reading(), **phases)
    assert (ended.phase, ended.rate) == (SyncRunState.VALIDATING, 50.0)
    assert ended.estimated_finish_at is None


def test_the_seconds_of_the_last_run_are_those_of_its_phases() -> None:
    phases = {"QUEUED": {}, "FETCHING": phase(0, 40.0), "SUMMARISING": phase(40, 1.5)}
    assert usual_seconds(phases) == {"FETCHING": 40.0, "SUMMARISING": 1.5}


async def test_a_night_leaves_its_rate(story: Story) -> None:
    run = await story.night()
    progress = RunProgress.of(run, now=BEGAN)
    assert progress.read == 16
    assert progress.rate is not None
    assert progress.rate > 0
