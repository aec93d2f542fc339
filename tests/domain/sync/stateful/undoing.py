"""Reverts and cancels, done to the tenant and to the model."""

import asyncio
from collections.abc import Iterator

from domain.clock import utc_now
from domain.database import Database
from domain.errors import Conflict
from domain.people.callers import COMMAND_LINE
from domain.sync.cancelling import cancel_run
from domain.sync.models import SyncRunState
from domain.sync.reverting import revert_run
from domain.sync.run import work
from tests.domain.sync.stateful.feeding import work_watched
from tests.domain.sync.stateful.ledger import (
    MEMBERSHIP,
    SCHOOL,
    GroupValues,
    Key,
    Ledger,
    UserValues,
    ends_of,
)
from tests.domain.sync.stateful.trial import Done, Trial


async def revert(trial: Trial, place: int) -> None:
    """One of the last runs; refused where later ones changed the same, or it would leave a gap."""
    candidates = trial.done[-3:]
    if not candidates:
        return
    done = candidates[place % len(candidates)]
    after = trial.ledger.without(done.changed)
    is_possible = bool(done.changed) and not _is_touched(trial, done) and not _gaps(trial, after)
    run, refusal = None, None
    try:
        async with trial.story.api.transaction(trial.tenant_id) as session:
            run = await revert_run(
                session,
                tenant_id=trial.tenant_id,
                run_id=done.run_id,
                caller=COMMAND_LINE,
                now=utc_now(),
            )
    except Conflict as conflict:
        refusal = str(conflict)
    assert is_possible == (refusal is None), refusal
    if run is None:
        await trial.expect_stored()
        return
    feed = trial.feed()
    assert await work(trial.story.worker, feed.open, trial.story.keys) == run.id
    run = await trial.story.read_run(run.id)
    assert (run.state, run.failure_message) == (SyncRunState.SUCCEEDED, None)
    trial.ledger = after
    trial.done.remove(done)
    if trial.began == done.run_id:
        trial.began = None
    if trial.waiting is not None and trial.waiting.run_id == done.run_id:
        trial.waiting = None
    await trial.expect_stored()


def _is_touched(trial: Trial, done: Done) -> bool:
    later = trial.done[trial.done.index(done) + 1 :]
    return any(key in one.changed for one in later for key in done.changed)


def _gaps(trial: Trial, after: Ledger) -> bool:
    """Whether somebody or something would be left without what it belongs to."""
    return bool(set(_loose_ends(after)) - set(_loose_ends(trial.ledger)))


def _loose_ends(ledger: Ledger) -> Iterator[tuple[object, object]]:
    names: dict[str, Key] = {}
    for key, row in ledger.rows.items():
        if row.is_archived:
            continue
        parents: list[Key] = []
        if isinstance(row.values, UserValues):
            parents = [Key(SCHOOL, name) for name in row.values.schools]
            other = names.setdefault(row.values.username.casefold(), key)
            if other != key:
                yield key, other
        elif isinstance(row.values, GroupValues):
            parents = [Key(SCHOOL, row.values.school)]
        elif key.type is MEMBERSHIP:
            parents = list(ends_of(key))
        yield from ((key, one) for one in parents if ledger.find(one) is None)


async def cancelled_night(trial: Trial, number: int) -> None:
    """Cancelled while it waits (0), or after so many statements: then nothing is changed.

    Or it is too late, which is said, and the night is one like any other.
    """
    statements = number if number % 4 else 0
    feed = trial.feed()
    judgement = trial.foresee(feed)
    requested = await trial.story.request()
    answers: list[str] = []

    async def cancel() -> None:
        try:
            async with trial.story.api.transaction(trial.tenant_id) as session:
                await cancel_run(
                    session,
                    tenant_id=trial.tenant_id,
                    run_id=requested.run.id,
                    caller=COMMAND_LINE,
                    now=utc_now(),
                )
        except Conflict:
            answers.append("too late")
        else:
            answers.append("cancelled")

    def begin(database: Database) -> "asyncio.Future[object]":
        return asyncio.ensure_future(work(database, feed.open, trial.story.keys))

    if statements == 0:
        await cancel()
        assert await work(trial.story.worker, feed.open, trial.story.keys) is None
    else:
        await work_watched(trial.story.worker, begin, statements, cancel)
    run = await trial.story.read_run(requested.run.id)
    if answers == ["cancelled"]:
        assert run.state is SyncRunState.CANCELLED
        await trial.expect_stored()
        assert trial.waiting is None or await trial.is_open(trial.waiting.run_id)
    else:
        await trial.expect(run, judgement)
