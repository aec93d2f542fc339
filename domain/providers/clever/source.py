"""Clever Secure Sync as a source of records: the whole roster each time, at Clever's own pace.

Clever cannot tell whether somebody is enabled, when an enrollment begins and ends, what kind of
staff somebody is, and who is an aide in a section.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager

from domain.providers.clever.api import Api, fingerprint_of
from domain.providers.clever.check import check_steps
from domain.providers.clever.pages import Position, roster_pages
from domain.providers.clever.people import Rules
from domain.providers.clever.picking import picked_pages
from domain.providers.clever.rate import wait_hint
from domain.providers.clever.tokens import Access
from domain.providers.hosts import Hosts
from domain.providers.http.client import Client
from domain.providers.http.patience import Patience
from domain.roster.source import Checkpoint, CheckStep, Page, Picks, RosterMoved, SourceConfig
from domain.validation.codes import Code


class CleverSource:
    """A RosterSource."""

    def __init__(self, config: SourceConfig, hosts: Hosts) -> None:
        self._hosts = hosts
        self._access = Access.of(config, hosts)
        self._rules = Rules.of(config)

    async def check(self) -> Sequence[CheckStep]:
        async with self._open(self._hosts.patience.hasty()) as api:
            return [step async for step in check_steps(api)]

    async def fingerprint(self) -> str:
        async with self._open() as api:
            return await _fingerprint(api)

    async def pages(self, after: Checkpoint | None = None) -> AsyncGenerator[Page, None]:
        async with self._open() as api:
            begin = Position.of(after) if after else Position(await _fingerprint(api))
            if begin.is_end:
                return
            async with aclosing(roster_pages(api, self._rules, begin)) as pages:
                async for page in pages:
                    if Position.of(page.checkpoint).is_end:
                        await _require_unmoved(api, begin.fingerprint)
                    yield page

    async def pick(self, picks: Picks) -> AsyncGenerator[Page, None]:
        async with self._open() as api:
            # Nothing is found with a token that opens another district, or none.
            api.own(await api.districts())
            async with aclosing(picked_pages(api, self._rules, picks)) as pages:
                async for page in pages:
                    yield page

    @asynccontextmanager
    async def _open(self, patience: Patience | None = None) -> AsyncGenerator[Api]:
        async with Client(
            allow_private=self._hosts.allow_private,
            patience=patience or self._hosts.patience,
            wait_hint=wait_hint,
        ) as client:
            yield Api(client, self._hosts.clever_api_url, self._access)


async def _fingerprint(api: Api) -> str:
    return fingerprint_of(api.own(await api.districts()))


async def _require_unmoved(api: Api, fingerprint: str) -> None:
    """Before the last page, since a reading that has it is whole."""
    if await _fingerprint(api) != fingerprint:
        raise RosterMoved(
            Code.CONN_MOVED, "The district was synced to Clever while its roster was read."
        )
