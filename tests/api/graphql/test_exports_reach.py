"""Exports of who sees a part of the tenant: the sheet has no more than their pages."""

import csv
import io

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.people.callers import CallerRole
from tests.api.graphql.client import World, connected
from tests.api.graphql.roles import Part, add_callers, add_part, add_whole
from tests.api.graphql.seed import add_error

pytestmark = pytest.mark.anyio

CREATE = """mutation ($id: ID!) { exportCreate(input: {tenantId: $id, kind: VALIDATION_ERRORS}) {
    export { url } } }"""


def sources(response: httpx2.Response) -> list[str]:
    assert response.status_code == 200, response.text
    _, *rows = csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline=""))
    return [row[6] for row in rows]


@pytest.fixture
async def part(world: World, superuser: asyncpg.Connection) -> Part:
    """With an error of its own, and one of somebody else."""
    part = await add_whole(superuser, world.alpha_id, await add_part(superuser, world.alpha_id))
    await add_error(superuser, world.alpha_id, part.keys["R"], source_id="elsewhere")
    return part


async def test_school_admins_take_the_errors_of_their_schools_along(
    part: Part, world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    secrets = await add_callers(superuser, part)
    own = await superuser.fetchval("SELECT source_id FROM users WHERE id = $1", part.keys["U"])
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    for role, expected in (
        (CallerRole.SCHOOL_ADMIN, [own]),
        (CallerRole.DISTRICT_ADMIN, [own, "elsewhere"]),
    ):
        async with connected(app, secrets[role]) as client:
            direct = await client.http.get("/tenants/alpha/validation-errors.csv")
            assert sources(direct) == expected
            export = (await client.run(CREATE, id=tenant_id))["exportCreate"]["export"]
        # By whoever has the link: it is the asker's reach that counts.
        async with connected(app, None) as anybody:
            assert sources(await anybody.http.get(export["url"])) == expected


@pytest.mark.parametrize("role", [CallerRole.TEACHER, CallerRole.STAFF, CallerRole.STUDENT])
async def test_teachers_staff_and_students_take_nothing_along(
    role: CallerRole, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    secrets = await add_callers(superuser, part)
    run = part.id("R")
    async with connected(app, secrets[role]) as client:
        for path in ("validation-errors", "admins", "staff", f"sync-runs/{run}/changes"):
            response = await client.http.get(f"/tenants/alpha/{path}.csv")
            assert (path, response.status_code) == (path, 403)
            assert "Only" in response.text
