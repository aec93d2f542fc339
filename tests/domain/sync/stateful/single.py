"""One person on demand: what a night would do for them and nobody else."""

from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.run import work
from domain.sync.targets import PersonWanted, request_user_run
from tests.domain.sync.stateful.ledger import (
    GROUP,
    MEMBERSHIP,
    SCHOOL,
    USER,
    GroupValues,
    Key,
    Ledger,
    Plan,
    UserValues,
    ends_of,
    plan_night,
    take,
)
from tests.domain.sync.stateful.trial import Done, Trial
from tests.domain.sync.stateful.waiting import judge


async def one_person(trial: Trial, number: int) -> None:
    """Who is known here or at the provider; a night instead where it would bring others along."""
    known = {key for key in trial.ledger.rows if key.type is USER}
    known |= {Key(USER, source_id) for source_id in trial.district.people}
    person = sorted(known)[number % len(known)]
    feed = trial.feed()
    plan = _of_person(plan_night(trial.ledger, take(feed, trial.ledger)), person)
    judgement = judge(trial.ledger, plan, trial.terms._replace(seniority=trial.ids), {})
    if trial.began is None or judgement.waits or not _stands_alone(trial, person):
        await trial.night()
        return
    async with trial.story.api.transaction(trial.tenant_id) as session:
        requested = await request_user_run(
            session,
            tenant_id=trial.tenant_id,
            wanted=PersonWanted(source_id=str(person.name)),
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    assert await work(trial.story.worker, feed.open, trial.story.keys) == requested.run.id
    run = await trial.story.read_run(requested.run.id)
    assert run.mode is SyncMode.SINGLE_USER
    assert run.state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS), (
        run.failure_message
    )
    trial.ledger = trial.ledger.after(judgement.goes_on)
    trial.done.append(Done(run.id, judgement.goes_on))
    await trial.expect_stored()
    await trial.expect_numbers(run, judgement)
    assert trial.waiting is None or await trial.is_open(trial.waiting.run_id)


def _of_person(plan: Plan, person: Key) -> Plan:
    return {
        key: change
        for key, change in plan.items()
        if key == person or (key.type is MEMBERSHIP and ends_of(key)[0] == person)
    }


def _stands_alone(trial: Trial, person: Key) -> bool:
    """Whether all that the person belongs to is stored, and the username is free."""
    found = trial.district.people.get(str(person.name))
    if found is None:
        return True
    groups = [trial.ledger.find(Key(GROUP, name)) for name in found.groups]
    schools = [*found.schools, *(g.school for g in groups if isinstance(g, GroupValues))]
    are_there = all(trial.ledger.find(Key(SCHOOL, name)) is not None for name in schools)
    return None not in groups and are_there and _is_free(trial.ledger, person, found.username)


def _is_free(ledger: Ledger, person: Key, username: str) -> bool:
    return all(
        key == person
        or not isinstance(values, UserValues)
        or values.username.casefold() != username.casefold()
        for key, values in ledger.live(USER).items()
    )
