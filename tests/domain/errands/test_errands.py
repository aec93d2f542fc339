"""Errands: each is run once by some worker, whatever dies, and whoever asked is answered."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id, utc_now
from domain.errands import perform
from domain.errands.models import ErrandKind
from domain.errands.perform import perform_errand
from domain.errands.service import request_errand, wait_for_errand
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.people.callers import COMMAND_LINE, Caller
from domain.resources import Resources
from domain.sync.retention import drop_what_is_old
from tests.api.graphql.seed import add_integration, add_run, add_tenant
from tests.domain.legacy.files import Desk

pytestmark = pytest.mark.anyio

KIND = ErrandKind.PEOPLE_MERGE


@pytest.fixture
async def desk(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> Desk:
    tenant_id = await add_tenant(superuser, "alpha")
    return Desk(resources.database, worker_resources.database, superuser, tenant_id)


async def request(desk: Desk, **asked: Any) -> UUID:
    async with desk.api.transaction(desk.tenant_id) as session:
        return await request_errand(
            session, tenant_id=desk.tenant_id, kind=KIND, asked=asked, caller=COMMAND_LINE
        )


async def answer(desk: Desk, errand_id: UUID, seconds: float = 5) -> dict[str, Any] | None:
    return await wait_for_errand(
        desk.api, tenant_id=desk.tenant_id, errand_id=errand_id, seconds=seconds
    )


async def state(desk: Desk) -> str:
    return str(await desk.see.fetchval("SELECT state FROM errands"))


def let(monkeypatch: pytest.MonkeyPatch, handler: perform.Handler) -> None:
    monkeypatch.setitem(perform.HANDLERS, KIND, handler)


async def add_school(session: AsyncSession, tenant_id: UUID) -> None:
    await session.execute(
        text("INSERT INTO schools (tenant_id, origin, name) VALUES (:tenant_id, 'LEGACY', 'S')"),
        {"tenant_id": tenant_id},
    )


async def echo(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    await add_school(session, tenant_id)
    return {"asked": dict(asked), "by": caller.actor, "of": str(caller.tenant_id)}


async def test_an_errand_is_run_once_and_answered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    let(monkeypatch, echo)
    errand_id = await request(desk, word="hello")
    assert await answer(desk, errand_id, seconds=0.1) is None
    done = await asyncio.gather(*(perform_errand(desk.worker) for _ in range(3)))
    assert sorted(done) == [False, False, True]
    assert await answer(desk, errand_id) == {
        "asked": {"word": "hello"}, "by": "command line", "of": str(desk.tenant_id),
    }  # fmt: skip
    assert await desk.see.fetchval("SELECT count(*) FROM schools") == 1
    assert await state(desk) == "DONE"


@pytest.mark.parametrize(
    ("error", "kind", "field"),
    [
        (InvalidInput("keptId", "This is nobody."), InvalidInput, "keptId"),
        (Conflict("They are the same.", field="mergedId"), Conflict, "mergedId"),
        (Conflict("They are the same."), Conflict, None),
        (NotFound("user", "x"), NotFound, None),
    ],
)
async def test_a_refusal_comes_back_as_what_it_was(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    error: DomainError,
    kind: type[DomainError],
    field: str | None,
) -> None:
    async def refuse(
        session: AsyncSession, tenant_id: UUID, _: Mapping[str, Any], __: Caller
    ) -> dict[str, Any]:
        await add_school(session, tenant_id)
        raise error

    let(monkeypatch, refuse)
    errand_id = await request(desk)
    assert await perform_errand(desk.worker)
    with pytest.raises(kind) as refused:
        await answer(desk, errand_id)
    assert str(refused.value) == str(error)
    assert getattr(refused.value, "field", None) == field
    assert await desk.see.fetchval("SELECT count(*) FROM schools") == 0
    assert await state(desk) == "REFUSED"


async def test_a_bug_is_answered_too_and_says_nothing_of_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> dict[str, Any]:
        raise RuntimeError("a person's name")

    let(monkeypatch, fail)
    errand_id = await request(desk)
    assert await perform_errand(desk.worker)
    with pytest.raises(Conflict, match="errand_failed"):
        await answer(desk, errand_id)


async def test_it_waits_while_a_sync_is_under_way_and_none_begins_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    let(monkeypatch, echo)
    integration_id = await add_integration(desk.see, desk.tenant_id)
    run_id = await add_run(
        desk.see, desk.tenant_id, integration_id, state="FETCHING", finished_at=None
    )
    errand_id = await request(desk)
    assert not await perform_errand(desk.worker)
    await desk.see.execute("UPDATE sync_runs SET state = 'QUEUED'")

    async def look(
        session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
    ) -> dict[str, Any]:
        claimed = await desk.see.fetch("SELECT * FROM claim_sync_run(interval '20 seconds')")
        return {"claimed": len(claimed)}

    let(monkeypatch, look)
    assert await perform_errand(desk.worker)
    assert await answer(desk, errand_id) == {"claimed": 0}
    claimed = await desk.see.fetch("SELECT * FROM claim_sync_run(interval '20 seconds')")
    assert [row["run_id"] for row in claimed] == [run_id]


async def test_a_sync_that_began_after_the_claim_comes_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    let(monkeypatch, echo)
    integration_id = await add_integration(desk.see, desk.tenant_id)
    errand_id = await request(desk)
    await desk.see.execute("SELECT * FROM claim_errand()")
    await add_run(desk.see, desk.tenant_id, integration_id, state="FETCHING", finished_at=None)
    await perform._run(desk.worker, desk.tenant_id, errand_id)  # noqa: SLF001 - between two steps
    assert await state(desk) == "WAITING"
    await desk.see.execute("UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = now()")
    assert await perform_errand(desk.worker)
    assert await state(desk) == "DONE"


async def test_a_dead_workers_errand_is_taken_again_after_a_minute(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    let(monkeypatch, echo)
    errand_id = await request(desk)
    await desk.see.execute("SELECT * FROM claim_errand()")
    assert not await perform_errand(desk.worker)
    await desk.see.execute("UPDATE errands SET started_at = started_at - interval '61 seconds'")
    assert await perform_errand(desk.worker)
    assert await answer(desk, errand_id) is not None
    # The worker that was taken for dead comes back: there is nothing left to do for it.
    await perform._run(desk.worker, desk.tenant_id, errand_id)  # noqa: SLF001 - between two steps
    assert await desk.see.fetchval("SELECT count(*) FROM schools") == 1


async def test_a_long_errand_is_not_taken_for_a_dead_workers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform, "BEAT_SECONDS", 0.05)

    async def dawdle(*_: object) -> dict[str, Any]:
        await desk.see.execute("UPDATE errands SET started_at = started_at - interval '1 hour'")
        deadline = asyncio.get_running_loop().time() + 5
        while await desk.see.fetchval(
            "SELECT started_at < now() - interval '1 minute' FROM errands"
        ):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        return {"claimed": len(await desk.see.fetch("SELECT * FROM claim_errand()"))}

    let(monkeypatch, dawdle)
    errand_id = await request(desk)
    assert await perform_errand(desk.worker)
    assert await answer(desk, errand_id) == {"claimed": 0}


async def test_answers_and_files_are_not_kept_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    let(monkeypatch, echo)
    await request(desk)
    await perform_errand(desk.worker)
    await request(desk)
    await desk.upload(b"content")
    now = utc_now()
    left = []
    for later in (timedelta(minutes=59), timedelta(hours=23), timedelta(hours=25)):
        await drop_what_is_old(desk.worker, now=now + later)
        left.append(
            [
                [row[0] for row in await desk.rows("SELECT state FROM errands ORDER BY id")],
                await desk.see.fetchval("SELECT count(*) FROM uploads"),
            ]
        )
    assert left == [[["DONE", "WAITING"], 1], [["DONE", "WAITING"], 0], [["WAITING"], 0]]


async def test_an_errand_of_another_tenant_is_not_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    let(monkeypatch, echo)
    await request(desk)
    async with desk.api.read(new_id()) as session:
        assert await session.scalar(text("SELECT count(*) FROM errands")) == 0
