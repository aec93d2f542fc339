"""A whole server read: every collection, every way to be asked, and on from any checkpoint."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from starlette.responses import Response
from typing_extensions import override

from domain.providers.oneroster_rest.server import ServerAccess
from domain.providers.oneroster_rest.source import OneRosterSource
from domain.roster.records import RecordType
from domain.roster.source import Completeness, Eligibility, Page
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import folder, package, read
from tests.domain.providers.oneroster_rest.servers import (
    NAMES,
    Server,
    fake,
    last_page,
    records_of,
    telling,
)
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.oneroster import OneRosterOptions
from tests.fakes.oneroster_auth import Auth, Credentials
from tests.fakes.oneroster_service import Habits
from tests.sources import HOSTS

LARGER = {
    "users.csv": "u{n:03},,,true,s{s},student,user{n},,Ann,Archer,,S{n},,,,,9,secret",
    "enrollments.csv": "e{n:03},,,g1,s1,u{n:03},student,,,",
    "orgs.csv": "o{n:03},,,Org {n},{kind},,d1",
}


@pytest.fixture
def district(tmp_path: Path) -> Path:
    return folder(tmp_path / "district", package())


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    """With more rows of some types than the pages hold that the tests ask for."""
    files = package()
    for file, line in LARGER.items():
        rows = (
            line.format(n=n, s=1 + n % 2, kind="school" if n % 2 else "district")
            for n in range(10, 33)
        )
        files[file] = str(files[file]) + "".join(f"{row}\n" for row in rows)
    return folder(tmp_path / "larger", files)


def _small_pages(size: int = 10) -> OneRosterOptions:
    return OneRosterOptions(habits=Habits(largest_page=size))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("is_sloppy", [False, True])
def test_a_server_gives_the_records_that_its_files_have(tmp_path, version, is_sloppy):
    path = folder(tmp_path / "district", package(version))
    options = OneRosterOptions(versions=(version,), habits=Habits(is_sloppy=is_sloppy))
    with fake(path, options=options) as server:
        pages = server.read()
    of_files = read(path)
    for record_type in RecordType:
        assert records_of(pages, record_type) == records_of(of_files, record_type)
        last = last_page(pages, record_type)
        assert last.completeness is Completeness.FULL
        assert last.modified == "2026-08-01T06:00:00.000Z"
    assert [page.record_type for page in pages] == list(RecordType)


@pytest.mark.parametrize("auth", Auth)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("prefix", ["", "/campus/api/app1"])
def test_every_version_is_read_behind_every_door_and_prefix(district, auth, version, prefix):
    credentials = Credentials(auth, "the key+1", "s e/c%r+e:t&=")
    options = OneRosterOptions(prefix, (version,), credentials)
    with fake(district, options=options) as server:
        assert len(records_of(server.read(), RecordType.MEMBERSHIP)) == 2


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_path_of_the_version_is_added_where_the_address_lacks_it(district, version):
    options = OneRosterOptions("/prefix", (version,))
    with fake(district, options=options) as server:
        settings = {
            **server.config.settings,
            "base_url": f"{server.served.url}/prefix/",
            "version": version,
        }
        assert len(server.read(settings=settings)) == 6


def test_pages_that_the_server_clamps_are_all_read(larger):
    with fake(larger, options=_small_pages(10)) as server:
        pages = server.read()
        assert len(records_of(pages, RecordType.USER)) == 25
        assert [page.read for page in pages if page.record_type is RecordType.USER] == [10, 10, 5]
        # In ascending order, and as many as the server says: nobody has to count them.
        assert last_page(pages, RecordType.USER).expected is None
        assert server.asked("users") == [
            "limit=2000&offset=0&sort=sourcedId&orderBy=asc",
            "limit=2000&offset=10&sort=sourcedId&orderBy=asc",
            "limit=2000&offset=20&sort=sourcedId&orderBy=asc",
        ]


@pytest.mark.parametrize(
    "habits",
    [
        Habits(refuses_sort=True),
        Habits(largest_page=10, refuses_larger=False, has_total=False, has_links=False),
        Habits(largest_page=1_000, refuses_larger=True),
        Habits(largest_page=100, refuses_larger=True, refuses_sort=True, has_links=False),
    ],
    ids=["no sort", "no evidence", "1,000 at most", "100 at most and no sort"],
)
def test_what_a_server_refuses_is_not_asked_for_again(larger, habits):
    with fake(larger, options=OneRosterOptions(habits=habits)) as server:
        pages = server.read()
        assert len(records_of(pages, RecordType.USER)) == 25
        assert len(records_of(pages, RecordType.MEMBERSHIP)) == 25
        queries = server.asked("enrollments")
    assert [query for query in queries if "&offset=0&" in f"{query}&"] == queries[:1]
    assert any("sort=" in query for query in queries) is not habits.refuses_sort


def _behind(pages: list[Page], number: int) -> dict[RecordType, list[object]]:
    return {record_type: records_of(pages[number:], record_type) for record_type in RecordType}


@pytest.mark.parametrize("with_deletions", [False, True])
def test_a_reading_goes_on_behind_every_page(larger, with_deletions):
    """Also with other page sizes: the rows that were given out are known by their number."""
    if with_deletions:
        orgs = (larger / "orgs.csv").read_text()
        (larger / "orgs.csv").write_text(orgs.replace("o012,,", "o012,tobedeleted,"))
    with fake(larger, options=_small_pages(7)) as server:
        pages = server.read()
        assert len(pages) > 10
        for number, page in enumerate(pages, start=1):
            checkpoint = msgspec.json.decode(msgspec.json.encode(page.checkpoint))
            rest = server.read(checkpoint)
            assert _behind(rest, 0) == _behind(pages, number)
            assert sum(page.read for page in rest) == sum(page.read for page in pages[number:])
            ends = [page.record_type for page in rest if page.is_last]
            assert ends == [page.record_type for page in pages[number:] if page.is_last]


def test_a_reading_that_goes_on_still_knows_what_is_no_school(tmp_path):
    files = package()
    files["users.csv"] = str(files["users.csv"]).replace('"s2, s1",teacher', "d1,administrator")
    path = folder(tmp_path / "district", files)
    with fake(path) as server:
        pages = server.read()
        after = next(page for page in pages if page.record_type is RecordType.GROUP).checkpoint
        users = records_of(server.read(after), RecordType.USER)
    assert [(user.roles, user.school_source_ids) for user in users] == [
        (("STUDENT",), ("s1",)),
        (("DISTRICT_ADMIN",), ()),
    ]


def test_the_size_of_a_page_is_halved_when_the_server_fails(larger):
    with fake(larger, Misbehaviour(Kind.STATUS, "users", times=1, amount=504)) as server:
        assert len(records_of(server.read(), RecordType.USER)) == 25
        assert [query.partition("&")[0] for query in server.asked("users")] == [
            "limit=2000",
            "limit=1000",
        ]


def test_an_empty_collection_is_told_as_one(district):
    (district / "courses.csv").write_text("sourcedId,status,dateLastModified,title\n")
    with fake(district) as server:
        page = last_page(server.read(), RecordType.COURSE)
    (problem,) = page.problems
    assert (problem.code, problem.place, problem.rejects) == (Code.CONN_EMPTY, "courses", False)
    assert page.completeness is Completeness.FULL


def test_a_server_that_refuses_to_look_behind_the_end_has_ended():
    rows = [{"sourcedId": f"c{n}", "status": "active", "title": "C"} for n in range(4)]

    def courses(parameters) -> Response:
        offset = int(parameters["offset"])
        if offset >= len(rows):
            return Response(b'{"error":"Not found"}', 404)
        body = msgspec.json.encode({"courses": rows[offset : offset + 2]})
        return Response(body, headers={"X-Total-Count": "4"})

    with telling({"courses": courses}) as server:
        assert len(records_of(server.read(), RecordType.COURSE)) == 4


def test_what_a_database_cannot_store_is_nowhere_in_a_page():
    rows = [
        {"sourcedId": "a\0b", "status": "active", "title": "C\0"},
        {"sourcedId": "x" * 300, "status": "active\0", "title": {"\0": "\0"}},
    ]
    with telling({"courses": rows}) as server:
        pages = server.read()
    (course,) = records_of(pages, RecordType.COURSE)
    assert (course.source_id, course.name) == ("a\ufffdb", "C\ufffd")
    assert "\\x00" not in repr(pages)


def test_the_headers_of_every_page_are_watched(larger):
    with fake(larger, options=_small_pages()) as server:
        seen = []

        class Watching(ServerAccess):
            @override
            async def open(self, client):
                return replace(await super().open(client), watch=seen.append)

        source = OneRosterSource.at(Watching(server.config), server.config, HOSTS)
        asyncio.run(_exhaust(source.pages()))
        assert [headers["x-total-count"] for headers in seen[:3]] == ["26", "26", "26"]
        assert len(seen) == sum(len(server.asked(name)) for name in NAMES)


async def _exhaust(pages) -> None:
    async for _ in pages:
        pass


def test_the_fingerprint_is_of_the_address_the_version_and_what_is_asked_for(district):
    with fake(district) as server:
        settings = dict(server.config.settings)
        fingerprints = {
            asyncio.run(server.source(**changes).fingerprint())
            for changes in (
                {},
                {"settings": {**settings, "version": "1.2"}},
                {"settings": {**settings, "base_url": "https://h.example"}},
                {"since": {RecordType.USER: "2026-11-01T00:00:00.000Z"}},
            )
        }
        assert len(fingerprints) == 4
        assert server.served.state.log == []


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Server]:
    files = package()
    header, *rows = str(files["users.csv"]).splitlines()
    files["users.csv"] = "\n".join([f"{header},metadata.typing", *(f"{row},Yes" for row in rows)])
    with fake(folder(tmp_path / "judged", files)) as server:
        yield server


@pytest.mark.parametrize(("values", "is_eligible"), [({"yes"}, True), ({"no"}, False)])
def test_students_are_eligible_by_what_the_server_says(judged, values, is_eligible):
    users = records_of(
        judged.read(eligibility=Eligibility("Typing", frozenset(values))), RecordType.USER
    )
    assert [user.is_eligible for user in users] == [is_eligible, True]


def test_a_field_that_nobody_has_ends_the_reading(judged):
    error = judged.refusal(eligibility=Eligibility("licence", frozenset({"yes"})))
    assert error.code is Code.CONN_FORBIDDEN_SCOPE
    assert "metadata.licence" in str(error)


def test_an_old_role_map_word_may_be_changed_by_the_tenant(district):
    with fake(district) as server:
        users = records_of(server.read(role_map={"Teacher": None}), RecordType.USER)
    assert [user.source_id for user in users] == ["u1"]
