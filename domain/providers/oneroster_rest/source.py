"""OneRoster over REST as a source of records: from its beginning to its end."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Self

from domain.providers.hosts import Hosts
from domain.providers.http.ahead import ahead
from domain.providers.http.client import Client
from domain.providers.oneroster.drafts import Rules
from domain.providers.oneroster_rest.access import Access
from domain.providers.oneroster_rest.check import check_access
from domain.providers.oneroster_rest.moments import delta_from
from domain.providers.oneroster_rest.pages import all_pages
from domain.providers.oneroster_rest.picking import picked_pages
from domain.providers.oneroster_rest.requests import Reading
from domain.providers.oneroster_rest.server import ServerAccess
from domain.providers.vocabulary import DEFAULT_ROLE_MAP, fold_role_map
from domain.roster.records import RecordType
from domain.roster.source import Checkpoint, CheckStep, Page, Picks, SourceConfig


class OneRosterSource:
    """A RosterSource."""

    def __init__(self, config: SourceConfig, hosts: Hosts) -> None:
        self._access: Access = ServerAccess(config)
        self._config = config
        self._hosts = hosts

    @classmethod
    def at(cls, access: Access, config: SourceConfig, hosts: Hosts) -> Self:
        """The source that reads from wherever `access` leads."""
        source = cls(config, hosts)
        source._access = access
        return source

    async def check(self) -> Sequence[CheckStep]:
        return await check_access(self._access, self._hosts)

    async def fingerprint(self) -> str:
        async with self._client() as client:
            place = await self._access.fingerprint(client)
        since = sorted((name.value, text) for name, text in self._since().items())
        return hashlib.sha256(repr((place, since)).encode()).hexdigest()

    async def pages(self, after: Checkpoint | None = None) -> AsyncGenerator[Page, None]:
        async with self._client() as client:
            reading = Reading(
                client, await self._access.open(client), self._rules(), since=self._since()
            )
            async with aclosing(ahead(all_pages(reading, after))) as pages:
                async for page in pages:
                    yield page

    async def pick(self, picks: Picks) -> AsyncGenerator[Page, None]:
        async with self._client() as client:
            reading = Reading(client, await self._access.open(client), self._rules())
            async with aclosing(picked_pages(reading, picks)) as pages:
                async for page in pages:
                    yield page

    def _client(self) -> Client:
        return Client(allow_private=self._hosts.allow_private, patience=self._hosts.patience)

    def _rules(self) -> Rules:
        return Rules(
            fold_role_map({**DEFAULT_ROLE_MAP, **self._config.role_map}),
            self._config.with_student_email,
            self._config.today,
            org_types={},
            eligibility=self._config.eligibility,
        )

    def _since(self) -> dict[RecordType, str]:
        """Where deltas begin. A time that cannot be read is none."""
        found = {name: delta_from(text) for name, text in self._config.since.items()}
        return {name: text for name, text in found.items() if text is not None}
