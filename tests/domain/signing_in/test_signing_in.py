"""Signing in by a provider's word: which tenant, who gets in, and what is kept of it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from domain.clock import utc_now
from domain.people.callers import CallerRole
from domain.people.models import SignInMethodName
from domain.people.sessions import find_session
from domain.signing_in.deciding import Facts, decide
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal, SignedIn, open_session
from tests.api.graphql.seed import add_integration, insert
from tests.api.graphql.signed_in import add_super_admin
from tests.domain.signing_in.district import District, classlink, clever, google, new_district

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def roles() -> st.SearchStrategy[frozenset[CallerRole]]:
    of_people = [role for role in CallerRole if role.value not in {"OPERATOR", "SUPPORT"}]
    return st.frozensets(st.sampled_from(of_people))


@given(
    st.builds(
        Facts,
        roles=roles(),
        methods=st.frozensets(st.sampled_from(SignInMethodName)),
        is_closed=st.booleans(),
        is_archived=st.booleans(),
        is_enabled=st.booleans(),
        is_eligible=st.booleans(),
        is_of_clever=st.booleans(),
        live_on=st.none() | st.dates(date(2026, 8, 31), date(2026, 9, 2)),
    ),
    st.sampled_from(SignInMethodName),
)
def test_whoever_gets_in_has_nothing_against_them(facts: Facts, method: SignInMethodName) -> None:
    if decide(facts, method, NOON) is not None:
        return
    assert not facts.is_closed
    assert not facts.is_archived
    assert facts.is_enabled
    assert facts.roles
    assert facts.is_eligible or CallerRole.STUDENT not in facts.roles
    is_early = facts.live_on is not None and facts.live_on > NOON.date()
    is_admin = bool({role for role in facts.roles if role.value.endswith("_ADMIN")})
    assert is_admin or not is_early
    assert method in facts.methods or CallerRole.SUPER_ADMIN in facts.roles


async def test_somebody_gets_in_and_it_is_kept_without_a_name(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example", email="mia@home.example")
    await alpha.switch_on("GOOGLE")
    now = utc_now()
    outcome = await alpha.sign_in(google(), now=now)
    assert isinstance(outcome, SignedIn)
    assert (outcome.tenant_id, outcome.user_id, outcome.account_id) == (alpha.tenant_id, mia, None)
    assert outcome.roles == {CallerRole.STUDENT}
    assert outcome.expires_at == now + timedelta(hours=10)
    assert outcome.token not in repr(outcome)
    async with alpha.api.read() as session:
        found = await find_session(session, outcome.token, now=now)
    assert found is not None
    assert (found.caller.session_id, found.caller.user_id) == (outcome.session_id, mia)
    assert await alpha.see.fetchval("SELECT client FROM sessions") == "Firefox"
    assert await alpha.pins() == [(mia, "GOOGLE", "g1")]
    assert await alpha.attempts() == [(mia, "GOOGLE", "SIGNED_IN", None)]
    assert await alpha.acts() == [(f"user {mia}", "signIn", str(mia), {"method": "GOOGLE"})]


async def test_every_sign_in_is_a_session_of_its_own_and_one_account(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    outcomes = await asyncio.gather(*(alpha.sign_in(google()) for _ in range(4)))
    tokens = {outcome.token for outcome in outcomes if isinstance(outcome, SignedIn)}
    assert len(tokens) == 4
    assert await alpha.see.fetchval("SELECT count(*) FROM sessions") == 4
    assert await alpha.pins() == [(mia, "GOOGLE", "g1")]
    pin = await alpha.see.fetchrow("SELECT created_at, last_used_at FROM identities")
    await alpha.sign_in(google("renamed@alpha.example"))
    again = await alpha.see.fetchrow("SELECT created_at, last_used_at FROM identities")
    assert again["created_at"] == pin["created_at"]
    assert again["last_used_at"] > pin["last_used_at"]


async def test_a_refusal_is_kept_with_its_reason_and_without_what_was_said(
    alpha: District,
) -> None:
    mia = await alpha.person(username="mia@alpha.example", is_enabled=False)
    await alpha.switch_on("GOOGLE")
    for assertion, reason, user_id in (
        (google(), "DISABLED", mia),
        (google("eve@alpha.example", "g2"), "NOT_IN_ROSTER", None),
        (google(key=""), "NO_KEY", None),
        (google(key="else.example"), "WRONG_TENANT", None),
        (clever(), "METHOD_OFF", None),
    ):
        assert await alpha.refusal(assertion) == reason
        kept = (user_id, assertion.method, "REFUSED", reason)
        assert (await alpha.attempts())[-1] == kept
        actor = f"user {mia}" if user_id else "nobody"
        details = {"method": assertion.method, "reason": reason}
        target = str(mia) if user_id else None
        assert (await alpha.acts())[-1] == (actor, "signInRefused", target, details)
    assert len(await alpha.attempts()) == 5
    assert await alpha.pins() == []
    assert await alpha.see.fetchval("SELECT count(*) FROM sessions") == 0


async def test_who_is_refused_is_bound_to_nothing(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example", is_eligible=False)
    await alpha.switch_on("GOOGLE")
    assert await alpha.refusal(google()) == "NOT_ELIGIBLE"
    assert await alpha.pins() == []
    await alpha.override(mia, is_eligible=True)
    assert await alpha.refusal(google()) is None


async def test_another_account_of_the_same_name_is_refused_and_the_person_is_told_of(
    alpha: District,
) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    assert await alpha.refusal(google()) is None
    assert await alpha.refusal(google(subject="g2")) == "OTHER_SUBJECT"
    assert (await alpha.attempts())[-1] == (mia, "GOOGLE", "REFUSED", "OTHER_SUBJECT")
    assert await alpha.pins() == [(mia, "GOOGLE", "g1")]


async def wait_for_a_lock(see: asyncpg.Connection) -> None:
    """Until somebody else waits for what another transaction has done."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(30):
        while not await see.fetchval(waiting):
            await see.execute("SELECT pg_sleep(0.01)")


