"""The OneRoster fake against the specification and the recorded answers."""

import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import httpx2
import pytest

from tests.fakes.district import CHANGED_AT
from tests.fakes.oneroster import OneRosterOptions, create_app
from tests.fakes.oneroster_auth import Auth, Credentials
from tests.fakes.oneroster_service import Habits
from tests.fakes.samples import write_sample, write_sample_1_2
from tests.fakes.serving import Served, serve

V1_1 = "/ims/oneroster/v1p1"
V1_2 = "/ims/oneroster/rostering/v1p2"
BEARER = Credentials(auth=Auth.BEARER)
HEADERS = {"Authorization": f"Bearer {BEARER.token}"}
NOW = 1_800_000_000.0

Get = Callable[[str], httpx2.Response]


@pytest.fixture(scope="module")
def client() -> Generator[httpx2.Client]:
    with httpx2.Client() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "district")


@pytest.fixture
def get(client: httpx2.Client, folder: Path) -> Generator[Get]:
    with serve(create_app(folder, options=OneRosterOptions(credentials=BEARER))) as served:
        yield get_from(client, served)


def get_from(client: httpx2.Client, served: Served) -> Get:
    def get(path: str) -> httpx2.Response:
        return client.get(served.url + path, headers=HEADERS)

    return get


def with_habits(folder: Path, habits: Habits) -> AbstractContextManager[Served]:
    return serve(create_app(folder, options=OneRosterOptions(credentials=BEARER, habits=habits)))


def ids(response: httpx2.Response, key: str = "users") -> list[str]:
    assert response.status_code == 200, response.text
    return [item["sourcedId"] for item in response.json()[key]]


def filtered(get: Get, text: str, collection: str = "users") -> httpx2.Response:
    return get(f"{V1_1}/{collection}?filter={quote(text, safe='')}")


ALL_USERS = ["U1", "U2", "U3", "U4", "U5", "U6", "G1", "U7", "U8", "", "U9", "U2"]


# Paging, sorting, filters.


def test_rows_are_served_in_their_order_bad_ones_too(get: Get) -> None:
    answer = get(f"{V1_1}/users")
    assert ids(answer) == ALL_USERS
    assert answer.headers["X-Total-Count"] == "12"


def test_pages_go_by_offset_with_totals_and_links(get: Get) -> None:
    answer = get(f"{V1_1}/users?limit=5&offset=5&sort=sourcedId&orderBy=asc")
    assert ids(answer) == ["U3", "U4", "U5", "U6", "U7"]
    assert answer.headers["X-Total-Count"] == "12"
    offsets = {str(rel): parse_qs(link["url"])["offset"][0] for rel, link in answer.links.items()}
    assert offsets == {"first": "0", "last": "10", "next": "10", "prev": "0"}
    assert ids(get(f"{V1_1}/users?limit=5&offset=12")) == []


def test_descending_needs_the_right_word(get: Get) -> None:
    path = f"{V1_1}/academicSessions?sort=sourcedId&orderBy="
    assert ids(get(path + "desc"), "academicSessions") == ["Y1", "T2", "T1"]
    assert ids(get(path + "dsc"), "academicSessions") == ["T1", "T2", "Y1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("status='tobedeleted'", ["U7"]),
        ("dateLastModified>'2026-09-01T10:00:00.000Z'", ["U7"]),
        ("dateLastModified>='2026-09-01T10:00:00Z'", ["U1", "U7"]),
        ("dateLastModified>'2026-08-30T00:00:00.000Z' AND status='active'", ["U1"]),
        ("username='ann' OR username='cleo'", ["U1", "U3"]),
        ("username~'BE'", ["U2", "U2"]),
        ("role!='student'", ["U3", "U4", "U5", "U6", "G1", "U8"]),
        ("grades='06'", ["U1"]),
    ],
)
def test_filters_keep_what_matches(get: Get, text: str, found: list[str]) -> None:
    answer = filtered(get, text)
    assert ids(answer) == found
    assert answer.headers["X-Total-Count"] == str(len(found))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("shoeSize='44'", "invalid_filter_field"),
        ("class.sourcedId='K1'", "invalid_filter_field"),
        ("username=ann", "invaliddata"),
        ("username='a' AND username='b' AND username='c'", "invaliddata"),
        ("dateLastModified>'yesterday'", "invaliddata"),
    ],
)
def test_a_bad_filter_is_refused_as_the_specification_wants(get: Get, text: str, code: str) -> None:
    answer = filtered(get, text)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["imsx_codeMajor"], body["imsx_severity"]) == ("failure", "error")
    (minor,) = body["imsx_CodeMinor"]["imsx_codeMinorField"]
    assert minor["imsx_codeMinorFieldValue"] == code


@pytest.mark.parametrize("query", ["limit=0", "limit=abc", "offset=-1", "fields="])
def test_bad_parameters_are_refused(get: Get, query: str) -> None:
    assert get(f"{V1_1}/users?{query}").status_code == 400


def test_fields_are_picked_unless_one_is_unknown(get: Get) -> None:
    path = f"{V1_1}/orgs?limit=1&fields="
    assert get(path + "sourcedId,name").json()["orgs"] == [
        {"sourcedId": "D1", "name": "Small Unified"}
    ]
    assert "identifier" in get(path + "sourcedId,shoes").json()["orgs"][0]


@pytest.mark.parametrize(
    ("path", "key", "found"),
    [
        ("schools", "orgs", ["S1", "S2"]),
        ("terms", "academicSessions", ["T1", "T2"]),
        ("gradingPeriods", "academicSessions", []),
        ("students", "users", ["U1", "U2", "U7", "", "U9", "U2"]),
        ("teachers", "users", ["U3"]),
    ],
)
def test_partial_collections_have_the_key_of_their_type(
    get: Get, path: str, key: str, found: list[str]
) -> None:
    assert ids(get(f"{V1_1}/{path}"), key) == found


