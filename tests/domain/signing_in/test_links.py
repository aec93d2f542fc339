"""Links that set a password: for one use, for some time, and the newest alone."""

import asyncio
import re
import time
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput
from domain.people.callers import COMMAND_LINE
from domain.people.models import Account, LinkKind
from domain.resources import Resources
from domain.signing_in.accounts import create_super_admin
from domain.signing_in.links import (
    FoundLink,
    create_invitation,
    find_link,
    make_link,
    request_reset,
    set_password,
)
from tests.api.graphql.signed_in import add_session
from tests.domain.signing_in.district import District

pytestmark = pytest.mark.anyio

ORIGIN = "https://homerow.example"
PASSWORD = "four plain words here"  # noqa: S105 - of nobody


@pytest.fixture(autouse=True)
async def fixture_fresh_counts(resources: Resources) -> None:
    await resources.throttle.forget("reset 192.0.2.1")


@pytest.fixture
async def ada(alpha: District) -> Account:
    async with alpha.api.transaction(alpha.tenant_id) as session:
        return await create_super_admin(
            session,
            tenant_id=alpha.tenant_id,
            name="Ada Root",
            email="ada@example.org",
            caller=COMMAND_LINE,
        )


async def link_to(
    district: District,
    account: Account,
    kind: LinkKind = LinkKind.INVITATION,
    now: datetime | None = None,
) -> str:
    """The token that the address ends with."""
    async with district.api.transaction(district.tenant_id) as session:
        url = await make_link(session, account, kind, public_url=f"{ORIGIN}/", now=now or utc_now())
    assert url.startswith(f"{ORIGIN}/account-links/")
    return url.rpartition("/")[2]


async def found(district: District, token: str) -> FoundLink:
    link = await find_link(district.api, token)
    assert link is not None
    return link


async def ask(
    resources: Resources, district: District, name: str, *, address: str = "192.0.2.1"
) -> None:
    await request_reset(
        resources.database,
        resources.throttle,
        tenant_id=district.tenant_id,
        name=name,
        public_url=ORIGIN,
        address=address,
        now=utc_now(),
    )


async def mails(district: District) -> list[tuple[str, str]]:
    """(kind, recipient), the first one first."""
    rows = await district.see.fetch(
        "SELECT kind, recipient FROM mail_outbox WHERE tenant_id = $1 ORDER BY id",
        district.tenant_id,
    )
    return [(row["kind"], row["recipient"]) for row in rows]


async def test_a_link_is_a_secret_that_is_not_kept(alpha: District, ada: Account) -> None:
    token = await link_to(alpha, ada)
    assert re.fullmatch(r"[\w-]{43}", token)
    assert token != await link_to(alpha, ada)
    rows = await alpha.see.fetch("SELECT * FROM account_links")
    assert token not in str([tuple(row) for row in rows])


@pytest.mark.parametrize(
    ("kind", "life"),
    [(LinkKind.INVITATION, timedelta(days=7)), (LinkKind.RESET, timedelta(hours=1))],
)
async def test_a_link_has_its_time(
    alpha: District, ada: Account, kind: LinkKind, life: timedelta
) -> None:
    token = await link_to(alpha, ada, kind, now=utc_now() - life + timedelta(minutes=1))
    link = await found(alpha, token)
    assert link[::2] == (alpha.tenant_id, ada.id)
    assert link.kind is kind
    with pytest.raises(Conflict, match="This link has been used, or its time is over"):
        await set_password(alpha.api, link, PASSWORD, now=utc_now() + timedelta(minutes=2))
    late = await link_to(alpha, ada, kind, now=utc_now() - life)
    assert await find_link(alpha.api, late) is None


async def test_of_two_who_use_a_link_at_once_one_does(alpha: District, ada: Account) -> None:
    link = await found(alpha, await link_to(alpha, ada))
    done = await asyncio.gather(
        *(set_password(alpha.api, link, f"{PASSWORD} {n}", now=utc_now()) for n in range(4)),
        return_exceptions=True,
    )
    assert [type(one) for one in done if one is not None] == [Conflict] * 3
    acts = [row[1] for row in await alpha.acts()]
    assert acts == ["superAdminCreate", "passwordSet"]


