"""Each way of reading a district: how it is served, and what an integration is told to read it."""

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette

from domain.integrations.connections import Platform
from domain.providers import open_source
from domain.providers.hosts import Hosts
from domain.providers.http.client import Client
from domain.roster.source import Checkpoint, Page, Provider, RosterSource, SourceConfig
from tests.fakes import classlink, clever, oneroster
from tests.fakes.classlink_state import BASE, DIRECT, SERVED, ClassLinkOptions
from tests.fakes.clever_state import CleverOptions
from tests.fakes.misbehaviour import Kind, Misbehaviour, Plan
from tests.fakes.oneroster_auth import Auth, Credentials
from tests.fakes.oneroster_service import Habits
from tests.fakes.serving import Served, serve
from tests.sources import HOSTS

PAGE: Final = 7
"""Rows of a page: a prime number, so that no collection ends with a full page for long."""
TODAY: Final = date(2026, 11, 2)
_NO_LIMIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Opening:
    """What a tenant stores, and the installation brings, to read what is served (None: files)."""

    provider: Provider
    settings: Mapping[str, Any]
    credentials: Mapping[str, str] = field(default_factory=dict)
    hosts: Hosts = HOSTS
    served: Served | None = None

    @property
    def platform(self) -> Platform:
        return Platform(
            allow_private=True,
            has_clever=self.hosts.clever_client_id is not None,
            has_classlink=self.hosts.classlink_token is not None,
        )

    @property
    def plan(self) -> Plan:
        assert self.served is not None
        plan = self.served.state.plan
        assert isinstance(plan, Plan)
        return plan

    @property
    def config(self) -> SourceConfig:
        return SourceConfig(self.provider, self.settings, TODAY, self.credentials)

    def open(self, config: SourceConfig) -> RosterSource:
        return open_source(config, self.hosts)


async def read_pages(
    opening: Opening, config: SourceConfig, *, after: Checkpoint | None = None
) -> list[Page]:
    """With a source of its own, and from a checkpoint as it is stored: as JSON."""
    at = None if after is None else json.loads(json.dumps(after))
    return [page async for page in opening.open(config).pages(at)]


def limit_answers(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """What is too large for us takes its time to send; so that it takes less of it."""
    defaults = Client.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "largest_body", size)


Way = Callable[..., Any]
"""`way(folder, misbehaviours=(), page=PAGE)` is a context manager that yields an Opening."""


@contextmanager
def by_files(
    folder: Path, *, misbehaviours: Iterable[Misbehaviour] = (), page: int = PAGE
) -> Generator[Opening]:
    assert not list(misbehaviours), "files do not misbehave"
    yield Opening(Provider.ONEROSTER_CSV, {"path": str(folder)})


def by_oneroster(version: str, auth: Auth, *, is_sloppy: bool = False) -> Way:
    @contextmanager
    def way(
        folder: Path, *, misbehaviours: Iterable[Misbehaviour] = (), page: int = PAGE
    ) -> Generator[Opening]:
        options = oneroster.OneRosterOptions(
            prefix="/some/where",
            versions=(version,),
            credentials=Credentials(auth=auth),
            habits=Habits(largest_page=page, is_sloppy=is_sloppy),
        )
        app = oneroster.create_app(folder, misbehaviours=misbehaviours, options=options)
        with serve(app) as served:
            told = oneroster.describe(served.url, served.state.fake)
            yield Opening(Provider.ONEROSTER, told["settings"], told["credentials"], served=served)

    return way


def _classlink_app(folder: Path, misbehaviours: Iterable[Misbehaviour], page: int) -> Starlette:
    options = ClassLinkOptions(habits=Habits(has_links=False, largest_page=page))
    return classlink.create_app(folder, misbehaviours=misbehaviours, options=options)


@contextmanager
def by_partner(
    folder: Path, *, misbehaviours: Iterable[Misbehaviour] = (), page: int = PAGE
) -> Generator[Opening]:
    """With the platform's own token, and ClassLink's list of those who share with it."""
    with serve(_classlink_app(folder, misbehaviours, page)) as served:
        token = ClassLinkOptions().partner_token
        yield Opening(
            Provider.CLASSLINK,
            {"tenant_id": str(SERVED.tenant_id)},
            hosts=replace(HOSTS, classlink_proxy_url=served.url, classlink_token=token),
            served=served,
        )


@contextmanager
def by_proxy(
    folder: Path, *, misbehaviours: Iterable[Misbehaviour] = (), page: int = PAGE
) -> Generator[Opening]:
    """With what somebody copied from ClassLink's portal."""
    with serve(_classlink_app(folder, misbehaviours, page)) as served:
        yield Opening(
            Provider.CLASSLINK,
            {"application_id": SERVED.application},
            {"token": SERVED.bearer},
            replace(HOSTS, classlink_proxy_url=served.url),
            served,
        )


@contextmanager
def by_direct(
    folder: Path, *, misbehaviours: Iterable[Misbehaviour] = (), page: int = PAGE
) -> Generator[Opening]:
    """With the key and the secret of the district's own server."""
    options = ClassLinkOptions()
    with serve(_classlink_app(folder, misbehaviours, page)) as served:
        yield Opening(
            Provider.CLASSLINK,
            {"base_url": served.url + DIRECT + BASE},
            {"key": options.key, "secret": options.secret},
            served=served,
        )


@contextmanager
def by_clever(
    folder: Path, *, misbehaviours: Iterable[Misbehaviour] = (), page: int = PAGE
) -> Generator[Opening]:
    """Clever gives as many rows as it is asked for, unless it is told to give fewer."""
    options = CleverOptions(rate_limit=_NO_LIMIT)
    small = Misbehaviour(Kind.CLAMP, amount=page)
    app = clever.create_app(folder, misbehaviours=[small, *misbehaviours], options=options)
    with serve(app) as served:
        yield Opening(
            Provider.CLEVER,
            {"district_id": served.state.fake.district_id},
            hosts=replace(
                HOSTS,
                clever_api_url=served.url,
                clever_oauth_url=served.url,
                clever_client_id=options.client_id,
                clever_client_secret=options.client_secret,
            ),
            served=served,
        )


WAYS: Final[Mapping[str, Way]] = {
    "ONEROSTER_CSV": by_files,
    "ONEROSTER 1.1 by OAuth 1 with SHA-1": by_oneroster("1.1", Auth.OAUTH1_SHA1),
    "ONEROSTER 1.1 by OAuth 1 with SHA-256": by_oneroster("1.1", Auth.OAUTH1_SHA256),
    "ONEROSTER 1.1 by a bearer": by_oneroster("1.1", Auth.BEARER),
    "ONEROSTER 1.1 of a sloppy server": by_oneroster("1.1", Auth.OAUTH1_SHA1, is_sloppy=True),
    "ONEROSTER 1.2 by OAuth 2": by_oneroster("1.2", Auth.OAUTH2),
    "ONEROSTER 1.2 by OAuth 2 in the body": by_oneroster("1.2", Auth.OAUTH2_BODY),
    "CLASSLINK by the partner's list": by_partner,
    "CLASSLINK by the proxy": by_proxy,
    "CLASSLINK directly": by_direct,
    "CLEVER": by_clever,
}
NETWORK_WAYS: Final = [name for name in WAYS if name != "ONEROSTER_CSV"]


def dialect_of(way: str) -> str:
    """What a way can tell depends on no more than this."""
    version = next((f" {word}" for word in way.split() if word in {"1.1", "1.2"}), "")
    return way.split(maxsplit=1)[0] + version
