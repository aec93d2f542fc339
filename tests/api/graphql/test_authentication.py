"""Who asks: a token, or a browser by its cookie, and what a browser must send beside it."""

from datetime import timedelta
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from domain.clock import utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_group, add_membership, add_school, add_user
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

VIEWER = {"query": "{ viewer { name } }"}
COOKIE = {"Cookie": "__Host-homerow=hrs_mia"}
PAGE = {"Sec-Fetch-Site": "same-origin", "X-Homerow-Csrf": "1"}


async def ask(app: Starlette, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://homerow.test") as http:
        return await http.post("/graphql", json=VIEWER, headers=headers)


@pytest.fixture
async def mia(world: World, superuser: asyncpg.Connection) -> UUID:
    """A district admin who has signed in."""
    user_id = await add_user(
        superuser,
        world.alpha_id,
        given_name="Mia",
        family_name="Ames",
        roles=["DISTRICT_ADMIN"],
    )
    await add_session(superuser, world.alpha_id, "hrs_mia", user_id=user_id)
    return user_id


@pytest.mark.usefixtures("mia")
async def test_a_session_is_a_bearer_token_too(app: Starlette) -> None:
    answer = await ask(app, Authorization="Bearer hrs_mia")
    assert answer.json()["data"] == {"viewer": {"name": "Mia Ames"}}


@pytest.mark.usefixtures("mia")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (PAGE, 200),
        ({"Origin": "http://homerow.test", "X-Homerow-Csrf": "1"}, 200),
        ({}, 403),
        ({"X-Homerow-Csrf": "1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "X-Homerow-Csrf": ""}, 403),
        (PAGE | {"Sec-Fetch-Site": "same-site"}, 403),
        (PAGE | {"Sec-Fetch-Site": "cross-site"}, 403),
        (PAGE | {"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "null", "X-Homerow-Csrf": "1"}, 403),
        ({"Origin": "https://homerow.test", "X-Homerow-Csrf": "1"}, 403),
        ({"Origin": "http://homerow.test:8080", "X-Homerow-Csrf": "1"}, 403),
        ({"Origin": "http://homerow.test.example.org", "X-Homerow-Csrf": "1"}, 403),
        ({"Origin": "http://evil-homerow.test", "X-Homerow-Csrf": "1"}, 403),
        ({"Origin": "http://homerow.test@example.org", "X-Homerow-Csrf": "1"}, 403),
    ],
)
async def test_a_cookie_opens_only_to_pages_of_ours(
    app: Starlette, headers: dict[str, str], status: int
) -> None:
    assert (await ask(app, **COOKIE, **headers)).status_code == status


@pytest.mark.usefixtures("mia")
async def test_with_a_token_beside_it_the_cookie_is_ignored(app: Starlette, world: World) -> None:
    both = await ask(app, Authorization="Bearer of-alpha", **COOKIE)
    assert both.json()["data"]["viewer"]["name"] == "token of-alpha"
    wrong = await ask(app, Authorization="Bearer nothing", **COOKIE, **PAGE)
    assert wrong.status_code == 401


@pytest.mark.usefixtures("mia")
async def test_two_cookies_of_the_name_are_none(app: Starlette) -> None:
    answer = await ask(app, Cookie="__Host-homerow=hrs_mia; __Host-homerow=hrs_other", **PAGE)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sessions SET ended_at = now()",
        "UPDATE sessions SET expires_at = now() - interval '1 second'",
        "UPDATE sessions SET last_seen_at = now() - interval '31 minutes'",
        "UPDATE users SET is_enabled = false",
        "UPDATE users SET archived_at = now()",
        "UPDATE tenants SET status = 'CLOSED'",
        "DELETE FROM sessions",
    ],
)
async def test_a_session_ends(
    app: Starlette, mia: UUID, superuser: asyncpg.Connection, change: str
) -> None:
    await superuser.execute(change)
    assert (await ask(app, Authorization="Bearer hrs_mia")).status_code == 401


async def test_who_is_seen_is_noted_once_a_minute(
    app: Starlette, mia: UUID, superuser: asyncpg.Connection
) -> None:
    seen = "SELECT last_seen_at FROM sessions"
    recently = utc_now() - timedelta(seconds=50)
    await superuser.execute("UPDATE sessions SET last_seen_at = $1", recently)
    await ask(app, Authorization="Bearer hrs_mia")
    assert await superuser.fetchval(seen) == recently
    await superuser.execute(
        "UPDATE sessions SET last_seen_at = $1", recently - timedelta(minutes=1)
    )
    await ask(app, Authorization="Bearer hrs_mia")
    assert await superuser.fetchval(seen) > recently


async def test_a_token_says_when_it_was_used_last(
    app: Starlette, world: World, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE api_tokens SET last_used_at = NULL")
    await ask(app, Authorization="Bearer of-alpha")
    await ask(app, Authorization="Bearer of-operator")
    rows = await superuser.fetch(
        "SELECT name FROM api_tokens WHERE last_used_at IS NOT NULL ORDER BY name"
    )
    assert [row[0] for row in rows] == ["token of-alpha", "token of-operator"]


async def test_the_strictest_role_says_how_long(
    app: Starlette, world: World, superuser: asyncpg.Connection
) -> None:
    account_id = await add_super_admin(superuser, world.alpha_id)
    await add_session(superuser, world.alpha_id, "hrs_root", account_id=account_id)
    for minutes, status in ((14, 200), (16, 401)):
        await superuser.execute(
            "UPDATE sessions SET last_seen_at = now() - $1::interval", timedelta(minutes=minutes)
        )
        assert (await ask(app, Authorization="Bearer hrs_root")).status_code == status


async def test_a_student_who_is_not_eligible_any_more_is_out(
    app: Starlette, world: World, superuser: asyncpg.Connection
) -> None:
    user_id = await add_user(superuser, world.alpha_id, roles=["STUDENT"])
    await add_session(superuser, world.alpha_id, "hrs_sam", user_id=user_id)
    assert (await ask(app, Authorization="Bearer hrs_sam")).status_code == 200
    await superuser.execute("UPDATE users SET is_eligible = false")
    assert (await ask(app, Authorization="Bearer hrs_sam")).status_code == 401


async def test_a_teacher_sees_a_group_as_long_as_they_teach_it(
    app: Starlette, world: World, superuser: asyncpg.Connection
) -> None:
    school_id = await add_school(superuser, world.alpha_id)
    group_id = await add_group(superuser, world.alpha_id, school_id)
    teacher_id = await add_user(superuser, world.alpha_id, roles=["TEACHER"])
    membership_id = await add_membership(
        superuser, world.alpha_id, teacher_id, group_id, role="TEACHER"
    )
    await add_session(superuser, world.alpha_id, "hrs_tea", user_id=teacher_id)
    groups = {"query": '{ tenant(slug: "alpha") { groups(first: 9) { totalCount } } }'}

    async def count() -> int:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://homerow.test") as http:
            headers = {"Authorization": "Bearer hrs_tea"}
            answer = (await http.post("/graphql", json=groups, headers=headers)).json()
        number: int = answer["data"]["tenant"]["groups"]["totalCount"]
        return number

    assert await count() == 1
    await superuser.execute(
        "UPDATE memberships SET archived_at = now() WHERE id = $1", membership_id
    )
    assert await count() == 0
