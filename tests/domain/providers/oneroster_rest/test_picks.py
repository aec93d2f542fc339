"""Records by name, from servers that cannot do all of it: only what is looked up is gone."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.roster.records import Enrollment, RecordType, Term
from domain.roster.source import Page, Picks, Provider, SourceConfig
from tests.domain.providers.oneroster_packages import TODAY, folder, package
from tests.domain.providers.oneroster_rest.servers import Server, fake
from tests.fakes.oneroster import OneRosterOptions
from tests.fakes.oneroster_service import Habits
from tests.fakes.serving import serve


def picked(server: Server, picks: Picks) -> Mapping[RecordType, Page]:
    async def pick() -> list[Page]:
        return [page async for page in server.source().pick(picks)]

    return {page.record_type: page for page in asyncio.run(pick())}


def serving(district: Path, **habits: bool):
    return fake(district, options=OneRosterOptions(habits=Habits(**habits)))


@pytest.fixture
def district(tmp_path: Path) -> Path:
    return folder(tmp_path / "district", package())


USERS = {RecordType.USER: ["u2"]}


def ids(page: Page) -> list[str]:
    return sorted(record.source_id for record in page.records)


def test_a_server_without_single_objects_is_asked_by_a_filter(district):
    with serving(district, has_singles=False) as server:
        page = picked(server, Picks({RecordType.USER: ["u2", "nobody"]}))[RecordType.USER]
        assert ids(page) == ["u2"]
        assert page.deleted == ["nobody"]


def test_of_a_server_that_ignores_filters_nothing_is_gone(district):
    with serving(district, has_singles=False, ignores_filter=True) as server:
        page = picked(server, Picks({RecordType.USER: ["u2", "nobody"]}))[RecordType.USER]
        assert (page.records, page.deleted) == ([], [])
        assert {item.source_id for item in page.unread} == {"u2", "nobody"}
        assert page.unread[0].reason == "The server gives no user by its id (it answered 404)."


@pytest.mark.parametrize("habit", ["ignores_filter", "filters_references"])
def test_enrollments_that_cannot_be_listed_are_still_found_by_their_ids(district, habit):
    with serving(district, **{habit: habit == "ignores_filter"}) as server:
        picks = Picks({RecordType.MEMBERSHIP: ["e1"]}, memberships_of=USERS)
        page = picked(server, picks)[RecordType.MEMBERSHIP]
        assert ids(page) == ["e1"]
        assert page.deleted == []
        [unread] = page.unread
        assert unread.source_id == "u2"
        assert unread.reason.startswith("The server does not list the enrollments of one person")


def test_a_number_that_no_filter_can_be_written_for_is_refused(district):
    with serving(district) as server:
        page = picked(server, Picks(numbers=["O'Brien"]))[RecordType.USER]
        assert [item.source_id for item in page.unread] == ["O'Brien"]
        assert server.asked("users") == []


def test_only_what_is_asked_for_is_asked_of_the_server(district):
    with serving(district) as server:
        picked(server, Picks({RecordType.COURSE: ["c1"]}))
        assert [item.collection for item in server.served.state.log] == ["tokens", "courses"]
        assert server.asked("courses") == [""]


Answers = Mapping[str, tuple[int, object]]


@contextmanager
def answering(answers: Answers):
    """A server that answers each path below its base as it is told, and all others with 404."""

    async def answer(request: Request) -> Response:
        path = request.path_params["path"]
        status, body = answers.get(path, (404, {}))
        if request.query_params.get("offset", "0") != "0":
            body = {path: []}
        return JSONResponse(body, status)

    base = "/ims/oneroster/v1p1"
    app = Starlette(routes=[Route(base + "/{path:path}", answer)])
    with serve(app) as served:
        settings = {"base_url": served.url + base, "auth": "BEARER"}
        config = SourceConfig(Provider.ONEROSTER, settings, TODAY, credentials={"token": "t"})
        yield Server(served, config)


TERM = {"sourcedId": "t1", "status": "active", "title": "Fall", "type": "term"}
ASKED = Picks({RecordType.TERM: ["t1"]})


@pytest.mark.parametrize(
    "body",
    [
        {"academicSession": TERM},
        {"academicSession": [TERM]},
        {"academicSessions": [TERM]},
        {"term": TERM},
        {"academicSession": TERM, "statusInfoSet": [{"imsx_codeMajor": "success"}]},
    ],
    ids=json.dumps,
)
def test_a_single_object_is_read_however_it_is_wrapped(body):
    with answering({"academicSessions/t1": (200, body)}) as server:
        assert picked(server, ASKED)[RecordType.TERM].records == [Term("t1", "Fall", "term")]


def test_another_record_than_was_asked_for_is_not_believed():
    other = {**TERM, "sourcedId": "t2"}
    with answering({"academicSessions/t1": (200, {"academicSession": other})}) as server:
        page = picked(server, ASKED)[RecordType.TERM]
        assert (page.records, page.deleted) == ([], [])
        assert [item.source_id for item in page.unread] == ["t1"]


def test_what_is_gone_for_good_needs_no_second_look():
    with answering({"academicSessions/t1": (410, {})}) as server:
        assert picked(server, ASKED)[RecordType.TERM].deleted == ["t1"]


def test_what_is_marked_as_deleted_is_gone():
    gone = {**TERM, "status": "tobedeleted"}
    with answering({"academicSessions/t1": (200, {"academicSession": gone})}) as server:
        assert picked(server, ASKED)[RecordType.TERM].deleted == ["t1"]


def test_where_the_collection_is_not_found_either_nothing_is_gone():
    """A path that leads nowhere says nothing about a record."""
    with answering({}) as server:
        page = picked(server, ASKED)[RecordType.TERM]
        assert (page.deleted, [item.source_id for item in page.unread]) == ([], ["t1"])


def test_enrollments_of_somebody_else_are_not_taken_for_theirs():
    row = {"sourcedId": "e1", "status": "active", "role": "student"}
    mine = {**row, "user": {"sourcedId": "u2"}, "class": {"sourcedId": "g1"}}
    theirs = {**mine, "sourcedId": "e2", "user": {"sourcedId": "u3"}}
    for rows, found in (([mine], ["e1"]), ([mine, theirs], [])):
        with answering({"enrollments": (200, {"enrollments": rows})}) as server:
            page = picked(server, Picks(memberships_of=USERS))[RecordType.MEMBERSHIP]
            assert ids(page) == found
            assert len(page.unread) == (not found)
            assert page.records in ([], [Enrollment("e1", "u2", "g1", "STUDENT")])