def test_single_objects_have_their_own_key(get: Get) -> None:
    assert get(f"{V1_1}/classes/K1").json()["class"]["title"] == "Keyboarding 1"
    assert get(f"{V1_1}/classes/K9").status_code == 404


def test_demographics_are_not_shared(get: Get) -> None:
    assert get(f"{V1_1}/demographics").status_code == 403


def test_habits_can_be_bad(client: httpx2.Client, folder: Path) -> None:
    habits = Habits(largest_page=4, has_total=False, has_links=False, refuses_sort=True)
    with with_habits(folder, habits) as served:
        get = get_from(client, served)
        answer = get(f"{V1_1}/users?limit=1000")
        assert ids(answer) == ALL_USERS[:4]
        assert not {"x-total-count", "link"} & set(answer.headers)
        assert get(f"{V1_1}/users?sort=sourcedId").status_code == 400
    with with_habits(folder, Habits(largest_page=4, refuses_larger=True)) as served:
        assert get_from(client, served)(f"{V1_1}/users?limit=5").status_code == 400
    with with_habits(folder, Habits(ignores_filter=True)) as served:
        assert ids(filtered(get_from(client, served), "status='tobedeleted'")) == ALL_USERS


def test_another_night_is_served_at_once(folder: Path, get: Get) -> None:
    assert ids(get(f"{V1_1}/courses"), "courses") == ["C1", "C2"]
    write_sample(folder, courses="sourcedId,title\nC9,New course\n")
    os.utime(folder / "courses.csv", (NOW, NOW))
    assert ids(get(f"{V1_1}/courses"), "courses") == ["C9"]


# Shapes.


def one(get: Get, path: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = get(path).json()[key]
    return found


def ref(base: str, collection: str, source_id: str, kind: str) -> dict[str, str]:
    href = f"https://roster.example.org{base}/{collection}/{source_id}"
    return {"href": href, "sourcedId": source_id, "type": kind}


def test_a_user_of_1_1_has_one_role_and_orgs(get: Get) -> None:
    assert one(get, f"{V1_1}/users/U1", "user") == {
        "sourcedId": "U1",
        "status": "active",
        "dateLastModified": "2026-09-01T10:00:00.000Z",
        "metadata": {"typing": "yes"},
        "username": "ann",
        "userIds": [{"type": "Fed", "identifier": "U1"}],
        "enabledUser": True,
        "givenName": "Ann",
        "familyName": "Archer",
        "middleName": "M",
        "role": "student",
        "identifier": "7001",
        "email": "ann@example.org",
        "sms": "",
        "phone": "",
        "agents": [ref(V1_1, "users", "G1", "user")],
        "orgs": [ref(V1_1, "orgs", "S1", "org"), ref(V1_1, "orgs", "S2", "org")],
        "grades": ["06"],
        "password": "",
    }


def test_rows_without_a_date_have_always_the_same(get: Get) -> None:
    assert one(get, f"{V1_1}/orgs/S1", "org")["dateLastModified"] == CHANGED_AT


def test_a_user_of_1_2_has_roles_and_preferred_names(client: httpx2.Client, tmp_path: Path) -> None:
    folder = write_sample_1_2(tmp_path / "newer")
    with serve(create_app(folder, options=OneRosterOptions(credentials=BEARER))) as served:
        found = one(get_from(client, served), f"{V1_2}/users/U1", "user")
        first, second = ref(V1_2, "orgs", "S1", "org"), ref(V1_2, "orgs", "S2", "org")
        assert found["roles"] == [
            {"roleType": "primary", "role": "student", "org": first},
            {
                "roleType": "secondary",
                "role": "student",
                "org": second,
                "beginDate": "2026-08-17",
            },
        ]
        assert found["primaryOrg"] == first
        assert found["enabledUser"] == "true"
        assert (found["preferredFirstName"], found["preferredLastName"]) == ("Annie", "Bowman")
        assert not {"role", "orgs", "pronouns"} & found.keys()
        older = one(get_from(client, served), f"{V1_1}/users/U3", "user")
        assert older["role"] == "administrator"
        assert [org["sourcedId"] for org in older["orgs"]] == ["S1"]


def test_roles_of_1_1_are_told_in_the_words_of_1_2(get: Get) -> None:
    words = {
        source: [role["role"] for role in one(get, f"{V1_2}/users/{source}", "user")["roles"]]
        for source in ("U1", "U4", "U5", "U8")
    }
    assert words == {
        "U1": ["student", "student"],
        "U4": ["districtAdministrator"],
        "U5": ["siteAdministrator"],
        "U8": ["wizard"],
    }


def test_an_enrollment_says_primary_as_its_version_does(get: Get) -> None:
    assert one(get, f"{V1_1}/enrollments/E3", "enrollment")["primary"] is True
    assert one(get, f"{V1_2}/enrollments/E3", "enrollment")["primary"] == "true"
    assert "primary" not in one(get, f"{V1_2}/enrollments/E2", "enrollment")


def test_wrong_values_are_served_as_they_are(get: Get) -> None:
    assert one(get, f"{V1_1}/users/U9", "user")["familyName"] == ""
    assert one(get, f"{V1_1}/users/U8", "user")["role"] == "wizard"
    assert one(get, f"{V1_1}/enrollments/E5", "enrollment")["user"]["sourcedId"] == "U404"
