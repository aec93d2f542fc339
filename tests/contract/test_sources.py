"""What every source promises: it goes on where it stopped, and its connection can be tested."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from domain.roster.records import RecordType
from domain.roster.source import Checkpoint, Eligibility, Page, Provider, SourceConfig
from tests.contract.districts import ELIGIBLE_FIELD, write_rich_district
from tests.contract.providers import WAYS, Opening, read_pages

pytestmark = pytest.mark.anyio

PAGE: Final = 3
WRONG: Final = "not-the-right-one"


ELIGIBILITY: Final = Eligibility(ELIGIBLE_FIELD, frozenset({"yes"}))


def config_of(opening: Opening) -> SourceConfig:
    return replace(opening.config, eligibility=ELIGIBILITY)


async def read(opening: Opening, after: Checkpoint | None = None) -> list[Page]:
    return await read_pages(opening, config_of(opening), after=after)


def content(pages: list[Page]) -> Mapping[str, Any]:
    """What is told, in its order, however it is cut into pages."""
    told: dict[str, list[Any]] = {}
    for page in pages:
        for name in ("records", "problems", "ignored", "deleted"):
            told.setdefault(f"{page.record_type} {name}", []).extend(getattr(page, name))
    return told


@pytest.mark.parametrize("way", WAYS)
async def test_a_reading_goes_on_behind_any_of_its_pages(tmp_path: Path, way: str) -> None:
    with WAYS[way](write_rich_district(tmp_path / "district"), page=PAGE) as opening:
        whole = await read(opening)
        assert Counter(page.record_type for page in whole if page.is_last) == Counter(RecordType)
        for number, page in enumerate(whole, 1):
            rest = await read(opening, page.checkpoint)
            assert content([*whole[:number], *rest]) == content(whole)
            assert [item.is_last for item in rest].count(True) == [
                item.is_last for item in whole[number:]
            ].count(True)


@pytest.mark.parametrize("way", WAYS)
async def test_a_fingerprint_stays_as_long_as_nothing_changes(tmp_path: Path, way: str) -> None:
    with WAYS[way](write_rich_district(tmp_path / "district")) as opening:
        first, again = [await opening.open(config_of(opening)).fingerprint() for _ in range(2)]
        assert first == again


STEPS: Final = {
    Provider.ONEROSTER_CSV: [
        "package", "manifest", "orgs.csv", "academicSessions.csv", "courses.csv", "classes.csv",
        "users.csv", "enrollments.csv", "roles.csv", "content",
    ],
    Provider.ONEROSTER: [
        "address", "credentials", "orgs", "academicSessions", "courses", "classes", "users",
        "enrollments", "demographics",
    ],
    Provider.CLEVER: [
        "credentials", "district", "schools", "terms", "courses", "users", "sections",
    ],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_a_healthy_source_passes_every_step_of_its_check(tmp_path: Path, way: str) -> None:
    with WAYS[way](write_rich_district(tmp_path / "district")) as opening:
        steps = await opening.open(config_of(opening)).check()
    wanted = STEPS.get(opening.provider, STEPS[Provider.ONEROSTER])
    if way == "CLASSLINK by the partner's list":
        wanted = ["applications", "application", *wanted]
    assert [step.name for step in steps] == wanted
    assert [step for step in steps if not step.is_ok] == []


FAILING: Final = {"CLASSLINK by the partner's list": "applications"}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "ONEROSTER_CSV"])
async def test_wrong_credentials_are_found_by_the_step_that_needs_them(
    tmp_path: Path, way: str
) -> None:
    with WAYS[way](write_rich_district(tmp_path / "district")) as opening:
        wrong = with_wrong_credentials(opening)
        steps = await wrong.open(config_of(wrong)).check()
    *passed, failed = steps
    assert all(step.is_ok for step in passed)
    assert (failed.name, failed.is_ok) == (FAILING.get(way, "credentials"), False)
    assert failed.message
    assert failed.advice
    assert WRONG not in f"{failed.message} {failed.advice}"


def with_wrong_credentials(opening: Opening) -> Opening:
    """The secret part is another one; the platform's, where the tenant has none."""
    secrets = {name: WRONG for name in ("token", "secret") if name in opening.credentials}
    hosts = replace(
        opening.hosts,
        clever_client_secret=opening.hosts.clever_client_secret and WRONG,
        classlink_token=opening.hosts.classlink_token and WRONG,
    )
    return replace(opening, credentials={**opening.credentials, **secrets}, hosts=hosts)
