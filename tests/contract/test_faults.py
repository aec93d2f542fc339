"""Each fault at each collection: the night ends as declared, and nothing stored is touched.

`make soak` tries them all. `make test` tries each fault at every third collection, each time
beginning with another one.
"""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from domain.sync.models import SyncRun, SyncRunState
from tests.contract.conftest import Connect
from tests.contract.districts import write_rich_district
from tests.contract.faults import (
    GOOD,
    HARMLESS,
    HELD,
    MIDWAY,
    MOST_BYTES,
    PERMANENT,
    TARGETS,
    TRANSIENT,
    Fault,
    impatient,
)
from tests.contract.providers import WAYS, Opening, limit_answers
from tests.contract.tenants import night
from tests.domain.sync.stories import Story, read_places, totals
from tests.fakes.misbehaviour import Kind, Misbehaviour

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SMALL: Final = 3
"""Rows of a page: every collection of the district has more than that."""
LARGE: Final = 100
IS_SOAK: Final = settings.get_current_profile_name() == "soak"
UNTOUCHED: Final = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


@dataclass
class Nights:
    """A tenant with a good night behind it, and the provider that is told to misbehave."""

    story: Story
    opening: Opening
    good: SyncRun
    places: dict[str, list[tuple[Any, ...]]]
    usual: Sequence[Misbehaviour]

    async def night(self, fault: Fault, collections: Iterable[str]) -> str:
        """What comes of it, in the words of the table."""
        self._behave()
        self.opening.plan.misbehaviours += [fault.at(name) for name in collections]
        run = await night(self.story, impatient(self.opening, fault))
        before, self.places = self.places, await read_places(self.story.see)
        if self.places != before:
            return f"something was written ({run.state}, {totals(run)})"
        match run.state:
            case SyncRunState.FAILED:
                return run.failure_code or "no code"
            case SyncRunState.HELD:
                return await self._reasons(run)
            case _:
                return self._told(run)

    async def good_night(self) -> str:
        """Of the provider behaving, in the same words."""
        return await self.night(Fault(Kind.STATUS), ())

    def _behave(self) -> None:
        self.opening.plan.forget()
        self.opening.plan.misbehaviours += self.usual

    def _told(self, run: SyncRun) -> str:
        """Whether it counts as if everything had been there before; rows may come twice."""
        odd = {}
        for name, counts in self.good.counts.items():
            quiet = {**counts, **UNTOUCHED, "unchanged": counts["created"]}
            found = {**run.counts[name], "fetched": counts["fetched"]}
            if found != quiet:
                odd[name] = {number: found[number] for number in quiet}
        return f"counted {odd}" if odd else GOOD

    async def _reasons(self, run: SyncRun) -> str:
        reasons = json.loads(
            await self.story.see.fetchval("SELECT reasons FROM holds WHERE run_id = $1", run.id)
        )
        codes = {reason["code"] for reason in reasons}
        return HELD if codes == {"HOLD_TYPE_EMPTY"} else f"held for {codes}"


def some_of(cells: list[tuple[str, str]], number: int) -> list[tuple[str, str]]:
    return cells if IS_SOAK else cells[number % 3 :: 3] or cells[:1]


@asynccontextmanager
async def nights_of(
    tenant_of: Connect, folder: Path, provider: str, *, page: int
) -> AsyncGenerator[Nights]:
    with WAYS[TARGETS[provider].way](write_rich_district(folder), page=page) as opening:
        usual = list(opening.plan.misbehaviours)
        story = await tenant_of("alpha", opening)
        run = await night(story, opening)
        assert run.state is SyncRunState.SUCCEEDED
        yield Nights(story, opening, run, await read_places(story.see), usual)


@pytest.fixture(autouse=True)
def small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_answers(monkeypatch, MOST_BYTES)


@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize(
    ("faults", "page"), [(TRANSIENT, LARGE), (HARMLESS, SMALL)], ids=["transient", "harmless"]
)
async def test_what_passes_is_not_noticed_at_any_collection(
    tenant_of: Connect, tmp_path: Path, provider: str, faults: Sequence[Fault], page: int
) -> None:
    async with nights_of(tenant_of, tmp_path / "district", provider, page=page) as nights:
        found = {}
        for fault in faults:
            cells = dict(fault.cells(provider))
            assert set(cells.values()) == {GOOD}
            found[fault.name] = await nights.night(fault, cells)
        found["good night"] = await nights.good_night()
        assert found == dict.fromkeys(found, GOOD)


@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize(
    ("faults", "page"), [(PERMANENT, LARGE), (MIDWAY, SMALL)], ids=["permanent", "midway"]
)
async def test_every_fault_at_every_collection_ends_as_it_should(
    tenant_of: Connect, tmp_path: Path, provider: str, faults: Sequence[Fault], page: int
) -> None:
    wanted: dict[str, str] = {}
    found: dict[str, str] = {}
    async with nights_of(tenant_of, tmp_path / "district", provider, page=page) as nights:
        for number, fault in enumerate(faults):
            for collection, outcome in some_of(list(fault.cells(provider)), number):
                cell = f"{fault.name} at {collection}"
                wanted[cell] = str(outcome)
                found[cell] = await nights.night(fault, [collection])
            night_after = f"the night after {fault.name}"
            wanted[night_after] = GOOD
            found[night_after] = await nights.good_night()
    assert found == wanted


async def test_a_role_of_which_clever_shows_nobody_any_more_is_held(
    tenant_of: Connect, tmp_path: Path
) -> None:
    """Each role is a list of its own: the second is that of the teachers."""
    async with nights_of(tenant_of, tmp_path / "district", "CLEVER", page=LARGE) as nights:
        no_teachers = Fault(Kind.EMPTY, HELD, first=2, times=1)
        assert await nights.night(no_teachers, ["users"]) == HELD
        assert await nights.good_night() == GOOD


def test_every_kind_of_misbehaviour_is_somewhere_in_the_matrix() -> None:
    told = {fault.kind for fault in (*TRANSIENT, *HARMLESS, *PERMANENT, *MIDWAY)}
    assert told == set(Kind)
