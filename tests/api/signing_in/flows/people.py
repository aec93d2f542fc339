"""Who has an account at the four fakes, and what somebody does who signs in with one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import httpx2
from starlette.applications import Starlette

from domain.clock import new_id
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.provider import (
    CLEVER_ID,
    DISTRICT,
    DOMAIN,
    METHODS,
    SOURCED_ID,
    TENANT,
    TID,
)
from tests.browser import Browser
from tests.browser_pages import Page
from tests.fakes.identity import IdentityFake
from tests.fakes.identity_classlink import ClassLinkIdentity, ClassLinkPerson
from tests.fakes.identity_clever import CleverIdentity, CleverPerson
from tests.fakes.identity_google import GoogleIdentity, GooglePerson
from tests.fakes.identity_microsoft import MicrosoftIdentity, MicrosoftPerson
from tests.fakes.serving import Served

SESSION: Final = "__Host-homerow"
HOST: Final = "homerow.example"
TITLES: Final = dict(zip(METHODS, ("Clever", "ClassLink", "Google", "Microsoft"), strict=True))
PORTALS: Final = {"clever": "/portal", "classlink": "/launchpad"}
SHELBY: Final = "7" * 24
"""Another district at Clever, whose Sue is nobody in Springfield."""


def new_fakes() -> list[IdentityFake[Any]]:
    """Mia is the first at each. Bob is another pupil of her district, Sue is of another one."""
    return [
        CleverIdentity(
            [
                CleverPerson(name="Mia Lee", subject=CLEVER_ID, key=DISTRICT, legacy_id="1" * 24),
                CleverPerson(name="Bob Ray", subject="8" * 24, key=DISTRICT),
                CleverPerson(name="Sue Fox", subject="9" * 24, key=SHELBY),
            ]
        ),
        ClassLinkIdentity(
            [
                ClassLinkPerson(
                    name="Mia Lee", subject="99", key=str(TENANT), sourced_id=SOURCED_ID
                ),
                ClassLinkPerson(name="Bob Ray", subject="98", key=str(TENANT), sourced_id="8" * 24),
                ClassLinkPerson(name="Sue Fox", subject="97", key="1147", sourced_id="9" * 24),
            ]
        ),
        GoogleIdentity(
            [
                GooglePerson(name="Mia Lee", subject="1", key=DOMAIN, address=f"mia@{DOMAIN}"),
                GooglePerson(name="Bob Ray", subject="2", key=DOMAIN, address=f"bob@{DOMAIN}"),
                GooglePerson(
                    name="Sue Fox", subject="3", key="shelby.example", address="sue@shelby.example"
                ),
            ]
        ),
        MicrosoftIdentity(
            [
                MicrosoftPerson(name="Mia Lee", subject="a", key=TID, address=f"Mia@{DOMAIN}"),
                MicrosoftPerson(name="Bob Ray", subject="b", key=TID, address=f"bob@{DOMAIN}"),
                MicrosoftPerson(
                    name="Sue Fox",
                    subject="c",
                    key="99999999-2222-3333-4444-555555555555",
                    address="sue@shelby.example",
                ),
            ]
        ),
    ]


def callback(method: str) -> str:
    return f"{ORIGIN}/sign-in/{method}/callback"


def browser_of(app: Starlette) -> Browser:
    """The caller closes it. It has an address of its own, which is counted."""
    transport = httpx2.ASGITransport(app, client=(f"browser {new_id()}", 50000))
    return Browser({HOST: transport})


@dataclass(frozen=True, slots=True)
class Provider:
    """One of the fakes, and what people do who use it to sign in here."""

    method: str
    served: Served

    @property
    def fake(self) -> IdentityFake[Any]:
        fake: IdentityFake[Any] = self.served.state.fake
        return fake

    @property
    def title(self) -> str:
        return TITLES[self.method]

    @property
    def callback(self) -> str:
        return callback(self.method)

    def knows(self, number: int | None = 0) -> None:
        """Every browser that has not signed in there is Mia's, Bob's or Sue's; None: nobody's."""
        self.fake.signed_in_as(None if number is None else self.fake.people[number])

    def enable_oidc(self, *, is_on: bool = True) -> None:
        """As Clever's support does for an application."""
        assert isinstance(self.fake, CleverIdentity)
        self.fake.is_oidc = is_on

    def open_by(self, url: str | None) -> None:
        """Where ClassLink's tile leads; None: to the callback."""
        assert isinstance(self.fake, ClassLinkIdentity)
        self.fake.launch_url = url

    async def sign_in(
        self, browser: Browser, *, slug: str = "springfield", stop_before: str | None = None
    ) -> Page:
        """From the sign-in page of a tenant, as far as it goes by itself."""
        await browser.get(f"{ORIGIN}/t/{slug}")
        return await browser.click(f"Sign in with {self.title}", stop_before=stop_before)

    async def answer(self, browser: Browser, *, slug: str = "springfield") -> str:
        """The address at which the browser would come back, and does not yet."""
        page = await self.sign_in(browser, slug=slug, stop_before=self.callback)
        assert page.location is not None
        return page.location

    async def open_portal(self, browser: Browser, *, stop_before: str | None = None) -> Page:
        """By the icon there."""
        await browser.get(self.served.url + PORTALS[self.method])
        return await browser.click("Homerow", stop_before=stop_before)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def session_of(browser: Browser) -> str | None:
    found = [one.value for one in browser.jar.all() if one.name == SESSION and one.value]
    return found[0] if found else None


async def sessions(connection: asyncpg.Connection) -> Sequence[tuple[Any, str, bool]]:
    """Whose, by which method, and whether it goes on; the oldest first."""
    rows = await connection.fetch(
        "SELECT user_id, method, ended_at IS NULL AS is_open FROM sessions ORDER BY created_at, id"
    )
    return [tuple(row) for row in rows]
