"""One tenant on trial: what is done to it is done to the model too, and the two are compared."""

import asyncio
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain.clock import utc_now
from domain.database import Database
from domain.errors import Conflict
from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.sync.holds import approve_run, discard_run
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from domain.sync.run import work
from tests.domain.sync.stateful.district import District, first_district, without_type
from tests.domain.sync.stateful.feeding import PagedFeed, work_until
from tests.domain.sync.stateful.ledger import (
    MEMBERSHIP,
    Change,
    Key,
    Ledger,
    Links,
    Plan,
    plan_night,
    read_feed,
    renamed,
    take,
)
from tests.domain.sync.stateful.local import LocalEdits
from tests.domain.sync.stateful.observed import (
    observe,
    observe_places,
    observe_reasons,
    observe_waiting,
)
from tests.domain.sync.stateful.waiting import Judgement, count, judge

NUMBERS = ("created", "updated", "archived", "restored")
Approved = dict[Key, Change]


class Waiting(NamedTuple):
    """The hold of the last run that planned something; `shown` is what waits."""

    run_id: UUID
    shown: Approved


class Done(NamedTuple):
    """What a run has changed, to be undone."""

    run_id: UUID
    changed: Plan


@dataclass
class Trial(LocalEdits):
    district: District = field(default_factory=first_district)
    ledger: Ledger = field(default_factory=Ledger)
    waiting: Waiting | None = None
    done: list[Done] = field(default_factory=list)
    began: UUID | None = None
    """The run that took over first; without one nothing is taken over unseen."""

    def feed(self, empty: RecordType | None = None) -> PagedFeed:
        feed = self.district.feed()
        return PagedFeed((without_type(feed, empty) if empty else feed).records)

    def foresee(
        self,
        feed: PagedFeed,
        approved: Approved | None = None,
        *,
        links: Links = MappingProxyType({}),
        is_asked: bool = False,
    ) -> Judgement:
        """What the model says of a night with this feed.

        `links` are those that are recognised under other ids, which takes an approval.
        `is_asked`: this is the question whether to begin.
        """
        named = {key.type for key in read_feed(feed)}
        stored = {key.type for key, row in self.ledger.rows.items() if not row.is_archived}
        ledger = self.ledger.renamed(links)
        is_unseen = bool(links) or (self.began is None and bool(self.ids))
        terms = self.terms._replace(
            empty=stored - named, seniority=self.ids, is_unseen=is_unseen and not is_asked
        )
        plan = plan_night(ledger, take(feed, ledger), links)
        return judge(ledger, plan, terms, approved or {})

    async def night(self, *, empty: RecordType | None = None) -> None:
        feed = self.feed(empty)
        judgement = self.foresee(feed)
        await self.expect(await self.story.run(opener=feed.open), judgement)

    async def preflight(self) -> None:
        """It shows what a night would do, and does nothing."""
        feed = self.feed()
        # Of a first sync it shows what would come of an approval.
        judgement = self.foresee(feed, is_asked=True)
        run = await self.story.run(SyncMode.PREFLIGHT, opener=feed.open)
        assert run.state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS)
        await self.expect_numbers(run, judgement)
        await self.expect_stored()

    async def failing_night(self, page: int) -> None:
        feed = self.feed()
        feed.fails_at = page
        run = await self.story.run(opener=feed.open)
        assert run.state is SyncRunState.FAILED
        await self.expect_stored()

    async def killed_night(self, statements: int) -> None:
        """A worker dies somewhere, another one takes the run over."""
        feed = self.feed()
        judgement = self.foresee(feed)
        requested = await self.story.request()

        def begin(database: Database) -> "asyncio.Future[object]":
            return asyncio.ensure_future(work(database, feed.open, self.story.keys))

        if await work_until(self.story.worker, begin, statements):
            await self.story.see.execute(
                "UPDATE sync_leases SET heartbeat_at = now() - interval '1 hour'"
                " WHERE tenant_id = $1",
                self.tenant_id,
            )
            await work(self.story.worker, feed.open, self.story.keys)
        await self.expect(await self.story.read_run(requested.run.id), judgement)

    async def approve(self) -> None:
        """Let go what waits; the feed may have changed since."""
        if self.waiting is None:
            await self.night()
        if self.waiting is None:
            return
        feed = self.feed()
        judgement = self.foresee(feed, self.waiting.shown)
        await self.expect(await self.ask_approval(feed), judgement)

    async def ask_approval(self, feed: PagedFeed) -> SyncRun:
        assert self.waiting is not None
        async with self.story.api.transaction(self.tenant_id) as session:
            requested = await approve_run(
                session,
                tenant_id=self.tenant_id,
                run_id=self.waiting.run_id,
                caller=COMMAND_LINE,
                now=utc_now(),
            )
        assert await work(self.story.worker, feed.open, self.story.keys) == requested.run.id
        return await self.story.read_run(requested.run.id)

    def rename(self, links: Links) -> None:
        """What is stored is known by other ids from now on, and is the same."""
        self.ledger = self.ledger.renamed(links).pointing(links)
        self.ids = {renamed(key, links): row_id for key, row_id in self.ids.items()}
        self.done.clear()

    async def discard(self) -> None:
        if self.waiting is None:
            return
        run_id, self.waiting = self.waiting.run_id, None
        for is_first in (True, False):
            try:
                async with self.story.api.transaction(self.tenant_id) as session:
                    await discard_run(
                        session,
                        tenant_id=self.tenant_id,
                        run_id=run_id,
                        caller=COMMAND_LINE,
                        now=utc_now(),
                    )
            except Conflict:
                assert not is_first
            else:
                assert is_first
        await self.expect_stored()

    async def same_again(self) -> None:
        """The same night again does nothing more, and writes nothing.

        What a night adds can bring the next one within its limits, but not for ever.
        """
        for _ in range(3):
            await self.night()
        places = await observe_places(self.story.see, self.tenant_id)
        await self.night()
        after = await observe_places(self.story.see, self.tenant_id)
        written = {table: set(rows) ^ set(places[table]) for table, rows in after.items()}
        assert not any(written.values()), written

    async def expect(self, run: SyncRun, judgement: Judgement) -> None:
        """That a run which planned did what the model says, and waits for what it says."""
        assert run.failure_message is None
        self.ledger = self.ledger.after(judgement.goes_on)
        self.done.append(Done(run.id, judgement.goes_on))
        if run.state is not SyncRunState.HELD:
            self.began = self.began or run.id
        await self.expect_stored()
        assert await self._waiting_of(run) == {
            (key.type, change.action, key.name)
            for key, change in judgement.waits.items()
            if key.type is not MEMBERSHIP
        }
        await self.expect_numbers(run, judgement)
        if not judgement.waits:
            assert run.state in (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED_WITH_ERRORS)
        elif judgement.goes_on:
            assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
        else:
            assert run.state is SyncRunState.HELD
        await self.expect_hold(run, judgement)

    async def _waiting_of(self, run: SyncRun) -> set[object]:
        return set(await observe_waiting(self.story.see, self.tenant_id, run.id))

    async def expect_numbers(self, run: SyncRun, judgement: Judgement) -> None:
        waits = count(judgement.waits)
        for name, expected in count(judgement.goes_on).items():
            counted = run.counts[name.value]
            found = {number: counted.get(number, 0) for number in (*NUMBERS, "held")}
            wanted = expected | {"held": sum(waits[name].values())}
            assert found == wanted, (name, found, wanted, waits[name])

    async def is_open(self, run_id: UUID) -> bool:
        return await observe_reasons(self.story.see, run_id) is not None

    async def expect_hold(self, run: SyncRun, judgement: Judgement) -> None:
        """There is one hold at most that has not ended: that of this run."""
        open_holds = await self.story.see.fetch(
            "SELECT run_id FROM holds WHERE tenant_id = $1 AND ended_at IS NULL", self.tenant_id
        )
        assert [row["run_id"] for row in open_holds] == ([run.id] if judgement.waits else [])
        reasons = await observe_reasons(self.story.see, run.id)
        assert bool(reasons) == bool(judgement.waits)
        self.wait_for(run, judgement.waits)

    def wait_for(self, run: SyncRun, shown: Approved) -> None:
        self.waiting = Waiting(run.id, shown) if shown else None

    async def expect_stored(self) -> None:
        observed = await observe(self.story.see, self.tenant_id)
        wrong = {
            key: {"stored": observed.rows.get(key), "expected": self.ledger.rows.get(key)}
            for key in observed.rows.keys() | self.ledger.rows.keys()
            if observed.rows.get(key) != self.ledger.rows.get(key)
        }
        assert not wrong, wrong
        assert {key: observed.ids[key] for key in self.ids} == self.ids
        self.ids = observed.ids
        await self.expect_local()