async def test_of_two_accounts_at_the_same_moment_the_later_one_is_refused(
    alpha: District, owner_dsn: str
) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    quicker = await asyncpg.connect(owner_dsn)
    try:
        async with quicker.transaction():
            values = {"tenant_id": alpha.tenant_id, "user_id": mia, "method": "GOOGLE"}
            await insert(quicker, "identities", **values, subject="g2")
            signing_in = asyncio.create_task(alpha.refusal(google()))
            await wait_for_a_lock(alpha.see)
    finally:
        await quicker.close()
    assert await signing_in == "OTHER_SUBJECT"
    assert await alpha.pins() == [(mia, "GOOGLE", "g2")]
    assert await alpha.attempts() == [(mia, "GOOGLE", "REFUSED", "OTHER_SUBJECT")]
    assert await alpha.see.fetchval("SELECT count(*) FROM sessions") == 0


async def test_from_the_portal_the_key_says_which_tenant(alpha: District, beta: District) -> None:
    mia = await alpha.person("c1")
    await beta.person("c1")
    await alpha.switch_on("CLEVER")
    await beta.switch_on("CLEVER", "another")
    outcome = await alpha.sign_in(clever(), at_page=False)
    assert isinstance(outcome, SignedIn)
    assert (outcome.tenant_id, outcome.user_id) == (alpha.tenant_id, mia)
    for key, reason in (("nowhere", "UNKNOWN_TENANT"), ("", "NO_KEY"), ("5F1D", "UNKNOWN_TENANT")):
        outcome = await alpha.sign_in(clever(key=key), at_page=False)
        assert isinstance(outcome, Refusal)
        assert (outcome.reason, outcome.tenant_id) == (reason, None)


