"""Every field, asked by somebody in every role, of their own and of another tenant.

What may be asked is api/matrix.py; the documents are made from the schema. So a new field is
tried here from the day it is there.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
from graphql import GraphQLObjectType
from starlette.applications import Starlette

from api.graphql import errands, integration_tests
from api.graphql.node import _TYPES, encode_id, find_id
from api.graphql.schema import core
from api.graphql.throttling import Throttling
from api.matrix import MATRIX
from domain.people.callers import PRODUCT_SIDE, TENANT_ADMINS, TOKENS, Caller, CallerRole
from tests.api.graphql.asked import call
from tests.api.graphql.client import Client, World, connected
from tests.api.graphql.roles import Part, add_callers, add_part, add_whole, caller_of
from tests.api.graphql.seed import add_error, insert

pytestmark = pytest.mark.anyio

SEES_ALL = TOKENS | TENANT_ADMINS
NOT_HERE = {"NOT_FOUND", "INVALID"}
DOMAIN_REFUSES = {
    (CallerRole.STAFF, "Mutation.defaultGroupSet"),
    (CallerRole.STAFF, "Mutation.defaultSchoolSet"),
    *(
        (role, "Mutation.sessionsRevokeAll")
        for role in (
            CallerRole.SUPPORT,
            CallerRole.SCHOOL_ADMIN,
            CallerRole.TEACHER,
            CallerRole.STAFF,
        )
    ),
}
"""The matrix lets them do it to some, and this is somebody else."""
NODES = {node.__name__: code for code, node in _TYPES.items()}


class Place(NamedTuple):
    """The world of these tests: `seen` and `hidden` are of alpha, `foreign` is beta's."""

    seen: Part
    hidden: Part
    foreign: Part


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no worker, and more is asked than one caller may ask in so short a time."""

    async def spend(*_: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(Throttling, "spend", spend)
    monkeypatch.setattr(errands.run_errand, "__kwdefaults__", {"seconds": 0.01})
    monkeypatch.setattr(integration_tests, "WAIT_SECONDS", 0.01)


@pytest.fixture
async def place(world: World, superuser: asyncpg.Connection) -> Place:
    seen = await add_part(superuser, world.alpha_id)
    hidden = await add_part(superuser, world.alpha_id)
    foreign = await add_part(superuser, world.beta_id)
    return Place(
        await add_whole(superuser, world.alpha_id, seen),
        hidden,
        await add_whole(superuser, world.beta_id, foreign),
    )


class Asked(NamedTuple):
    field: str
    document: str


def roots(part: Part) -> Iterator[Asked]:
    """Every field of Query and of Mutation."""
    for root, word in ((core.query_type, "query"), (core.mutation_type, "mutation")):
        assert root
        for name, field in root.fields.items():
            key = f"{root.name}.{name}"
            asked = call(name, field, lambda it, key=key: _id(part, key, it))
            yield Asked(key, f"{word} {{ found: {asked} }}")


def _id(part: Part, field: str, argument: str) -> str:
    if argument == "id":
        return part.id({"Query.tenant": "T", "Query.syncRun": "R"}.get(field, "U"))
    return part.id_of(argument)


def nodes(part: Part, caller: Caller) -> Iterator[Asked]:
    """The one object that the part has of each type: by all that the caller may ask of it.

    What the caller may not ask follows field by field.
    """
    for type_name, code in NODES.items():
        type_ = core.type_map[type_name]
        assert isinstance(type_, GraphQLObjectType)
        if code not in part.keys:
            continue
        begin = f'{{ found: node(id: "{part.id(code)}") {{ ... on {type_name}'
        calls = {name: call(name, field, part.id_of) for name, field in type_.fields.items()}
        refused = {name for name in calls if refusal_of(f"{type_name}.{name}", caller)}
        allowed = " ".join(asked for name, asked in calls.items() if name not in refused)
        yield Asked(type_name, f"{begin} {{ {allowed} }} }} }}")
        for name in refused:
            yield Asked(f"{type_name}.{name}", f"{begin} {{ {calls[name]} }} }} }}")


def refusal_of(field: str, caller: Caller) -> str | None:
    rule = MATRIX.get(field)
    return rule.refusal(caller) if rule else None


async def answer_of(client: Client, asked: Asked) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post(asked.document)).json()
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    assert not {"INTERNAL_SERVER_ERROR", "GRAPHQL_VALIDATION_FAILED"} & set(codes), asked
    return answer


def is_told(answer: dict[str, Any], refusal: str) -> bool:
    [error] = answer["errors"]
    is_forbidden: bool = error["extensions"]["code"] == "FORBIDDEN"
    return is_forbidden and error["message"] == refusal


def is_not_here(answer: dict[str, Any]) -> bool:
    """Nothing is there, or it is said that there is no such thing."""
    found = (answer.get("data") or {}).get("found")
    if isinstance(found, dict) and "userErrors" in found:
        return bool(found["userErrors"]) and {e["code"] for e in found["userErrors"]} <= NOT_HERE
    return found is None


@pytest.mark.parametrize("role", CallerRole)
async def test_a_field_is_refused_exactly_where_the_matrix_says_so(
    role: CallerRole,
    place: Place,
    app: Starlette,
    superuser: asyncpg.Connection,
    subtests: pytest.Subtests,
) -> None:
    caller = caller_of(role, place.seen.tenant_id)
    secrets = await add_callers(superuser, place.seen)
    async with connected(app, secrets[role]) as client:
        for asked in (*nodes(place.seen, caller), *roots(place.seen)):
            with subtests.test(field=asked.field):
                answer = await answer_of(client, asked)
                refusal = refusal_of(asked.field, caller)
                if is_guarded(asked.field, caller):
                    assert answer["data"] == {"found": None}
                elif refusal:
                    assert is_told(answer, refusal), answer
                elif (role, asked.field) in DOMAIN_REFUSES:
                    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
                else:
                    assert "errors" not in answer, answer


def is_guarded(field: str, caller: Caller) -> bool:
    """Whether objects of the type are not there at all for the caller."""
    code = NODES.get(field.partition(".")[0])
    guard = _TYPES[code].guard if code else None
    return guard is not None and refusal_of(guard, caller) is not None


@pytest.mark.parametrize("role", [role for role in CallerRole if role not in PRODUCT_SIDE])
async def test_another_tenant_is_not_there_for_anybody(
    role: CallerRole,
    place: Place,
    app: Starlette,
    superuser: asyncpg.Connection,
    subtests: pytest.Subtests,
) -> None:
    caller = caller_of(role, place.seen.tenant_id)
    secrets = await add_callers(superuser, place.seen)
    async with connected(app, secrets[role]) as client:
        for asked in (*nodes(place.foreign, caller), *roots(place.foreign)):
            if place.foreign.tenant_id not in ids_in(asked.document):
                continue
            with subtests.test(field=asked.field):
                answer = await answer_of(client, asked)
                refusal = refusal_of(asked.field, caller)
                if refusal and asked.field.startswith(("Query.", "Mutation.")):
                    assert is_told(answer, refusal), answer
                else:
                    assert is_not_here(answer), answer
    assert (
        await superuser.fetchval(
            "SELECT count(*) FROM audit_log WHERE tenant_id = $1", place.foreign.tenant_id
        )
        == 0
    )


@pytest.mark.parametrize("role", [role for role in CallerRole if role not in SEES_ALL])
async def test_what_people_do_not_see_is_not_there_for_them(
    role: CallerRole,
    place: Place,
    app: Starlette,
    superuser: asyncpg.Connection,
    subtests: pytest.Subtests,
) -> None:
    caller = caller_of(role, place.seen.tenant_id)
    secrets = await add_callers(superuser, place.seen)
    hidden = {key for code, key in place.hidden.keys.items() if code != "T"}
    async with connected(app, secrets[role]) as client:
        for asked in (*nodes(place.hidden, caller), *roots(place.hidden)):
            if hidden.isdisjoint(ids_in(asked.document)) or refusal_of(asked.field, caller):
                continue
            with subtests.test(field=asked.field):
                answer = await answer_of(client, asked)
                assert is_not_here(answer), answer


def ids_in(document: str) -> set[UUID]:
    """The tenants and the rows that a document names."""
    found = [find_id(text) for text in document.split('"')[1::2]]
    return {key for each in found if each for key in (each.tenant_id, each.key)}


COUNTS = """query ($id: ID!) { syncRun(id: $id) { counts {
    recordType fetched created updated archived restored unchanged rejected ignored held } } }"""
WHOLE = {
    "fetched": 900,
    "created": 300,
    "updated": 200,
    "archived": 100,
    "restored": 0,
    "unchanged": 280,
    "rejected": 20,
    "ignored": 5,
    "held": 7,
}
NOTHING = dict.fromkeys(("created", "updated", "archived", "restored", "rejected", "held"), 0)
UNKNOWN = dict.fromkeys(("fetched", "unchanged", "ignored"))


async def run_that_did_something(superuser: asyncpg.Connection, place: Place) -> UUID:
    """To the part that is seen and to the one that is not."""
    tenant_id, run = place.seen.tenant_id, place.seen.keys["R"]
    counts = json.dumps({"USER": WHOLE, "TERM": WHOLE})
    await superuser.execute("UPDATE sync_runs SET counts = $1 WHERE id = $2", counts, run)
    for part in (place.seen, place.hidden):
        for table, code in (("users", "U"), ("groups", "G")):
            await superuser.execute(
                f"UPDATE {table} SET created_by_run_id = $1 WHERE id = $2",  # noqa: S608
                run,
                part.keys[code],
            )
        for kind, code, action, held_by in (
            ("USER", "U", "UPDATE", None),
            ("USER", "U", "RESTORE", None),
            ("GROUP", "G", "ARCHIVE", "HOLD_ARCHIVES"),
            ("MEMBERSHIP", "M", "ARCHIVE", None),
        ):
            await insert(
                superuser,
                "sync_changes",
                tenant_id=tenant_id,
                run_id=run,
                record_type=kind,
                record_id=part.keys[code],
                action=action,
                old_values={},
                new_values={},
                held_by=held_by,
            )
    await add_error(superuser, tenant_id, run, source_id="somebody of nobody's school")
    return run


async def test_what_a_run_did_is_counted_for_school_admins_in_their_schools(
    place: Place, world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    run = await run_that_did_something(superuser, place)
    run_id = encode_id("R", world.alpha_id, run)
    secrets = await add_callers(superuser, place.seen)
    async with connected(app, secrets[CallerRole.SCHOOL_ADMIN]) as school_admin:
        assert (await school_admin.run(COUNTS, id=run_id))["syncRun"]["counts"] == [
            {"recordType": "GROUP", **UNKNOWN, **NOTHING, "created": 1, "held": 1},
            {
                "recordType": "USER",
                **UNKNOWN,
                **NOTHING,
                "created": 1,
                "updated": 1,
                "restored": 1,
                "rejected": 1,
            },
            {"recordType": "MEMBERSHIP", **UNKNOWN, **NOTHING, "archived": 1},
        ]
    async with connected(app, secrets[CallerRole.SUPPORT]) as support:
        counts = (await support.run(COUNTS, id=run_id))["syncRun"]["counts"]
    assert sorted(counts, key=str) == sorted(
        ({"recordType": kind, **WHOLE} for kind in ("USER", "TERM")), key=str
    )


SEEN = """{ viewer { user { school { name } groups { name } }
      tenant { users { totalCount } groups { totalCount } schools { totalCount } } } }"""


@pytest.mark.parametrize(
    ("role", "users"),
    [
        # Each sees the student and themselves, and admins and staff everybody of the school.
        (CallerRole.SCHOOL_ADMIN, 5),
        (CallerRole.STAFF, 5),
        (CallerRole.TEACHER, 2),
        (CallerRole.STUDENT, 1),
    ],
)
async def test_lists_and_their_totals_are_of_what_people_see(
    role: CallerRole, users: int, place: Place, app: Starlette, superuser: asyncpg.Connection
) -> None:
    secrets = await add_callers(superuser, place.seen)
    async with connected(app, secrets[role]) as client:
        viewer = (await client.run(SEEN))["viewer"]
    assert viewer["user"]["school"] == {"name": "North School"}
    assert viewer["tenant"] == {
        "users": {"totalCount": users},
        "groups": {"totalCount": 1},
        "schools": {"totalCount": 1},
    }


ERRORS = """{ viewer { tenant { validationErrors { totalCount nodes { sourceId } }
    validationErrorGroups { cause count } } } }"""


async def test_school_admins_see_the_errors_of_their_schools_and_count_them(
    place: Place, app: Starlette, superuser: asyncpg.Connection
) -> None:
    run = place.seen.keys["R"]
    await add_error(superuser, place.seen.tenant_id, run, source_id="elsewhere")
    secrets = await add_callers(superuser, place.seen)
    [own] = await superuser.fetch("SELECT source_id FROM users WHERE id = $1", place.seen.keys["U"])
    async with connected(app, secrets[CallerRole.SCHOOL_ADMIN]) as client:
        tenant = (await client.run(ERRORS))["viewer"]["tenant"]
    assert tenant["validationErrors"] == {"totalCount": 1, "nodes": [{"sourceId": own[0]}]}
    assert tenant["validationErrorGroups"] == [{"cause": "USER u1", "count": 1}]
    async with connected(app, secrets[CallerRole.DISTRICT_ADMIN]) as client:
        tenant = (await client.run(ERRORS))["viewer"]["tenant"]
    assert tenant["validationErrors"]["totalCount"] == 2
    assert tenant["validationErrorGroups"] == [{"cause": "USER u1", "count": 2}]


EXPORT = """mutation ($id: ID!, $kind: ExportKind!, $run: ID) {
    exportCreate(input: {tenantId: $id, kind: $kind, runId: $run}) { userErrors { code } } }"""


async def test_school_admins_export_errors_and_nothing_else(
    place: Place, app: Starlette, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    secrets = await add_callers(superuser, place.seen)
    tenant, run = place.seen.id("T"), place.seen.id("R")
    async with connected(app, secrets[CallerRole.SCHOOL_ADMIN]) as client:
        answer = await client.run(EXPORT, id=tenant, kind="VALIDATION_ERRORS")
        assert answer == {"exportCreate": {"userErrors": []}}
        for kind, run_id in (("SYNC_CHANGES", run), ("ADMINS", None), ("STAFF", None)):
            with subtests.test(kind=kind):
                error = await client.fail(EXPORT, id=tenant, kind=kind, run=run_id)
                assert error["extensions"]["code"] == "FORBIDDEN"
                assert error["message"] == "Only a district's administrators may do this."
