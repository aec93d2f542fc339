"""One district through every source: what is stored is the same, whoever tells it."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from api.generator.package import expected_path, generate
from domain.integrations.service import EligibilityRule
from domain.sync.models import SyncRun, SyncRunState
from tests.builders import small_district
from tests.contract.conftest import Connect
from tests.contract.districts import ELIGIBLE_FIELD, ELIGIBLE_VALUES, write_rich_district
from tests.contract.gaps import CANNOT_TELL, Gap, differences_beyond
from tests.contract.providers import NETWORK_WAYS, WAYS, Opening, Way, by_files, dialect_of
from tests.contract.rosters import Stored, read_stored, translator
from tests.contract.tenants import connect, night
from tests.domain.sync.stories import Story, read_places, totals
from tests.fakes.district import Folder, clever_id

pytestmark = pytest.mark.anyio

UNTOUCHED: Final = {"created": 0, "updated": 0, "archived": 0, "restored": 0}
STUDENTS: Final = 60
SEED: Final = 7
STUDENTS_FOR_EVERY_KIND: Final = 200
"""Of change: fewer go to one school."""
LARGER_PAGE: Final = 97


def write_small(folder: Path) -> Path:
    """With grades as Clever's own would be made of them."""
    district = small_district()
    for row in (*district.users, *district.classes):
        row["grades"] = row["grades"].zfill(2) if row["grades"] else ""
    return district.write(folder)


def write_generated(folder: Path) -> Path:
    generate(folder, students=STUDENTS, seed=SEED)
    return folder


DISTRICTS: Final[dict[str, Callable[[Path], Path]]] = {
    "small": write_small,
    "generated": write_generated,
    "rich": write_rich_district,
}


async def connect_all(story: Story, opening: Opening) -> None:
    """The tenant takes students' emails over, and asks who is eligible where that is told."""
    rule = EligibilityRule(ELIGIBLE_FIELD, ELIGIBLE_VALUES)
    await connect(story, opening, with_student_email=True, eligibility=rule)


async def stored_of(story: Story, opening: Opening, *nights: Path) -> Stored:
    translate = translator(opening.provider, *nights)
    return await read_stored(story.see, story.tenant_id, translate)


@pytest.fixture(scope="module")
def from_files() -> dict[str, Stored]:
    """What files told, by district: read once, and compared with what every other source tells."""
    return {}


async def one_night(tenant_of: Connect, district: str, folder: Path, open_way: Way) -> Stored:
    """What is stored after a night; behind a network, another one follows that changes nothing."""
    with open_way(folder) as opening:
        story = await tenant_of("network" if opening.served else "files", opening)
        if district == "rich":
            await connect_all(story, opening)
        run = await night(story, opening)
        assert (run.state, run.failure_message) == (SyncRunState.SUCCEEDED, None)
        if opening.served:
            await require_quiet_night(story, opening, like=run)
        return await stored_of(story, opening, folder)


@pytest.mark.parametrize("district", DISTRICTS)
@pytest.mark.parametrize("way", NETWORK_WAYS)
async def test_every_source_stores_what_the_files_say(
    tenant_of: Connect, tmp_path: Path, from_files: dict[str, Stored], district: str, way: str
) -> None:
    folder = DISTRICTS[district](tmp_path / "district")
    if district not in from_files:
        from_files[district] = await one_night(tenant_of, district, folder, by_files)
    told = await one_night(tenant_of, district, folder, WAYS[way])
    gaps = CANNOT_TELL[dialect_of(way)]
    assert differences_beyond(gaps.values(), from_files[district], told) == []
    if district == "rich":
        require_every_gap(gaps, from_files[district], told)


def require_every_gap(gaps: Mapping[str, Gap], whole: Stored, told: Stored) -> None:
    """The table says nothing too much: what it names is not told indeed."""
    for left_out in gaps:
        others = [gap for name, gap in gaps.items() if name != left_out]
        assert differences_beyond(others, whole, told), f"{left_out!r} is told after all"


async def require_quiet_night(story: Story, opening: Opening, *, like: SyncRun) -> None:
    """Another night of the same roster counts no change and writes nothing."""
    before = await read_places(story.see)
    run = await night(story, opening)
    assert totals(run) == UNTOUCHED
    for name in like.counts:
        assert run.counts[name]["unchanged"] == like.counts[name]["created"]
        for number in ("fetched", "rejected", "ignored"):
            assert run.counts[name][number] == like.counts[name][number]
    assert await read_places(story.see) == before


@pytest.mark.parametrize("district", ["small", "generated"])
async def test_clever_names_what_the_files_call_its_records(
    tenant_of: Connect, tmp_path: Path, district: str
) -> None:
    folder = DISTRICTS[district](tmp_path / "district")
    files = Folder(folder).current()
    known = {
        clever_id(kind, row["sourcedId"]): f"sis_id:{row['sourcedId']}"
        for kind, file in (("school", "orgs"), ("section", "classes"), ("user", "users"))
        for row in files.rows(file)
    }
    with WAYS["CLEVER"](folder) as opening:
        story = await tenant_of("alpha", opening)
        await night(story, opening)
    for table in ("schools", "groups", "users"):
        rows = await story.see.fetch(f"SELECT source_id, keys FROM {table}")  # noqa: S608 - our own table
        named = {row["source_id"]: row["keys"] for row in rows}
        assert named
        without = [source_id for source_id, keys in named.items() if known[source_id] not in keys]
        # Staff and district administrators have no id of the student information system.
        roles = [await role_of(story, source_id) for source_id in without]
        assert set(roles) <= {"SCHOOL_ADMIN", "DISTRICT_ADMIN"}