async def test_the_integrations_own_key_counts_until_it_is_disconnected(alpha: District) -> None:
    await alpha.person("s1")
    settings = {"tenant_id": "4711"}
    await add_integration(alpha.see, alpha.tenant_id, provider="CLASSLINK", settings=settings)
    for at_page in (True, False):
        assert await alpha.refusal(classlink(), at_page=at_page) is None
    await alpha.see.execute("UPDATE integrations SET status = 'DISCONNECTED'")
    assert await alpha.refusal(classlink()) == "METHOD_OFF"
    assert await alpha.refusal(classlink(), at_page=False) == "UNKNOWN_TENANT"


async def test_where_tenants_share_a_key_the_roster_decides(
    alpha: District, beta: District
) -> None:
    for district in (alpha, beta):
        await district.switch_on("GOOGLE")
    assert await alpha.refusal(google(), at_page=False) == "NOT_IN_ROSTER"
    mia = await beta.person(username="mia@alpha.example")
    outcome = await alpha.sign_in(google(), at_page=False)
    assert isinstance(outcome, SignedIn)
    assert (outcome.tenant_id, outcome.user_id) == (beta.tenant_id, mia)
    twin = await alpha.person(username="mia@alpha.example")
    assert await alpha.refusal(google(), at_page=False) == "SEVERAL_TENANTS"
    # On the page of one of them it is said which.
    assert await alpha.refusal(google()) is None
    await alpha.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", mia)
    outcome = await alpha.sign_in(google(), at_page=False)
    assert isinstance(outcome, SignedIn)
    assert outcome.user_id == twin
    await alpha.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", twin)
    assert await alpha.refusal(google(), at_page=False) == "SEVERAL_TENANTS"


async def test_a_key_that_very_many_share_lets_people_in_at_their_own_page(
    alpha: District,
) -> None:
    last = alpha
    for number in range(22):
        last = await new_district(alpha.api, alpha.see, f"school-{number}")
        await last.switch_on("GOOGLE")
    await last.person(username="mia@alpha.example")
    assert await last.refusal(google()) is None


async def test_a_page_tells_nothing_of_another_tenant(alpha: District, beta: District) -> None:
    await alpha.person("c1")
    for district, key in ((alpha, "5f1d"), (beta, "another")):
        await district.switch_on("CLEVER", key)
    outcome = await beta.sign_in(clever())
    assert isinstance(outcome, Refusal)
    assert (outcome.reason, outcome.tenant_id) == (RefusalReason.WRONG_TENANT, beta.tenant_id)
    assert outcome == await beta.sign_in(clever("nobody", "nowhere"))
    assert await alpha.attempts() == []


async def test_a_closed_tenant_lets_nobody_in(alpha: District) -> None:
    await alpha.person("c1")
    await alpha.switch_on("CLEVER")
    await alpha.see.execute("UPDATE tenants SET status = 'CLOSED'")
    assert await alpha.refusal(clever()) == "TENANT_CLOSED"
    assert await alpha.refusal(clever(), at_page=False) == "UNKNOWN_TENANT"


async def test_before_the_day_others_than_administrators_are_told_it(alpha: District) -> None:
    """The day begins in Chicago, five hours after it does in Greenwich."""
    await alpha.switch_on("CLEVER")
    await alpha.see.execute("UPDATE subscriptions SET go_live_on = '2026-09-01'")
    roles = ("STUDENT", "TEACHER", "STAFF", "SCHOOL_ADMIN", "DISTRICT_ADMIN")
    for role in roles:
        await alpha.person(role, roles=[role])
    before, after = datetime(2026, 9, 1, 4, 59, tzinfo=UTC), datetime(2026, 9, 1, 5, tzinfo=UTC)
    for role in roles:
        outcome = await alpha.sign_in(clever(role), now=before)
        assert isinstance(outcome, SignedIn) is role.endswith("_ADMIN")
        if isinstance(outcome, Refusal):
            assert outcome.reason is RefusalReason.NOT_LIVE_YET
            assert "September 1, 2026" in outcome.message
    await alpha.see.execute("DELETE FROM sessions")
    for role in roles:
        assert await alpha.refusal(clever(role), now=after) is None


