"""A worker that dies while it reads a provider: another goes on behind the last page stored."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from api.generator.package import generate
from domain.sync import fetch
from domain.sync.models import SyncRun, SyncRunState
from domain.sync.run import work
from tests.contract.conftest import Connect
from tests.contract.providers import WAYS, Opening
from tests.contract.rosters import Stored, read_stored
from tests.contract.tenants import night
from tests.domain.sync.stories import Story
from tests.fakes.misbehaviour import Kind, Misbehaviour

pytestmark = pytest.mark.anyio

STUDENTS: Final = 60
PAGE: Final = 11
STORED_PAGES: Final = 2
LAST: Final = {
    "CLEVER": "sections",
    "ONEROSTER 1.2 by OAuth 2": "enrollments",
    "CLASSLINK by the partner's list": "enrollments",
}
"""The collection that each way reads last: the worker dies within it."""
ASKED_AGAIN: Final = {"tokens", "applications", "districts", "orgs"}
"""What opens the way, and what the types of organisations are learnt from."""
WAIT: Final = 0.05
MOST_LOOKS: Final = 400
FOREVER: Final = 600.0


@pytest.fixture(autouse=True)
def every_page_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BATCH", 1)


@pytest.fixture
def district(tmp_path: Path) -> Path:
    folder = tmp_path / "district"
    generate(folder, students=STUDENTS, seed=3)
    return folder


async def die_within(story: Story, opening: Opening, collection: str) -> UUID:
    """The worker waits for the page behind those that are stored, and ends as if it were killed."""
    stuck = Misbehaviour(Kind.SLOW, collection, first=STORED_PAGES + 1, amount=FOREVER)
    opening.plan.misbehaviours.append(stuck)
    run_id = (await story.request()).run.id
    worker = asyncio.create_task(work(story.worker, opening.open, story.keys))
    await until_stuck(story, run_id, opening, collection)
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker
    opening.plan.misbehaviours.remove(stuck)
    opening.plan.log.clear()
    assert (await story.read_run(run_id)).state is SyncRunState.FETCHING
    await story.see.execute("UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'")
    return run_id


async def until_stuck(story: Story, run_id: UUID, opening: Opening, collection: str) -> None:
    """Until the page that never comes is asked for, and the ones before it are stored."""
    for _ in range(MOST_LOOKS):
        await asyncio.sleep(WAIT)
        stored = await story.see.fetchval("SELECT checkpoint FROM sync_runs WHERE id = $1", run_id)
        is_asked = opening.plan.count(collection) > STORED_PAGES
        if is_asked and stored and has_pages(json.loads(stored)):
            return
    raise AssertionError("the worker does not come to the page")


def has_pages(checkpoint: dict[str, Any]) -> bool:
    """Clever's sections are groups first, and then the people in them."""
    at, read = checkpoint["at"] or {}, checkpoint["read"]
    rows = read.get("GROUP" if "groups_after" in at else "MEMBERSHIP", 0)
    return bool(rows == STORED_PAGES * PAGE and at.get("after") == at.get("groups_after"))


def asked(opening: Opening) -> Counter[str | None]:
    return Counter(request.collection for request in opening.plan.log)


async def calm(tenant_of: Connect, opening: Opening) -> tuple[SyncRun, Stored, Counter[str | None]]:
    story = await tenant_of("calm", opening)
    run = await night(story, opening)
    requests = asked(opening)
    opening.plan.log.clear()
    # Counted anew, so that the fault of the other tenant comes at its own requests.
    usual = list(opening.plan.misbehaviours)
    opening.plan.forget()
    opening.plan.misbehaviours += usual
    return run, await read_stored(story.see, story.tenant_id), requests


@pytest.mark.parametrize("way", LAST)
async def test_another_worker_asks_for_the_rest_only(
    tenant_of: Connect, district: Path, way: str
) -> None:
    with WAYS[way](district, page=PAGE) as opening:
        undisturbed, roster, requests = await calm(tenant_of, opening)
        story = await tenant_of("alpha", opening)
        run_id = await die_within(story, opening, LAST[way])
        assert await work(story.worker, opening.open, story.keys) == run_id
        rest = asked(opening)
        run = await story.read_run(run_id)
        assert await read_stored(story.see, story.tenant_id) == roster
    assert (run.state, run.failure_message) == (SyncRunState.SUCCEEDED, None)
    assert run.counts == undisturbed.counts
    assert rest.pop(LAST[way]) == requests[LAST[way]] - STORED_PAGES
    assert rest.keys() <= ASKED_AGAIN


@pytest.mark.parametrize("way", [way for way in LAST if "ONEROSTER" not in way])
async def test_what_has_moved_meanwhile_is_read_anew(
    tenant_of: Connect, district: Path, way: str
) -> None:
    with WAYS[way](district, page=PAGE) as opening:
        undisturbed, roster, requests = await calm(tenant_of, opening)
        story = await tenant_of("alpha", opening)
        run_id = await die_within(story, opening, LAST[way])
        assert opening.served is not None
        opening.served.state.fake.move_roster()
        assert await work(story.worker, opening.open, story.keys) == run_id
        rest = asked(opening)
        run = await story.read_run(run_id)
        assert await read_stored(story.see, story.tenant_id) == roster
    assert (run.state, run.failure_message) == (SyncRunState.SUCCEEDED, None)
    assert run.counts == undisturbed.counts
    assert rest["users"] == requests["users"]
    assert rest[LAST[way]] >= requests[LAST[way]]