async def test_a_new_password_ends_sessions_and_links_and_is_told(
    alpha: District, ada: Account
) -> None:
    await add_session(alpha.see, alpha.tenant_id, "hrs_ada", account_id=ada.id)
    link = await found(alpha, await link_to(alpha, ada))
    with pytest.raises(InvalidInput, match="A password has no name"):
        await set_password(alpha.api, link, "this is the root herself", now=utc_now())
    assert await alpha.see.fetchval("SELECT ended_at FROM sessions") is None
    await set_password(alpha.api, link, PASSWORD, now=utc_now())
    assert await alpha.see.fetchval("SELECT ended_at FROM sessions") is not None
    assert await alpha.see.fetchval("SELECT count(*) FROM account_links WHERE used_at IS NULL") == 0
    stored = await alpha.see.fetchval("SELECT password_hash FROM accounts")
    assert stored.startswith("$argon2id$")
    assert await mails(alpha) == [("PASSWORD_CHANGED", "ada@example.org")]
    assert (await alpha.acts())[-1] == (
        f"account {ada.id}",
        "passwordSet",
        str(ada.id),
        {"kind": "INVITATION"},
    )


async def test_an_invitation_goes_to_the_roster_or_where_it_is_said(alpha: District) -> None:
    bo = await alpha.person(username="bo", roles=["STAFF"], origin="IMPORT", email="bo@example.org")
    cy = await alpha.person(username="cy", roles=["STAFF"], origin="IMPORT")

    async def invite(user_id: UUID, email: str | None = None) -> None:
        async with alpha.api.transaction(alpha.tenant_id) as session:
            await create_invitation(
                session,
                tenant_id=alpha.tenant_id,
                user_id=user_id,
                caller=COMMAND_LINE,
                public_url=ORIGIN,
                now=utc_now(),
                email=email,
            )

    await invite(bo)
    await invite(bo, "office@example.org")
    await invite(cy, "cy@example.org")
    with pytest.raises(InvalidInput, match="no mail address of this person"):
        await invite(cy)
    with pytest.raises(InvalidInput, match="This is no mail address"):
        await invite(cy, "cy@example.org\nBcc: eve@example.org")
    assert await mails(alpha) == [
        ("INVITATION", "bo@example.org"),
        ("INVITATION", "office@example.org"),
        ("INVITATION", "cy@example.org"),
    ]
    rows = await alpha.see.fetch("SELECT email FROM users ORDER BY username")
    assert [row["email"] for row in rows] == ["bo@example.org", None]
    acts = [(row[1], row[2]) for row in await alpha.acts()]
    assert acts == [("invitationSend", str(one)) for one in (bo, bo, cy)]


async def test_a_reset_is_mailed_to_whose_name_it_is(
    resources: Resources, alpha: District, beta: District, ada: Account
) -> None:
    bo = await alpha.person(username="bo", roles=["STAFF"], origin="IMPORT", email="bo@example.org")
    await alpha.see.execute(
        "INSERT INTO accounts (tenant_id, user_id, created_by) VALUES ($1, $2, 'system')",
        alpha.tenant_id,
        bo,
    )
    for name in ("ADA@example.org ", "Bo", "eve@example.org", "", "\x00", "bo@example.org"):
        await ask(resources, alpha, name)
    await ask(resources, beta, "ada@example.org")
    assert await mails(alpha) == [("RESET", "ada@example.org"), ("RESET", "bo@example.org")]
    assert await mails(beta) == []
    await alpha.see.execute("UPDATE accounts SET disabled_at = now()")
    await ask(resources, alpha, "bo")
    assert len(await mails(alpha)) == 2


async def test_nobody_is_flooded_with_mails(
    resources: Resources, alpha: District, ada: Account
) -> None:
    for number in range(5):
        await ask(resources, alpha, "ada@example.org", address=f"192.0.2.{number + 10}")
    assert len(await mails(alpha)) == 3


async def test_a_request_takes_as_long_whoever_it_is_for(
    resources: Resources, alpha: District, ada: Account
) -> None:
    for name in ("ada@example.org", "eve@example.org", ""):
        begun = time.monotonic()
        await ask(resources, alpha, name)
        assert time.monotonic() - begun >= 0.2
