"""Tenants, integrations and tokens: what is refused, what is stored, and what is never shown."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id, utc_now
from domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from domain.integrations.service import (
    Configuration,
    EligibilityRule,
    configure_integration,
    credentials_context,
    get_integration,
)
from domain.people.callers import COMMAND_LINE, Caller, Scope
from domain.people.credentials import find_caller
from domain.people.tokens import create_api_token
from domain.resources import Resources
from domain.roster.source import Provider
from domain.secrets import KeyRing, SecretUnreadable
from domain.tenants.service import create_tenant, find_tenant_id, get_tenant, get_tenant_id

pytestmark = pytest.mark.anyio


async def add_tenant(resources: Resources, slug: str, **options: str) -> UUID:
    tenant_id = new_id()
    async with resources.database.transaction(tenant_id) as session:
        await create_tenant(
            session,
            tenant_id=tenant_id,
            caller=COMMAND_LINE,
            **{"name": "A district", "slug": slug, **options},
        )
    return tenant_id


async def configure(
    resources: Resources,
    tenant_id: UUID,
    keys: KeyRing,
    configuration: Configuration,
    caller: Caller = COMMAND_LINE,
) -> UUID:
    async with resources.database.transaction(tenant_id) as session:
        integration = await configure_integration(
            session,
            tenant_id=tenant_id,
            configuration=configuration,
            keys=keys,
            caller=caller,
            now=utc_now(),
        )
    return integration.id


def csv(path: str = "/data/district") -> Configuration:
    return Configuration(Provider.ONEROSTER_CSV, {"path": path})


def rest(host: str = "sis.example.org", **credentials: str) -> Configuration:
    settings = {"base_url": f"https://{host}/v1p1", "token_url": f"https://{host}/token"}
    return Configuration(Provider.ONEROSTER, settings, credentials)


SECRET = {"key": "id", "secret": "hunter2"}


async def test_a_slug_is_taken_once_even_by_two_at_the_same_time(resources: Resources) -> None:
    await add_tenant(resources, "alpha")
    with pytest.raises(Conflict, match="'alpha' is taken"):
        await add_tenant(resources, "alpha")
    both = await asyncio.gather(
        add_tenant(resources, "beta"), add_tenant(resources, "beta"), return_exceptions=True
    )
    assert [type(item) for item in both if isinstance(item, BaseException)] == [Conflict]


@pytest.mark.parametrize(
    "slug", ["", "Alpha", "-a", "a-", "a_b", "a b", "é", "a" * 64, "a\n", "a/b"]
)
async def test_a_slug_that_is_none_is_refused(resources: Resources, slug: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await add_tenant(resources, slug)
    assert refused.value.field == "slug"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"display_name": " "}, "displayName"),
        ({"time_zone": "Mars/Olympus"}, "timeZone"),
        ({"time_zone": "../etc/passwd"}, "timeZone"),
        ({"time_zone": ""}, "timeZone"),
    ],
)
async def test_a_value_that_is_wrong_is_named(
    resources: Resources, options: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await add_tenant(resources, "alpha", **options)
    assert refused.value.field == field
    async with resources.database.read() as session:
        assert await find_tenant_id(session, "alpha") is None


async def test_a_tenant_is_found_by_its_slug_and_seen_by_itself(resources: Resources) -> None:
    tenant_id = await add_tenant(resources, "alpha", name=" North ", display_name="N")
    async with resources.database.read() as session:
        assert await get_tenant_id(session, "alpha") == tenant_id
        with pytest.raises(NotFound):
            await get_tenant_id(session, "beta")
        with pytest.raises(NotFound):
            await get_tenant(session, tenant_id=tenant_id)
    async with resources.database.read(tenant_id) as session:
        tenant = await get_tenant(session, tenant_id=tenant_id)
        assert (tenant.name, tenant.display_name) == ("North", "N")


@pytest.mark.parametrize("path", ["", "data", "./data", "/data\x00", None, 7])
async def test_a_path_that_is_none_is_refused(
    resources: Resources, keys: KeyRing, path: object
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    wrong = Configuration(Provider.ONEROSTER_CSV, {"path": path})
    with pytest.raises(InvalidInput) as refused:
        await configure(resources, tenant_id, keys, wrong)
    assert refused.value.field == "path"


async def test_only_an_operator_chooses_a_folder_of_the_server(
    resources: Resources, keys: KeyRing
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    own = Caller(actor="token", name="token", tenant_id=tenant_id)
    with pytest.raises(InvalidInput, match="operator"):
        await configure(resources, tenant_id, keys, csv(), own)
    async with resources.database.read(tenant_id) as session:
        with pytest.raises(NotFound):
            await get_integration(session, tenant_id=tenant_id)


async def test_credentials_are_sealed_for_their_row_and_can_be_renewed(
    resources: Resources, superuser: asyncpg.Connection, keys: KeyRing
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    first = await configure(resources, tenant_id, keys, rest(**SECRET))
    second = await configure(resources, tenant_id, keys, rest(**SECRET | {"secret": "hunter3"}))
    assert first == second
    sealed = await superuser.fetchval("SELECT sealed FROM integration_credentials")
    assert b"hunter" not in sealed
    opened = keys.open(sealed, context=credentials_context(tenant_id, first))
    assert json.loads(opened) == {"key": "id", "secret": "hunter3"}
    with pytest.raises(SecretUnreadable):
        keys.open(sealed, context=credentials_context(new_id(), first))
    audit = await superuser.fetch("SELECT details::text FROM audit_log")
    settings = await superuser.fetchval("SELECT settings::text FROM integrations")
    assert "hunter" not in str(audit) + settings


async def test_a_stored_secret_is_not_sent_to_another_address(
    resources: Resources, superuser: asyncpg.Connection, keys: KeyRing
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    own = Caller(actor="token", name="token", tenant_id=tenant_id)
    await configure(resources, tenant_id, keys, rest(**SECRET), own)
    for caller in (own, COMMAND_LINE):
        with pytest.raises(InvalidInput, match="again") as refused:
            await configure(resources, tenant_id, keys, rest("evil.example.com"), caller)
        assert refused.value.field == "credentials"
    # With the same address, or without any, the stored ones stay.
    sealed = await superuser.fetchval("SELECT sealed FROM integration_credentials")
    await configure(resources, tenant_id, keys, rest(), own)
    await configure(resources, tenant_id, keys, Configuration(Provider.ONEROSTER), own)
    assert await superuser.fetchval("SELECT sealed FROM integration_credentials") == sealed
    await configure(resources, tenant_id, keys, rest("new.example.org", **SECRET), own)
    assert await superuser.fetchval("SELECT sealed FROM integration_credentials") != sealed


async def test_what_decides_how_records_are_read_makes_the_next_delta_whole(
    resources: Resources, superuser: asyncpg.Connection, keys: KeyRing
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    await configure(resources, tenant_id, keys, rest(**SECRET))
    rule = EligibilityRule("typing", ["Yes ", "1", "Yes"])
    stored = {"field": "typing", "values": ["Yes", "1"]}
    for changed, values, is_whole in (
        (Configuration(Provider.ONEROSTER, group_lead_days=7), (False, None), False),
        (Configuration(Provider.ONEROSTER, with_student_email=False), (False, None), False),
        (Configuration(Provider.ONEROSTER, with_student_email=True), (True, None), True),
        (Configuration(Provider.ONEROSTER, eligibility=rule), (True, stored), True),
        (Configuration(Provider.ONEROSTER, eligibility=rule), (True, stored), False),
        (Configuration(Provider.ONEROSTER, removes_eligibility=True), (True, None), True),
        (rest("new.example.org", **SECRET), (True, None), True),
    ):
        await superuser.execute("""UPDATE integrations SET cursors = '{"USER": "2026"}'""")
        await configure(resources, tenant_id, keys, changed)
        row = await superuser.fetchrow("SELECT * FROM integrations")
        eligibility = json.loads(row["eligibility"]) if row["eligibility"] else None
        assert (row["with_student_email"], eligibility) == values
        assert row["cursors"] == ("{}" if is_whole else '{"USER": "2026"}'), changed
    assert row["group_lead_days"] == 7


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (EligibilityRule("", ["yes"]), "eligibility.field"),
        (EligibilityRule("x" * 256, ["yes"]), "eligibility.field"),
        (EligibilityRule("typing", []), "eligibility.values"),
        (EligibilityRule("typing", [" "]), "eligibility.values"),
        (EligibilityRule("typing", ["a\nb"]), "eligibility.values"),
        (EligibilityRule("typing", [str(number) for number in range(51)]), "eligibility.values"),
    ],
)
async def test_a_rule_for_eligibility_that_is_none_is_refused(
    resources: Resources, keys: KeyRing, rule: EligibilityRule, field: str
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    wrong = replace(csv(), eligibility=rule)
    with pytest.raises(InvalidInput) as refused:
        await configure(resources, tenant_id, keys, wrong)
    assert refused.value.field == field


async def test_a_second_configuration_keeps_the_schedule(
    resources: Resources, superuser: asyncpg.Connection, keys: KeyRing
) -> None:
    tenant_id = await add_tenant(resources, "alpha")
    await configure(resources, tenant_id, keys, csv("/one"))
    await superuser.execute("UPDATE sync_schedules SET every_days = 7")
    await configure(resources, tenant_id, keys, csv("/two"))
    rows = await superuser.fetch(
        "SELECT i.settings::text, s.every_days, s.next_due_at > now() FROM integrations i"
        " JOIN sync_schedules s USING (tenant_id)"
    )
    assert [tuple(row) for row in rows] == [('{"path": "/two"}', 7, True)]


async def test_a_token_is_shown_once_and_ends_by_time_or_by_hand(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id, now = await add_tenant(resources, "alpha"), utc_now()
    async with resources.database.transaction(tenant_id) as session:
        token, secret = await create_api_token(
            session, tenant_id=tenant_id, name="t", scopes=[Scope.SYNC_RUN], now=now
        )
        _, old = await create_api_token(
            session,
            tenant_id=tenant_id,
            name="old",
            scopes=[],
            now=now,
            lifetime=timedelta(seconds=-1),
        )
    row = await superuser.fetchrow("SELECT * FROM api_tokens WHERE id = $1", token.id)
    assert secret.encode() not in row["token_hash"]
    caller = await find_caller(resources.database, secret, now=now)
    assert caller is not None
    assert (caller.tenant_id, caller.scopes) == (tenant_id, frozenset({Scope.SYNC_RUN}))
    assert await find_caller(resources.database, old, now=now) is None
    assert await find_caller(resources.database, secret + "x", now=now) is None
    with pytest.raises(Forbidden):
        caller.demand(Scope.TENANT_ADMIN)
    await superuser.execute("UPDATE api_tokens SET scopes = '{sync:run,unheard:of}'")
    caller = await find_caller(resources.database, secret, now=now)
    assert caller is not None
    assert caller.scopes == frozenset({Scope.SYNC_RUN})
    await superuser.execute("UPDATE api_tokens SET revoked_at = now()")
    assert await find_caller(resources.database, secret, now=now) is None