@pytest.mark.parametrize("role", ["DISTRICT_ADMIN", "SCHOOL_ADMIN", "TEACHER"])
async def test_administrators_whom_clever_rosters_use_clever(alpha: District, role: str) -> None:
    person = await alpha.person("c1", roles=[role], username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    await add_integration(
        alpha.see, alpha.tenant_id, provider="CLEVER", settings={"district_id": "5f1d"}
    )
    expected = None if role == "TEACHER" else "MUST_USE_CLEVER"
    assert await alpha.refusal(google()) == expected
    assert await alpha.refusal(clever()) is None
    await alpha.change(person, source_id=None)
    await alpha.change(person, origin="IMPORT")
    assert await alpha.refusal(google()) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"is_enabled": False}, "DISABLED"),
        ({"roles": []}, "NO_ROLE"),
        ({"is_eligible": False}, "NOT_ELIGIBLE"),
        ({"is_eligible": False, "roles": ["TEACHER"]}, None),
        ({"is_enabled": False, "is_eligible": False}, "DISABLED"),
    ],
)
async def test_what_the_roster_says_decides(
    alpha: District, values: dict[str, Any], reason: str | None
) -> None:
    await alpha.person("c1", **values)
    await alpha.switch_on("CLEVER")
    assert await alpha.refusal(clever()) == reason


async def test_what_was_said_here_of_eligibility_counts_more(alpha: District) -> None:
    await alpha.switch_on("CLEVER")
    for source_id, provider, here in (("c1", True, False), ("c2", False, True)):
        user_id = await alpha.person(source_id, is_eligible=provider)
        await alpha.override(user_id, is_eligible=here)
    assert await alpha.refusal(clever("c1")) == "NOT_ELIGIBLE"
    assert await alpha.refusal(clever("c2")) is None


async def test_an_archived_person_is_told_so(alpha: District) -> None:
    mia = await alpha.person("c1")
    await alpha.see.execute("UPDATE users SET archived_at = now()")
    await alpha.switch_on("CLEVER")
    assert await alpha.refusal(clever()) == "ARCHIVED"
    assert await alpha.attempts() == [(mia, "CLEVER", "REFUSED", "ARCHIVED")]


async def test_a_super_admin_gets_in_whatever_is_off(alpha: District) -> None:
    account = await add_super_admin(alpha.see, alpha.tenant_id)
    await alpha.switch_on("PASSWORD", "", is_enabled=False)
    await alpha.see.execute("UPDATE subscriptions SET go_live_on = '2999-01-01'")
    now = utc_now()
    async with alpha.api.transaction(alpha.tenant_id) as session:
        outcome = await open_session(
            session,
            tenant_id=alpha.tenant_id,
            user_id=None,
            account_id=account,
            method=SignInMethodName.PASSWORD,
            client=None,
            now=now,
        )
    assert isinstance(outcome, SignedIn)
    assert (outcome.user_id, outcome.account_id) == (None, account)
    assert outcome.roles == {CallerRole.SUPER_ADMIN}
    assert outcome.expires_at == now + timedelta(hours=8)
    assert (await alpha.acts())[-1][:3] == (f"account {account}", "signIn", str(account))


async def test_a_tenant_sees_nothing_of_anothers_attempts(alpha: District, beta: District) -> None:
    for district in (alpha, beta):
        await district.switch_on("CLEVER", district.tenant_id.hex)
        await district.person("c1")
        for _ in range(2):
            assert await district.refusal(clever(key=district.tenant_id.hex)) is None
    for table in ("sign_in_attempts", "sessions"):
        async with alpha.api.read(alpha.tenant_id) as session:
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 2  # noqa: S608
