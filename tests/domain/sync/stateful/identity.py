"""New ids for the same people: a switch of provider, ids that all change at once."""

from collections.abc import Callable

from domain.clock import utc_now
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.sync.models import SyncRunState
from tests.domain.sync.stateful.district import PAST
from tests.domain.sync.stateful.ledger import (
    GROUP,
    SCHOOL,
    USER,
    GroupValues,
    Key,
    UserValues,
    read_feed,
)
from tests.domain.sync.stateful.trial import Trial

SETTINGS = {
    Provider.ONEROSTER: {
        "base_url": "https://sis.example.org/v1p1", "token_url": "https://sis.example.org/token"
    },
    Provider.CLASSLINK: {"base_url": "https://classlink.example.org"},
}  # fmt: skip
"""Nobody opens these: each run is given its feed."""
REKEYED = (SCHOOL, GROUP, USER)


async def switch(trial: Trial, _: int) -> None:
    """Every id is another one; after an approval everybody has what they had."""
    if not _are_alike(trial):
        await trial.night()
        return
    await trial.set_licences(None)
    links = _rename(trial, REKEYED)
    await _configure(trial)
    trial.waiting = trial.began = None
    await _approve(trial, links)


async def churn(trial: Trial, number: int) -> None:
    """The same provider gives all records of a type new ids: that is held, not a deletion."""
    record_type = REKEYED[number % len(REKEYED)]
    if not _are_alike(trial) or len(trial.ledger.live(record_type)) < 2 or not _is_settled(trial):
        await trial.night()
        return
    await _approve(trial, _rename(trial, (record_type,)))


async def _approve(trial: Trial, links: dict[Key, Key]) -> None:
    """Nothing is done until it is approved, and then all of it."""
    feed = trial.feed()
    before = trial.foresee(feed, links=links)
    run = await trial.story.run(opener=feed.open)
    assert run.state is SyncRunState.HELD, run.failure_message
    await trial.expect_numbers(run, before)
    await trial.expect_hold(run, before)
    await trial.expect_stored()
    after = trial.foresee(feed, before.waits, links=links)
    assert after.waits == {}
    trial.rename(links)
    await trial.expect(await trial.ask_approval(feed), after)


def _is_settled(trial: Trial) -> bool:
    judgement = trial.foresee(trial.feed())
    return not judgement.goes_on and not judgement.waits


def _are_alike(trial: Trial) -> bool:
    """Whether all of the feed that is stored is live, and told by its names and numbers.

    Who is archived and comes back under another id is an administrator's to decide.
    """
    for key, values in read_feed(trial.feed()).items():
        row = trial.ledger.rows.get(key)
        if row is None:
            continue
        former, is_other = row.values, row.is_archived
        if isinstance(former, GroupValues) and isinstance(values, GroupValues):
            is_other |= former[:2] != values[:2] or PAST in (*former.terms, *values.terms)
        elif isinstance(former, UserValues) and isinstance(values, UserValues):
            is_other |= not set(former.roles) & set(values.roles)
        if is_other:
            return False
    return True


def _rename(trial: Trial, types: tuple[RecordType, ...]) -> dict[Key, Key]:
    """Every id of these types in the feed; what is stored under the former ones, by the new."""
    district = trial.district
    district.era += 1

    def new(kind: RecordType) -> Callable[[str], str]:
        return lambda name: f"{name.partition('.')[0]}.{district.era}" if kind in types else name

    names = {kind: new(kind) for kind in REKEYED}
    present = [Key(SCHOOL, name) for name in district.schools]
    present += [Key(GROUP, name) for name in district.classes]
    present += [Key(USER, name) for name in district.people]
    links = {
        Key(key.type, names[key.type](str(key.name))): key
        for key in present
        if key.type in types and key in trial.ledger.rows
    }
    district.rename(names[SCHOOL], names[GROUP], names[USER])
    return links


async def _configure(trial: Trial) -> None:
    story = trial.story
    providers = list(SETTINGS)
    now = await story.see.fetchval(
        "SELECT provider FROM integrations WHERE tenant_id = $1", trial.tenant_id
    )
    provider = next(one for one in providers if one.value != now)
    async with story.api.transaction(story.tenant_id) as session:
        await configure_integration(
            session,
            tenant_id=story.tenant_id,
            configuration=Configuration(
                provider, SETTINGS[provider], {"key": "id", "secret": "hunter2"}
            ),
            keys=story.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
