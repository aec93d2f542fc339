"""Deltas: what is asked for, what a server may make of it, and that absence never means gone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.responses import Response

from domain.roster.records import RecordType
from domain.roster.source import Completeness
from tests.domain.providers.oneroster_packages import folder, package
from tests.domain.providers.oneroster_rest.servers import (
    TYPES,
    fake,
    last_page,
    records_of,
    telling,
)
from tests.fakes.oneroster import OneRosterOptions
from tests.fakes.oneroster_service import Habits

SINCE = dict.fromkeys(RecordType, "2026-11-01T00:02:00.000Z")
FILTER = "dateLastModified>='2026-10-31T23:57:00.000Z'"


@pytest.fixture
def district(tmp_path: Path) -> Path:
    """One enrollment was changed and one deleted since; the others long before."""
    files = package()
    text = str(files["enrollments.csv"])
    text = text.replace("e1,,,", "e1,active,2026-11-20T10:00:00.000Z,")
    text = text.replace("e2,,,", "e2,tobedeleted,2026-11-21T10:00:00.000Z,")
    files["enrollments.csv"] = text + "e3,active,2026-10-01T00:00:00.000Z,g1,s1,u2,aide,,,\n"
    return folder(tmp_path / "district", files)


def _filters(queries: list[str]) -> list[str]:
    return [
        unquote(part.removeprefix("filter="))
        for query in queries
        for part in query.split("&")
        if part.startswith("filter=")
    ]


def test_a_delta_has_what_changed_since_and_what_was_deleted(district):
    with fake(district) as server:
        pages = server.read(since=SINCE)
        page = last_page(pages, RecordType.MEMBERSHIP)
        assert [record.source_id for record in page.records] == ["e1"]
        assert page.deleted == ["e2"]
        assert page.modified == "2026-11-21T10:00:00.000Z"
        assert {page.completeness for page in pages} == {Completeness.DELTA}
        assert _filters(server.asked("enrollments")) == [FILTER]


def test_organisations_are_asked_for_as_a_whole_since_all_their_types_are_needed(district):
    with fake(district) as server:
        pages = server.read(since=SINCE)
        assert len(records_of(pages, RecordType.SCHOOL)) == 2
        assert _filters(server.asked("orgs")) == []


def test_an_empty_delta_is_no_empty_collection(district):
    with fake(district) as server:
        page = last_page(server.read(since=SINCE), RecordType.USER)
    assert (page.read, page.problems, page.completeness) == (0, [], Completeness.DELTA)


def test_a_type_without_a_cursor_is_asked_for_as_a_whole_within_a_delta(district):
    since = {RecordType.MEMBERSHIP: SINCE[RecordType.MEMBERSHIP], RecordType.USER: "nonsense"}
    with fake(district) as server:
        pages = server.read(since=since)
        assert len(records_of(pages, RecordType.USER)) == 2
        assert {page.completeness for page in pages} == {Completeness.DELTA}


def test_without_any_cursor_it_is_a_full_pull(district):
    with fake(district) as server:
        pages = server.read(since={RecordType.USER: "nonsense"})
        assert {page.completeness for page in pages} == {Completeness.FULL}
        assert last_page(pages, RecordType.MEMBERSHIP).deleted == ["e2"]


def test_a_server_that_ignores_filters_gives_everything_and_nothing_counts_as_gone(district):
    options = OneRosterOptions(habits=Habits(ignores_filter=True))
    with fake(district, options=options) as server:
        pages = server.read(since=SINCE)
        assert len(records_of(pages, RecordType.USER)) == 2
        assert {page.completeness for page in pages} == {Completeness.DELTA}


def test_a_server_that_refuses_filters_is_read_as_a_whole():
    asked = []

    def collection(name: str):
        def answer(parameters) -> Response:
            asked.append((name, "filter" in parameters))
            return Response(b'{"%b":[]}' % name.encode(), 400 if "filter" in parameters else 200)

        return answer

    with telling({name: collection(name) for name in TYPES}) as server:
        pages = server.read(since=SINCE)
    found = {page.record_type: page.completeness for page in pages}
    assert found.pop(RecordType.SCHOOL) is Completeness.DELTA
    assert set(found.values()) == {Completeness.FULL}
    # Found out once, with and without sorting and a smaller page, and remembered.
    assert {name for name, is_filtered in asked if is_filtered} == {"academicSessions"}


def test_the_cursor_of_a_pull_asks_for_what_changed_since(district):
    with fake(district) as server:
        full = server.read()
        since = {page.record_type: page.modified for page in full if page.modified}
        later = (datetime(2026, 11, 21, 10, tzinfo=UTC) - timedelta(minutes=5)).isoformat()
        page = last_page(server.read(since=since), RecordType.MEMBERSHIP)
        assert (page.read, page.deleted) == (1, ["e2"])
        assert later.startswith("2026-11-21T09:55")
        assert _filters(server.asked("enrollments")) == [
            "dateLastModified>='2026-11-21T09:55:00.000Z'"
        ]
