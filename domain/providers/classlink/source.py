"""ClassLink as a RosterSource: the way in is ClassLink's own, the reading is OneRoster's."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from domain.providers.classlink.access import PartnerAccess, access_of
from domain.providers.classlink.check import check_listing
from domain.providers.classlink.revision import HEADER, Revision
from domain.providers.hosts import Hosts
from domain.providers.http.client import Client
from domain.providers.oneroster_rest.access import Access, Endpoint
from domain.providers.oneroster_rest.check import failed_step
from domain.providers.oneroster_rest.source import OneRosterSource
from domain.roster.source import (
    Checkpoint,
    CheckStep,
    Page,
    Picks,
    SourceConfig,
    SourceError,
)


@dataclass(frozen=True, slots=True)
class Watched:
    """An access whose pages tell of a change of what the district shares."""

    access: Access
    revision: Revision

    async def fingerprint(self, client: Client) -> str:
        return await self.access.fingerprint(client)

    async def open(self, client: Client) -> Endpoint:
        return replace(await self.access.open(client), watch=self.revision.watch)


class ClassLinkSource:
    """A RosterSource."""

    def __init__(self, config: SourceConfig, hosts: Hosts) -> None:
        self._config = config
        self._hosts = hosts
        self._known: Access | None = None

    @property
    def _access(self) -> Access:
        """One for all readings: it remembers what was found out. Raises CredentialsRejected."""
        if self._known is None:
            self._known = access_of(self._config, self._hosts)
        return self._known

    def _through(self, access: Access) -> OneRosterSource:
        return OneRosterSource.at(access, self._config, self._hosts)

    async def check(self) -> Sequence[CheckStep]:
        try:
            access = self._access
        except SourceError as error:
            return [failed_step("settings", error)]
        steps: list[CheckStep] = []
        if isinstance(access, PartnerAccess):
            steps = await check_listing(access, self._hosts)
        if not all(step.is_ok for step in steps):
            return steps
        return [*steps, *await self._through(access).check()]

    async def fingerprint(self) -> str:
        return await self._through(self._access).fingerprint()

    async def pages(self, after: Checkpoint | None = None) -> AsyncGenerator[Page, None]:
        """OneRoster's, each with the revision in its checkpoint: where it goes on, that holds."""
        at = dict(after) if after is not None else None
        before = at.pop(HEADER, None) if at is not None else None
        revision = Revision(None if before is None else str(before))
        source = self._through(Watched(self._access, revision))
        async with aclosing(source.pages(at)) as pages:
            async for page in pages:
                yield _with_revision(page, revision.value)

    async def pick(self, picks: Picks) -> AsyncGenerator[Page, None]:
        source = self._through(Watched(self._access, Revision()))
        async with aclosing(source.pick(picks)) as pages:
            async for page in pages:
                yield page


def _with_revision(page: Page, revision: str | None) -> Page:
    if revision is None:
        return page
    return replace(page, checkpoint={**page.checkpoint, HEADER: revision})