async def role_of(story: Story, source_id: str) -> Any:
    row = await story.user(source_id)
    return row["roles"][0] if row else None


# The night after, with everything in it that happens in a district.

WHY_CLEVER_COUNTS_OTHERWISE: Final = {
    ("SCHOOL", "fetched"): "Organisations that are no schools are not shared.",
    ("SCHOOL", "ignored"): "Organisations that are no schools are not shared.",
    ("USER", "fetched"): "Who has no role of Clever's is not shared, and nobody is there twice.",
    ("USER", "rejected"): "Who has no role of Clever's is not shared, and nobody is there twice.",
    ("USER", "archived"): "Who has no role of Clever's any more is gone.",
    ("MEMBERSHIP", "fetched"): "A section has its people, not their enrollments.",
    ("MEMBERSHIP", "updated"): "An enrollment has no id and no dates that could change.",
    ("MEMBERSHIP", "unchanged"): "Those that had other ids or dates are as they were.",
    ("MEMBERSHIP", "archived"): "They go with those who are gone.",
    ("MEMBERSHIP", "rejected"): (
        "Sections still name those who are gone; there are no sections that nobody has."
    ),
}


ONE_OF_EACH_DIALECT: Final = (
    "ONEROSTER 1.1 by OAuth 1 with SHA-1",
    "ONEROSTER 1.1 of a sloppy server",
    "ONEROSTER 1.2 by OAuth 2",
    "CLASSLINK by the partner's list",
    "CLEVER",
)


async def two_nights(
    tenant_of: Connect, nights: Sequence[Path], open_way: Way
) -> tuple[SyncRun, Stored]:
    """The second of them, and what is stored after it."""
    served = shutil.copytree(nights[0], nights[0].parent / "served", dirs_exist_ok=True)
    with open_way(served, page=LARGER_PAGE) as opening:
        story = await tenant_of("network" if opening.served else "files", opening)
        await night(story, opening)
        shutil.copytree(nights[1], served, dirs_exist_ok=True)
        run = await night(story, opening)
        return run, await stored_of(story, opening, *nights)


@pytest.mark.parametrize("way", ONE_OF_EACH_DIALECT)
async def test_a_changed_night_counts_what_the_generator_expects(
    tenant_of: Connect, tmp_path: Path, from_files: dict[str, Stored], way: str
) -> None:
    nights = [tmp_path / "first", tmp_path / "second"]
    for folder, change in zip(nights, (0.0, 0.05), strict=True):
        generate(folder, students=STUDENTS_FOR_EVERY_KIND, seed=SEED, change=change)
    expected = json.loads(expected_path(nights[1]).read_text(encoding="utf-8"))["counts"]
    if "changed" not in from_files:
        run, from_files["changed"] = await two_nights(tenant_of, nights, by_files)
        assert run.counts == expected
    run, told = await two_nights(tenant_of, nights, WAYS[way])
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    differing = differing_counts(expected, run.counts)
    gaps = list(CANNOT_TELL[dialect_of(way)].values())
    if way == "CLEVER":
        assert differing.keys() == WHY_CLEVER_COUNTS_OTHERWISE.keys()
        gaps.append(rows_that_clever_would_not_have(nights[1]))
    else:
        # The same enrollment twice, to the letter: so it is where pages overlap.
        assert differing == {("MEMBERSHIP", "rejected"): -1}
    assert differences_beyond(gaps, from_files["changed"], told) == []


def differing_counts(
    expected: dict[str, dict[str, int]], counts: dict[str, dict[str, int]]
) -> dict[tuple[str, str], int]:
    """By how much each is higher than expected, where it is not the same."""
    return {
        (name, number): counts[name][number] - count
        for name, numbers in expected.items()
        for number, count in numbers.items()
        if counts[name][number] != count
    }


def rows_that_clever_would_not_have(folder: Path) -> Gap:
    """Files may name a role that nobody knows, or a person twice; such rows do not get there."""
    rows = list(Folder(folder).current().rows("users"))
    ids = [row["sourcedId"] for row in rows]
    wrong = {row["sourcedId"] for row in rows if row["role"] == "wizard"}
    wrong |= {source_id for source_id in ids if ids.count(source_id) > 1}
    assert len(wrong) == 2

    def forget(whole: Stored, stored: Stored) -> None:
        for source_id in wrong:
            stored["users"].pop(source_id, None)
        for key in [key for key in whole["memberships"] if key[0] in wrong]:
            stored["memberships"].pop(key, None)

    return Gap("Clever has what it could make of the files.", forget)
