"""Accounts: super admins, and the imported people who may have a password."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.people.callers import COMMAND_LINE
from domain.people.models import Account
from domain.signing_in.accounts import (
    account_of_person,
    create_super_admin,
    disable_account,
    enable_account,
    get_super_admin,
    list_super_admins,
)
from domain.signing_in.links import find_link, invite_super_admin
from tests.api.graphql.seed import add_integration, add_token
from tests.api.graphql.signed_in import add_session
from tests.domain.signing_in.district import District

pytestmark = pytest.mark.anyio

ORIGIN = "https://homerow.example"


async def create(
    district: District, email: str = "ada@example.org", name: str = "Ada Root"
) -> Account:
    async with district.api.transaction(district.tenant_id) as session:
        return await create_super_admin(
            session, tenant_id=district.tenant_id, name=name, email=email, caller=COMMAND_LINE
        )


async def set_state(district: District, account: Account, *, is_enabled: bool) -> None:
    async with district.api.transaction(district.tenant_id) as session:
        found = await get_super_admin(
            session, tenant_id=district.tenant_id, email=account.email or ""
        )
        if is_enabled:
            await enable_account(session, found, caller=COMMAND_LINE)
        else:
            await disable_account(session, found, caller=COMMAND_LINE, now=utc_now())


async def test_an_address_is_one_super_admin_of_a_tenant(alpha: District, beta: District) -> None:
    ada = await create(alpha, email=" Ada@Example.org ")
    assert (ada.email, ada.name, ada.user_id) == ("Ada@Example.org", "Ada Root", None)
    with pytest.raises(Conflict, match="There is a super admin with the address ada"):
        await create(alpha, email="ada@example.org")
    await create(alpha, email="bo@example.org", name="Bo Diaz")
    await create(beta)
    async with alpha.api.read(alpha.tenant_id) as session:
        found = await list_super_admins(session, alpha.tenant_id)
        assert [one.email for one in found] == ["Ada@Example.org", "bo@example.org"]
        same = await get_super_admin(session, tenant_id=alpha.tenant_id, email="ADA@example.org ")
        assert same.id == ada.id
        with pytest.raises(NotFound):
            await get_super_admin(session, tenant_id=alpha.tenant_id, email="eve@example.org")
    assert [row[:2] for row in await alpha.acts()] == [("command line", "superAdminCreate")] * 2


@pytest.mark.parametrize(
    ("email", "name", "field"),
    [
        ("ada", "Ada Root", "email"),
        ("ada@example.org\r\nBcc: eve@example.org", "Ada Root", "email"),
        ("", "Ada Root", "email"),
        ("ada@example.org", " ", "name"),
        ("ada@example.org", "Ada\nRoot", "name"),
        ("ada@example.org", "x" * 201, "name"),
    ],
)
async def test_what_is_no_address_or_name_is_said_so(
    alpha: District, email: str, name: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await create(alpha, email, name)
    assert refused.value.field == field
    assert await alpha.acts() == []


async def test_who_is_disabled_keeps_no_session_no_token_and_no_link(alpha: District) -> None:
    ada, bo = await create(alpha), await create(alpha, email="bo@example.org")
    for account, token in ((ada, "hrs_ada"), (bo, "hrs_bo")):
        await add_session(alpha.see, alpha.tenant_id, token, account_id=account.id)
        await add_token(
            alpha.see, f"hrw_{token}", alpha.tenant_id, created_by=f"account {account.id}"
        )
    async with alpha.api.transaction(alpha.tenant_id) as session:
        url = await invite_super_admin(session, ada, public_url=ORIGIN, now=utc_now())

    await set_state(alpha, ada, is_enabled=False)

    rows = await alpha.see.fetch("SELECT account_id FROM sessions WHERE ended_at IS NULL")
    assert [row["account_id"] for row in rows] == [bo.id]
    rows = await alpha.see.fetch("SELECT created_by FROM api_tokens WHERE revoked_at IS NULL")
    assert [row["created_by"] for row in rows] == [f"account {bo.id}"]
    await set_state(alpha, ada, is_enabled=True)
    assert await find_link(alpha.api, url.rpartition("/")[2]) is None
    assert [row[1] for row in await alpha.acts()] == [
        "superAdminCreate",
        "superAdminCreate",
        "accountDisable",
        "accountEnable",
    ]


async def test_to_disable_somebody_twice_is_one_act(alpha: District) -> None:
    ada = await create(alpha)
    for is_enabled in (True, False, False, True, True):
        await set_state(alpha, ada, is_enabled=is_enabled)
    acts = [row[1] for row in await alpha.acts()]
    assert acts == ["superAdminCreate", "accountDisable", "accountEnable"]


async def test_who_is_disabled_is_invited_by_nobody(alpha: District) -> None:
    ada = await create(alpha)
    await set_state(alpha, ada, is_enabled=False)
    async with alpha.api.transaction(alpha.tenant_id) as session:
        ada = await get_super_admin(session, tenant_id=alpha.tenant_id, email=ada.email or "")
        with pytest.raises(Conflict, match=r"ada@example\.org is disabled"):
            await invite_super_admin(session, ada, public_url=ORIGIN, now=utc_now())
    assert await alpha.see.fetchval("SELECT count(*) FROM mail_outbox") == 0


async def account_of(district: District, user_id: UUID) -> Account:
    async with district.api.transaction(district.tenant_id) as session:
        return await account_of_person(
            session, tenant_id=district.tenant_id, user_id=user_id, caller=COMMAND_LINE
        )


async def refusal_of(district: District, user_id: UUID) -> DomainError:
    with pytest.raises(DomainError) as refused:
        await account_of(district, user_id)
    assert await district.see.fetchval("SELECT count(*) FROM accounts") == 0
    return refused.value


async def test_an_imported_person_gets_one_account(alpha: District) -> None:
    bo = await alpha.person(username="bo", roles=["STAFF"], origin="IMPORT")
    first = await account_of(alpha, bo)
    assert (first.user_id, first.name, first.email) == (bo, None, None)
    assert (await account_of(alpha, bo)).id == first.id
    await alpha.see.execute("UPDATE accounts SET disabled_at = now()")
    with pytest.raises(Conflict, match="This person's account is disabled"):
        await account_of(alpha, bo)


async def test_who_is_rostered_signs_in_with_the_provider(alpha: District) -> None:
    mia = await alpha.person("c1", username="mia", roles=["STUDENT"])
    refused = await refusal_of(alpha, mia)
    assert isinstance(refused, Conflict)
    assert "comes from the provider and signs in with it" in str(refused)


@pytest.mark.parametrize("role", ["DISTRICT_ADMIN", "SCHOOL_ADMIN"])
async def test_administrators_of_clevers_roster_must_use_clever(alpha: District, role: str) -> None:
    await add_integration(alpha.see, alpha.tenant_id, provider="CLEVER")
    ada = await alpha.person("c1", username="ada", roles=[role])
    refused = await refusal_of(alpha, ada)
    assert str(refused) == "Administrators who are rostered from Clever must use it."


async def test_who_cannot_sign_in_gets_no_account(alpha: District, beta: District) -> None:
    gone = await alpha.person(
        username="gone",
        roles=["STAFF"],
        origin="IMPORT",
        archived_at=utc_now() - timedelta(days=1),
    )
    nameless = await alpha.person(username=None, roles=["STAFF"], origin="IMPORT")
    foreign = await beta.person(username="bo", roles=["STAFF"], origin="IMPORT")
    assert str(await refusal_of(alpha, gone)) == "This person is archived."
    assert "has no username" in str(await refusal_of(alpha, nameless))
    assert isinstance(await refusal_of(alpha, foreign), NotFound)
