"""What Clever really answered: every recorded list decodes, and can be read as if it were whole."""

import json

import msgspec
import pytest

from domain.providers.clever.decoding import Odd, decode_list
from domain.providers.clever.objects import Course, District, School, Section, Term, User
from domain.providers.clever.people import Rules, type_of
from domain.providers.clever.tokens import decode_scopes, decode_tokens
from domain.providers.http.answer import Answer
from domain.roster.records import RecordType
from domain.roster.source import Ignored
from domain.validation.codes import Code
from tests.domain.providers.clever.replay import (
    Replay,
    config,
    ignored_of,
    of_type,
    problems_of,
    read,
    read_whole,
    replaying,
)

LISTS = {
    "districts.json": (District, 1),
    "schools.json": (School, 4),
    "schools_limit3_page1.json": (School, 3),
    "schools_limit3_page2_last.json": (School, 1),
    "terms.json": (Term, 5),
    "courses_page1.json": (Course, 100),
    "users_page1.json": (User, 100),
    "sections_page1.json": (Section, 100),
    "contact_list.json": (User, 1),
}


@pytest.fixture
def recorded(shared_data):
    return shared_data / "clever"


def answer(path):
    return Answer(200, {}, path.read_bytes(), "")


def objects(path):
    return [item["data"] for item in json.loads(path.read_bytes())["data"]]


@pytest.mark.parametrize("name", LISTS)
def test_every_recorded_list_decodes(recorded, name):
    kind, count = LISTS[name]
    page = decode_list(answer(recorded / name), kind)
    assert len(page.rows) == count
    assert not any(isinstance(row, Odd) for row in page.rows)
    assert (page.next_uri is None) == ("page1" not in name)


def test_recorded_links_name_the_cursor(recorded):
    page = decode_list(answer(recorded / "schools_limit3_page1.json"), School)
    assert page.next_uri == f"/v3.0/schools?limit=3&starting_after={page.rows[-1].id}"


def test_recorded_tokens_and_scopes_decode(recorded):
    found = decode_tokens(answer(recorded / "oauth_tokens_list.json"))
    assert [token.district_id for token in found.tokens] == [
        "58da8a43cc70ab00017a1a87",
        "5d0a9e5d0958b300014e49d2",
        "62817af12d430f5d54001f99",
    ]
    assert (len(found.tokens[0].scopes), found.next_path) == (5, None)
    assert len(decode_tokens(answer(recorded / "clever-go-auth-mocks-tokens.json")).tokens) == 1
    assert len(decode_scopes(answer(recorded / "oauth_tokeninfo.json"))) == 10


def test_recorded_single_users_and_events_hold_objects_that_decode(recorded):
    for name in ("teacher_user_district_token.json", "teacher_user_sso.json"):
        found = json.loads((recorded / name).read_bytes())["data"]
        assert msgspec.convert(found, User).roles.teacher is not None
    kinds = {"schools": School, "users": User, "sections": Section, "districts": District}
    for event in objects(recorded / "events_page1.json"):
        kind = kinds[event["type"].partition(".")[0]]
        assert msgspec.convert(event["data"]["object"], kind).id


def test_what_is_not_mapped_of_recorded_people_is_not_decoded(recorded):
    rows = decode_list(
        answer(recorded / "users_page1.json"), type_of("student", Rules.of(config()))
    ).rows
    for found, row in zip(objects(recorded / "users_page1.json"), rows, strict=True):
        student = found["roles"]["student"]
        for secret in ("dob", "state_id", "email", "race"):
            if len(student[secret]) > 4:
                assert student[secret] not in repr(row)


@pytest.fixture
def demo(recorded):
    """The recorded pages of Clever's demo district as if they were the whole."""
    replay = Replay(
        schools=objects(recorded / "schools.json"),
        terms=objects(recorded / "terms.json"),
        courses=objects(recorded / "courses_page1.json"),
        sections=objects(recorded / "sections_page1.json"),
        users=sorted(
            [*objects(recorded / "users_page1.json"), *objects(recorded / "contact_list.json")],
            key=lambda found: found["id"],
        ),
    )
    replay.districts = objects(recorded / "districts.json")
    return replay


@pytest.mark.anyio
async def test_the_recorded_district_is_read(demo):
    demo.most = 30
    pages = await read_whole(demo, settings={"district_id": "58da8a43cc70ab00017a1a87"})
    assert {kind: len(of_type(pages, kind)) for kind in RecordType} == {
        RecordType.SCHOOL: 4,
        RecordType.TERM: 5,
        RecordType.COURSE: 100,
        RecordType.USER: 100,
        RecordType.GROUP: 100,
        RecordType.MEMBERSHIP: sum(
            len({*found["students"]}) + len({*found["teachers"], found["teacher"]})
            for found in demo.lists["sections"]
        ),
    }
    assert problems_of(pages) == []
    assert ignored_of(pages) == [Ignored("5faac8b9bc447500a10aebe8", "contact")]
    users = of_type(pages, RecordType.USER)
    assert sum(len(user.school_source_ids) > 1 for user in users) == 36
    ziemann = users[0]
    assert (ziemann.username, ziemann.number, ziemann.grades) == ("stevez33", "100095233", ("KG",))
    assert (ziemann.keys, ziemann.email) == (("sis_id:100095233",), None)


@pytest.mark.anyio
async def test_the_recorded_district_is_read_on_behind_every_checkpoint(demo):
    demo.most = 40
    with replaying(demo) as source:
        pages = await read(source)
        for number in range(0, len(pages), 3):
            rest = await read(source, pages[number].checkpoint)
            for kind in RecordType:
                given = of_type(pages[: number + 1], kind)
                assert [*given, *of_type(rest, kind)] == of_type(pages, kind)


@pytest.mark.anyio
async def test_a_recorded_district_with_a_word_of_tomorrow_is_read(demo):
    for found in demo.lists["users"]:
        found["lms_status"] = {"synced_in_lms": True}
        if "student" in found["roles"]:
            found["roles"]["student"]["grade"] = "Grade Fourteen"
    pages = await read_whole(demo)
    assert {problem.code for problem in problems_of(pages)} == {Code.USER_GRADE_UNMAPPED}
    assert len(of_type(pages, RecordType.USER)) == 100
