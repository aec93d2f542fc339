"""Clever's lists page by page: to the end or to an error, and on again from every checkpoint."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, PlainTextResponse

from domain.providers.clever.pages import PAGE_SIZES
from domain.roster.records import RecordType
from domain.roster.source import Ignored, RosterMoved, RosterUnreadable, SourceError
from domain.validation.codes import Code
from tests.domain.providers.clever.replay import (
    Replay,
    envelope,
    hex_id,
    ignored_of,
    of_type,
    problems_of,
    read,
    read_whole,
    replaying,
    section,
    source_at,
    student,
    user,
)
from tests.fakes.serving import serve

pytestmark = pytest.mark.anyio


def district(**changes):
    """Seven students, three sections and one of all else."""
    lists = {
        "schools": [{"id": "s1", "name": "First"}],
        "terms": [{"id": "t1", "name": "Fall"}],
        "courses": [{"id": "c1", "name": "Typing"}],
        "users": [
            *(student(number) for number in range(7)),
            user(10, teacher={"school": "s1"}, staff={}),
            user(11, staff={"schools": ["s1"]}),
            user(12, district_admin={}),
            user(13, name={"last": "Sanjiv Becker"}, contact={}),
        ],
        "sections": [section(n, students=[hex_id(n), hex_id(n + 1)]) for n in range(20, 25)],
    }
    return Replay(**{**lists, **changes})


async def code_of(replay):
    with replaying(replay) as source, pytest.raises(SourceError) as caught:
        await read(source)
    return caught.value.code, type(caught.value)


async def test_every_type_has_one_last_page_and_parents_come_first():
    pages = await read_whole(district())
    assert [page.record_type for page in pages if page.is_last] == [
        RecordType.SCHOOL,
        RecordType.TERM,
        RecordType.COURSE,
        RecordType.USER,
        RecordType.GROUP,
        RecordType.MEMBERSHIP,
    ]
    assert pages[-1].is_last
    assert [len(of_type(pages, kind)) for kind in RecordType] == [1, 1, 1, 5, 10, 10]
    assert ignored_of(pages) == [Ignored(hex_id(13), "contact")]
    assert sum(page.read for page in pages) == 3 + 11 + 5 + 10
    assert problems_of(pages) == []


@pytest.mark.parametrize("most", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("honours_role", [True, False])
async def test_the_size_of_pages_and_a_role_that_is_not_looked_at_change_nothing(
    most, honours_role
):
    whole = await read_whole(district())
    pages = await read_whole(district(most=most, honours_role=honours_role))
    for record_type in RecordType:
        assert of_type(pages, record_type) == of_type(whole, record_type)
    assert ignored_of(pages) == ignored_of(whole)
    assert sum(page.read for page in pages) == sum(page.read for page in whole)
    assert sum(page.is_last for page in pages) == 6


@given(most=st.integers(1, 12), honours_role=st.booleans(), later=st.integers(1, 12))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
async def test_a_reading_goes_on_behind_every_checkpoint(most, honours_role, later):
    """Also with pages of another size than before."""
    replay = district(most=most, honours_role=honours_role)
    with replaying(replay) as source:
        pages = await read(source)
        replay.most = later
        for number in range(1, len(pages) + 1):
            given, rest = pages[:number], await read(source, pages[number - 1].checkpoint)
            for record_type in RecordType:
                assert of_type([*given, *rest], record_type) == of_type(pages, record_type)
            assert ignored_of([*given, *rest]) == ignored_of(pages)
            lasts = [page.record_type for page in (*given, *rest) if page.is_last]
            assert sorted(lasts) == sorted(RecordType)


async def test_members_of_a_page_of_sections_come_in_portions(monkeypatch):
    monkeypatch.setattr("domain.providers.clever.sections.MEMBERS_PER_PAGE", 3)
    with replaying(district()) as source:
        pages = await read(source)
        sections = [page for page in pages if page.record_type is RecordType.MEMBERSHIP]
        assert [page.read for page in sections] == [4, 4, 2]
        for number, page in enumerate(sections, 1):
            rest = await read(source, page.checkpoint)
            assert of_type(rest, RecordType.GROUP) == []
            given = of_type(sections[:number], RecordType.MEMBERSHIP)
            assert [*given, *of_type(rest, RecordType.MEMBERSHIP)] == of_type(
                pages, RecordType.MEMBERSHIP
            )


async def test_a_checkpoint_of_something_else_begins_anew():
    with replaying(district()) as source, pytest.raises(RosterMoved) as caught:
        await read(source, {"file": "users.csv", "rows": 3})
    assert caught.value.code is Code.CONN_MOVED


async def test_each_role_is_asked_for_once_and_contacts_last():
    replay = district()
    await read_whole(replay)
    roles = [query["role"] for path, query in replay.asked if path == "/v3.0/users"]
    assert roles == ["student", "teacher", "staff", "district_admin", "contact"]
    limits = {path: query["limit"] for path, query in replay.asked if "limit" in query}
    assert (limits["/v3.0/users"], limits["/v3.0/sections"]) == ("2000", "1000")


async def test_an_empty_collection_is_told_once_on_its_last_page():
    pages = await read_whole(Replay())
    assert [(p.code, p.record_type, p.place) for p in problems_of(pages)] == [
        (Code.CONN_EMPTY, RecordType.SCHOOL, "/v3.0/schools"),
        (Code.CONN_EMPTY, RecordType.TERM, "/v3.0/terms"),
        (Code.CONN_EMPTY, RecordType.COURSE, "/v3.0/courses"),
        (Code.CONN_EMPTY, RecordType.USER, "/v3.0/users"),
        (Code.CONN_EMPTY, RecordType.GROUP, "/v3.0/sections"),
    ]
    assert not any(problem.rejects for problem in problems_of(pages))
    assert sum(page.is_last for page in pages) == 6


async def test_a_collection_is_not_empty_if_only_contacts_are_in_it():
    pages = await read_whole(Replay(users=[user(1, contact={})]))
    assert RecordType.USER not in [problem.record_type for problem in problems_of(pages)]


async def test_emptiness_is_not_told_after_a_checkpoint_behind_which_nothing_comes():
    with replaying(district(users=[student(1)])) as source:
        pages = await read(source)
        [first] = [page for page in pages if page.records and page.record_type is RecordType.USER]
        assert problems_of(await read(source, first.checkpoint)) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_contacts_that_are_not_shared_are_none(status):
    replay = district()
    refusal = JSONResponse({"message": "no"}, status)
    replay.bend = lambda _, query, answer: refusal if query.get("role") == "contact" else answer
    pages = await read_whole(replay)
    assert (ignored_of(pages), sum(page.is_last for page in pages)) == ([], 6)


@pytest.mark.parametrize("role", ["student", "teacher", "staff", "district_admin"])
@pytest.mark.parametrize("status", [403, 404])
async def test_any_other_list_that_is_refused_ends_the_fetch(role, status):
    replay = district()
    refusal = JSONResponse({"message": "no"}, status)
    replay.bend = lambda _, query, answer: refusal if query.get("role") == role else answer
    code, _ = await code_of(replay)
    assert code is Code.CONN_FORBIDDEN_SCOPE


def schools(*numbers):
    return [{"id": f"s{number}", "name": "x"} for number in numbers]


def answering(*pages):
    """A district whose schools come in these pages: rows, and the cursor of the next page."""
    replay = district(schools=[])
    numbers = count()

    def bend(path, query, answer):
        if not path.endswith("/schools"):
            return answer
        rows, following = pages[min(next(numbers), len(pages) - 1)]
        uri = following and (
            following if "/" in following else f"/v3.0/schools?limit=9&starting_after={following}"
        )
        return envelope(rows, "schools", uri)

    replay.bend = bend
    return replay


async def school_ids(replay):
    return [school.source_id for school in of_type(await read_whole(replay), RecordType.SCHOOL)]


async def test_rows_that_come_again_are_dropped():
    replay = answering((schools(1, 2), "s2"), (schools(1, 2, 3), "s3"), (schools(3, 4), None))
    assert await school_ids(replay) == ["s1", "s2", "s3", "s4"]


async def test_the_next_page_begins_behind_the_last_row_whatever_the_link_says():
    replay = answering((schools(1, 2), "s1"), (schools(2, 3), "s9"), (schools(4), None))
    assert await school_ids(replay) == ["s1", "s2", "s3", "s4"]
    asked = [query.get("starting_after") for path, query in replay.asked if "schools" in path]
    assert asked == [None, "s2", "s3"]


@pytest.mark.parametrize(
    "pages",
    [
        [(schools(1, 2), "s2"), (schools(1, 2), "s2")],
        [(schools(1, 2), "s2"), (schools(3), "s2")],
        [(schools(1, 2), "s2"), (schools(1), "s1")],
        [(schools(2, 1), None)],
        [([], "s1"), ([], "s2")],
        [([], "/v3.0/schools?starting_after=")],
        [(schools(1), "s1"), ([], "s1")],
        [(schools(1), "/v3.0/users?starting_after=s1")],
        [(schools(1), "/v2.1/schools?starting_after=s1")],
        [(schools(1), "https://elsewhere.example/v3.0/schools?starting_after=s1")],
        [(schools(1), "//[")],
        [(schools(1), "/v3.0/schools?limit=9")],
    ],
)
async def test_pages_that_do_not_come_to_an_end_are_refused(pages):
    assert await code_of(answering(*pages)) == (Code.CONN_PAGINATION_BROKEN, RosterUnreadable)


async def test_one_empty_page_is_passed():
    replay = answering((schools(1), "s1"), ([], "s2"), (schools(3), None))
    assert await school_ids(replay) == ["s1", "s3"]


@pytest.mark.parametrize("rest", [[], schools(1)])
async def test_a_page_that_was_announced_and_does_not_come_interrupts_the_reading(rest):
    replay = answering((schools(1), "s1"), (rest, None))
    assert await code_of(replay) == (Code.CONN_INTERRUPTED, RosterMoved)


async def test_a_full_page_without_a_next_one_is_not_believed(monkeypatch):
    monkeypatch.setitem(PAGE_SIZES, "schools", 2)
    replay = answering((schools(1, 2), None), (schools(3), None))
    assert await school_ids(replay) == ["s1", "s2", "s3"]
    replay = answering((schools(1, 2), None), ([], None))
    assert await school_ids(replay) == ["s1", "s2"]
    replay = answering((schools(1, 2), None), (schools(1, 2), None))
    assert await code_of(replay) == (Code.CONN_PAGINATION_BROKEN, RosterUnreadable)


async def test_a_row_without_an_id_does_not_stop_the_pages():
    nameless = {"name": "x"}
    replay = answering(([*schools(1), nameless], "s2"), ([nameless, *schools(3)], None))
    pages = await read_whole(replay)
    assert [school.source_id for school in of_type(pages, RecordType.SCHOOL)] == ["s1", "s3"]
    assert [problem.code for problem in problems_of(pages)] == [Code.ID_MISSING] * 2


async def test_a_page_that_is_too_much_for_clever_is_asked_for_in_halves():
    replay = district()
    replay.bend = lambda path, query, answer: (
        PlainTextResponse("", 502) if int(query.get("limit", 0)) > 500 else answer
    )
    pages = await read_whole(replay)
    assert len(of_type(pages, RecordType.USER)) == 10
    limits = [query["limit"] for path, query in replay.asked if path == "/v3.0/users"]
    assert limits == ["2000", "1000", "500", "500", "500", "500", "500"]


async def test_a_roster_that_moved_is_not_ended():
    replay = district()
    asked = count()

    def bend(path, query, answer):
        if path.endswith("/districts") and next(asked):
            return envelope([{**replay.districts[0], "last_sync": "later"}], "districts")
        return answer

    replay.bend = bend
    with replaying(replay) as source:
        ended = set()

        async def collect():
            async for page in source.pages():
                if page.is_last:
                    ended.add(page.record_type)

        with pytest.raises(RosterMoved) as caught:
            await collect()
    assert caught.value.code is Code.CONN_MOVED
    assert ended == {*RecordType} - {RecordType.MEMBERSHIP}


async def test_a_reading_that_goes_on_compares_with_its_beginning():
    replay = district()
    with replaying(replay) as source:
        pages = await read(source)
        replay.districts[0]["last_sync"] = "later"
        for page in pages[:-1]:
            with pytest.raises(RosterMoved):
                await read(source, page.checkpoint)


async def test_closing_a_reading_early_leaves_nothing_behind():
    with serve(district(most=1).app()) as served:
        pages = source_at(served.url).pages()
        await anext(pages)
        await pages.aclose()
