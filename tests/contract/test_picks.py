"""What every source gives by name is what it gives in the whole roster."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from domain.roster.records import Enrollment, Record, RecordType, User
from domain.roster.source import Completeness, Eligibility, Page, Picks, SourceConfig
from domain.sync.models import SyncRun
from tests.builders import small_district
from tests.contract.conftest import Connect
from tests.contract.districts import ELIGIBLE_FIELD, write_rich_district
from tests.contract.providers import WAYS, Opening, read_pages
from tests.contract.tenants import night
from tests.contract.test_contract import ONE_OF_EACH_DIALECT, write_generated, write_small
from tests.domain.sync.picking import read_person
from tests.domain.sync.stories import numbers
from tests.fakes.district import clever_id

pytestmark = pytest.mark.anyio

ELIGIBILITY: Final = Eligibility(ELIGIBLE_FIELD, frozenset({"yes"}))
DISTRICTS: Final[Mapping[str, Callable[[Path], Path]]] = {
    "small": write_small,
    "generated": write_generated,
    "rich": write_rich_district,
}
BY_NUMBER: Final = [way for way in WAYS if way != "CLEVER"]
NOBODY: Final = "0" * 23 + "f"


def config_of(opening: Opening, district: str) -> SourceConfig:
    if district != "rich":
        return opening.config
    return replace(opening.config, eligibility=ELIGIBILITY, with_student_email=True)


async def pick(opening: Opening, config: SourceConfig, picks: Picks) -> dict[RecordType, Page]:
    pages = [page async for page in opening.open(config).pick(picks)]
    assert [page.record_type for page in pages] == list(RecordType)
    assert all(page.is_last for page in pages)
    assert {page.completeness for page in pages} == {Completeness.DELTA}
    assert {(page.modified, page.expected) for page in pages} == {(None, None)}
    return {page.record_type: page for page in pages}


class Whole:
    """A roster by type: records, ids of those left out, and of those with problems."""

    def __init__(self, pages: list[Page]) -> None:
        self.records: dict[RecordType, list[Record]] = defaultdict(list)
        self.ignored: dict[RecordType, set[str]] = defaultdict(set)
        self.rejected: dict[RecordType, set[str]] = defaultdict(set)
        for page in pages:
            self.records[page.record_type] += page.records
            self.ignored[page.record_type] |= {item.source_id for item in page.ignored}
            self.rejected[page.record_type] |= {
                problem.source_id
                for problem in page.problems
                if problem.source_id and problem.rejects
            }

    @property
    def ids(self) -> dict[RecordType, set[str]]:
        return {
            name: {record.source_id for record in self.records[name]}
            | self.ignored[name]
            | self.rejected[name]
            for name in RecordType
        }

    @property
    def enrollments(self) -> list[Enrollment]:
        found = self.records[RecordType.MEMBERSHIP]
        return [record for record in found if isinstance(record, Enrollment)]


def by_id(records: Any) -> list[Any]:
    return sorted(records, key=lambda record: record.source_id)


@pytest.mark.parametrize("district", DISTRICTS)
@pytest.mark.parametrize("way", WAYS)
async def test_every_record_is_the_same_by_its_id(tmp_path: Path, way: str, district: str) -> None:
    with WAYS[way](DISTRICTS[district](tmp_path / "district"), page=97) as opening:
        config = config_of(opening, district)
        whole = Whole(await read_pages(opening, config))
        # A page of a thousand enrollments asks for as many: some of them are enough.
        ids = {name: sorted(found)[:60] for name, found in whole.ids.items()}
        picked = await pick(opening, config, Picks(ids))
        for name, page in picked.items():
            asked = set(ids[name])
            assert by_id(set(page.records)) == by_id(
                {record for record in whole.records[name] if record.source_id in asked}
            )
            assert {item.source_id for item in page.ignored} == whole.ignored[name] & asked
            rejected = {problem.source_id for problem in page.problems if problem.rejects}
            assert rejected == whole.rejected[name] & asked
            assert (page.deleted, page.unread) == ([], [])


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_gone_is_said_to_be_gone_and_nothing_else_is_told(
    tmp_path: Path, way: str
) -> None:
    with WAYS[way](write_small(tmp_path / "district")) as opening:
        ids = {name: [NOBODY] for name in RecordType}
        ids[RecordType.MEMBERSHIP] = [f"{NOBODY}/{NOBODY}/student"]
        picked = await pick(opening, opening.config, Picks(ids))
        assert {name: list(page.deleted) for name, page in picked.items()} == ids
        for page in picked.values():
            assert (list(page.records), page.problems, page.unread) == ([], [], [])


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_asked_for_and_nothing_is_given(tmp_path: Path, way: str) -> None:
    with WAYS[way](write_small(tmp_path / "district")) as opening:
        for page in (await pick(opening, opening.config, Picks())).values():
            assert (page.read, page.records, page.deleted, page.unread) == (0, [], [], [])


@pytest.mark.parametrize("owner", [RecordType.USER, RecordType.GROUP])
@pytest.mark.parametrize("way", WAYS)
async def test_the_enrollments_of_a_person_or_a_class_are_those_of_the_roster(
    tmp_path: Path, way: str, owner: RecordType
) -> None:
    with WAYS[way](write_generated(tmp_path / "district"), page=97) as opening:
        whole = Whole(await read_pages(opening, opening.config))
        column = "user_source_id" if owner is RecordType.USER else "group_source_id"
        for source_id in sorted(whole.ids[owner])[:12]:
            picks = Picks(memberships_of={owner: [source_id]})
            page = (await pick(opening, opening.config, picks))[RecordType.MEMBERSHIP]
            expected = {
                record for record in whole.enrollments if getattr(record, column) == source_id
            }
            assert set(page.records) == expected
            assert (page.deleted, page.unread) == ([], [])


@pytest.mark.parametrize("way", BY_NUMBER)
async def test_people_are_found_by_their_number(tmp_path: Path, way: str) -> None:
    with WAYS[way](write_generated(tmp_path / "district"), page=97) as opening:
        whole = Whole(await read_pages(opening, opening.config))
        people = [user for user in whole.records[RecordType.USER] if isinstance(user, User)]
        somebody = next(user for user in people if user.number)
        number = str(somebody.number)
        page = (await pick(opening, opening.config, Picks(numbers=[number])))[RecordType.USER]
        assert list(page.records) == [user for user in people if user.number == number]
        nobody = Picks(numbers=["no such number"])
        page = (await pick(opening, opening.config, nobody))[RecordType.USER]
        assert (page.read, page.unread) == (0, [])


async def test_clever_does_not_look_people_up_by_their_number(tmp_path: Path) -> None:
    with WAYS["CLEVER"](write_small(tmp_path / "district")) as opening:
        page = (await pick(opening, opening.config, Picks(numbers=["7001"])))[RecordType.USER]
        assert [item.source_id for item in page.unread] == ["7001"]
        assert page.read == 0


async def test_clever_refuses_what_is_no_id_of_its_own(tmp_path: Path) -> None:
    with WAYS["CLEVER"](write_small(tmp_path / "district")) as opening:
        picks = Picks({RecordType.MEMBERSHIP: ["E1"], RecordType.USER: [clever_id("user", "?")]})
        picked = await pick(opening, opening.config, picks)
        assert [item.source_id for item in picked[RecordType.MEMBERSHIP].unread] == ["E1"]
        assert list(picked[RecordType.USER].deleted) == [clever_id("user", "?")]


@pytest.mark.parametrize("way", [*ONE_OF_EACH_DIALECT, "ONEROSTER_CSV"])
async def test_a_person_who_was_read_alone_is_as_a_whole_night_leaves_them(
    tenant_of: Connect, tmp_path: Path, way: str
) -> None:
    """A student changes name and class, and a new one comes, with a class of their own."""
    district = small_district()
    district.users.change("ann", grades="09")
    with WAYS[way](district.write(tmp_path / "district")) as opening:
        story = await tenant_of("alpha", opening)
        await night(story, opening)
        district.users.change("ann", givenName="Anna")
        district.enrollments.take("e1")
        district.enroll("e6", "ann", "g2")
        district.group("g3", "Choir", school="s2")
        district.user("eve", "eve", orgSourcedIds="s2", grades="09")
        district.enroll("e7", "eve", "g3")
        district.enroll("e8", "bob", "g3", role="teacher", primary="true")
        district.write(tmp_path / "district")
        name = clever_name if way == "CLEVER" else str
        for who in ("ann", "eve"):
            run = await read_person(story, source_id=name(who), opener=opening.open)
            assert run.steps[0]["outcome"] == "PASSED"
        run = await night(story, opening)
        assert numbers(run, RecordType.USER) == {"unchanged": 5, **_ignored(run)}
        # The class of the new student came without its teacher.
        assert numbers(run, RecordType.MEMBERSHIP) == {"created": 1, "unchanged": 6}
        assert numbers(run, RecordType.GROUP) == {"unchanged": 3}


def clever_name(source_id: str) -> str:
    return clever_id("user", source_id)


def _ignored(run: SyncRun) -> dict[str, int]:
    ignored = run.counts["USER"]["ignored"]
    return {"ignored": ignored} if ignored else {}
