"""The Clever fake against what is known of Clever."""

import json
import os
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes.clever import create_app
from tests.fakes.clever_state import SIGN_IN_ONLY, CleverOptions
from tests.fakes.district import clever_id
from tests.fakes.samples import write_sample, write_sample_1_2
from tests.fakes.serving import Served, serve

Get = Callable[[str], httpx2.Response]

OPTIONS = CleverOptions()
CLIENT = (OPTIONS.client_id, OPTIONS.client_secret)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "district")


@pytest.fixture(scope="module")
def client() -> Generator[httpx2.Client]:
    with httpx2.Client() as opened:
        yield opened


@pytest.fixture
def served(folder: Path) -> Generator[Served]:
    with serve(create_app(folder)) as fake:
        yield fake


def get_from(client: httpx2.Client, served: Served) -> Get:
    def get(path: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {served.state.fake.token}"}
        return client.get(served.url + path, headers=headers)

    return get


@pytest.fixture
def get(client: httpx2.Client, served: Served) -> Get:
    return get_from(client, served)


def items(response: httpx2.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200
    return [item["data"] for item in response.json()["data"]]


def user(get: Get, sourced_id: str) -> dict[str, Any]:
    found: dict[str, Any] = get(f"/v3.0/users/{clever_id('user', sourced_id)}").json()["data"]
    return found


def pages(get: Get, path: str) -> list[list[str]]:
    """The ids of every page, by the links."""
    found: list[list[str]] = []
    link: str | None = path
    while link:
        answer = get(link)
        found.append([item["id"] for item in items(answer)])
        links = {one["rel"]: one["uri"] for one in answer.json()["links"]}
        assert links["self"] == link
        link = links.get("next")
    return found


def test_tokens_are_listed_to_the_client_only(client: httpx2.Client, served: Served) -> None:
    url = f"{served.url}/oauth/tokens?owner_type=district"
    assert client.get(url).status_code == 401
    assert client.get(url, auth=(CLIENT[0], "wrong")).status_code == 401
    listed = client.get(url, auth=CLIENT).json()["data"]
    owner = {"type": "district", "id": served.state.fake.district_id}
    assert [token["access_token"] for token in listed if token["owner"] == owner] == [
        served.state.fake.token
    ]
    assert len(listed) == 2


def test_tokens_can_be_asked_for_one_district(client: httpx2.Client, served: Served) -> None:
    url = f"{served.url}/oauth/tokens?owner_type=district&district="
    listed = client.get(url + served.state.fake.district_id, auth=CLIENT).json()["data"]
    assert [token["access_token"] for token in listed] == [served.state.fake.token]
    assert client.get(url + "0" * 24, auth=CLIENT).json()["data"] == []


def test_tokeninfo_names_client_and_scopes(get: Get) -> None:
    info = get("/oauth/tokeninfo").json()
    assert info == {"client_id": OPTIONS.client_id, "scopes": sorted(OPTIONS.scopes)}


def test_a_wrong_token_is_refused_in_json_with_the_limits_told(
    client: httpx2.Client, served: Served
) -> None:
    answer = client.get(f"{served.url}/v3.0/users", headers={"Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert answer.headers["X-Ratelimit-Bucket"] == "bearer"


def test_an_unknown_path_is_answered_with_a_page_of_html(get: Get) -> None:
    answer = get("/v3.0/students")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Cannot GET /v3.0/students" in answer.text


def test_every_answer_has_clevers_headers(get: Get) -> None:
    answer = get("/v3.0/schools")
    assert answer.headers["X-Ratelimit-Limit"] == "1200"
    assert answer.headers["X-Ratelimit-Remaining"] == "1199"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["ETag"].startswith('W/"')
    assert len(answer.headers["x-request-id"]) == 32


def test_pages_follow_each_other_by_cursor_in_the_order_of_the_ids(get: Get) -> None:
    whole = [item["id"] for item in items(get("/v3.0/users"))]
    assert whole == sorted(whole)
    assert len(whole) == 8
    assert pages(get, "/v3.0/users?limit=3") == [whole[:3], whole[3:6], whole[6:]]


def test_the_next_link_keeps_the_other_parameters(get: Get) -> None:
    students = [item["id"] for item in items(get("/v3.0/users?role=student"))]
    first = get("/v3.0/users?role=student&limit=2").json()["links"]
    next_uri = f"/v3.0/users?role=student&limit=2&starting_after={students[1]}"
    assert first[1:] == [{"rel": "next", "uri": next_uri}]
    assert pages(get, "/v3.0/users?role=student&limit=2") == [students[:2], students[2:]]


def test_the_page_before_an_id_ends_with_the_one_before_it(get: Get) -> None:
    whole = [item["id"] for item in items(get("/v3.0/users"))]
    answer = get(f"/v3.0/users?limit=2&ending_before={whole[4]}")
    assert [item["id"] for item in items(answer)] == whole[2:4]
    assert [link["rel"] for link in answer.json()["links"]] == ["self", "next", "prev"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=10000", 200),
        ("limit=10001", 413),
        ("limit=0", 400),
        ("limit=x", 400),
        ("starting_after=x", 400),
        ("role=wizard", 400),
        ("unheard=of", 200),
        ("count=5", 200),
    ],
)
def test_parameters_are_checked(get: Get, query: str, status: int) -> None:
    assert get(f"/v3.0/users?{query}").status_code == status


def test_a_count_is_of_all_whatever_else_is_asked(get: Get) -> None:
    assert get("/v3.0/users?count=true&role=student").json() == {"count": 8}


def test_a_page_has_100_rows_unless_asked_otherwise(client: httpx2.Client, tmp_path: Path) -> None:
    rows = "".join(f"S{number},,,School,school,,\n" for number in range(250))
    header = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n"
    with serve(create_app(write_sample(tmp_path / "many", orgs=header + rows))) as served:
        found = pages(get_from(client, served), "/v3.0/schools")
    assert [len(page) for page in found] == [100, 100, 50]


def test_too_many_requests_in_a_window_are_refused_until_it_ends(
    client: httpx2.Client, folder: Path
) -> None:
    now = [1000.0]
    options = replace(OPTIONS, rate_limit=2, clock=lambda: now[0])
    with serve(create_app(folder, options=options)) as served:
        get = get_from(client, served)
        answers = [get("/v3.0/terms") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["X-Ratelimit-Remaining"] == "0"
        assert answers[2].headers["X-Ratelimit-Reset"] == "1060"
        now[0] = 1060.0
        assert get("/v3.0/terms").status_code == 200


def test_without_secure_sync_only_the_district_is_read(client: httpx2.Client, folder: Path) -> None:
    with serve(create_app(folder, options=replace(OPTIONS, scopes=SIGN_IN_ONLY))) as served:
        get = get_from(client, served)
        assert get("/v3.0/districts").status_code == 200
        assert get("/v3.0/users").json() == {"message": "Resource not in token's scopes"}


def test_a_rotated_token_is_refused_and_the_new_one_listed(
    client: httpx2.Client, served: Served, get: Get
) -> None:
    before = served.state.fake.token
    served.state.fake.rotate_token()
    old = client.get(f"{served.url}/v3.0/terms", headers={"Authorization": f"Bearer {before}"})
    assert old.status_code == 401
    assert get("/v3.0/terms").status_code == 200
    listed = client.get(f"{served.url}/oauth/tokens", auth=CLIENT).json()["data"]
    assert served.state.fake.token in {token["access_token"] for token in listed}


def test_a_district_that_disconnects_is_not_listed(
    client: httpx2.Client, served: Served, get: Get
) -> None:
    served.state.fake.disconnect()
    listed = client.get(f"{served.url}/oauth/tokens", auth=CLIENT).json()["data"]
    assert served.state.fake.district_id not in {token["owner"]["id"] for token in listed}
    assert get("/v3.0/terms").status_code == 401


def test_a_student_is_told_as_clever_tells_them(get: Get) -> None:
    found = user(get, "U1")
    assert found["name"] == {"first": "Ann", "last": "Archer", "middle": "M"}
    student = found["roles"]["student"]
    first, second = clever_id("school", "S1"), clever_id("school", "S2")
    assert (student["school"], student["schools"]) == (first, [first, second])
    assert (student["sis_id"], student["student_number"]) == ("U1", "7001")
    assert (student["grade"], student["ext"]) == ("6", {"typing": "yes"})
    assert student["credentials"] == {"district_username": "ann"}
    assert found["email"] == student["email"] == "ann@example.org"


def test_roles_are_clevers(get: Get) -> None:
    roles = {source: tuple(user(get, source)["roles"]) for source in ("U3", "U4", "U5", "U6", "G1")}
    assert roles == {
        "U3": ("teacher",),
        "U4": ("district_admin",),
        "U5": ("staff",),
        "U6": ("staff",),
        "G1": ("contact",),
    }


def test_a_contact_has_the_whole_name_as_the_last_one(get: Get) -> None:
    found = user(get, "G1")
    assert found["name"] == {"last": "Gus Archer"}
    assert found["roles"]["contact"]["student_relationships"] == [
        {"student": clever_id("user", "U1"), "relationship": "Other", "type": "Parent/Guardian"}
    ]


def test_rows_that_clever_could_not_have_are_not_served(get: Get) -> None:
    served = {item["id"] for item in items(get("/v3.0/users"))}
    sources = ("U1", "U2", "U3", "U4", "U5", "U6", "G1", "U9")
    assert served == {clever_id("user", source) for source in sources}


def test_of_rows_with_one_id_the_last_is_served(get: Get) -> None:
    username = user(get, "U2")["roles"]["student"]["credentials"]["district_username"]
    assert username == "ben2"


def test_a_term_ends_on_its_last_day(get: Get) -> None:
    terms = {
        item["name"]: (item["start_date"], item["end_date"]) for item in items(get("/v3.0/terms"))
    }
    assert terms["Fall"] == ("2026-08-17", "2026-12-31")


def test_a_section_has_its_members(get: Get) -> None:
    (section,) = items(get("/v3.0/sections"))
    students = [clever_id("user", source) for source in ("U1", "U2", "U404")]
    teacher = clever_id("user", "U3")
    assert (section["students"], section["teachers"]) == (students, [teacher])
    assert section["teacher"] == teacher
    assert section["term_id"] == clever_id("term", "T1")
    told = {key: section[key] for key in ("name", "grade", "subject", "period", "section_number")}
    assert told == {
        "name": "Keyboarding 1",
        "grade": "6",
        "subject": "math",
        "period": "3",
        "section_number": "KEY-1",
    }


def test_only_schools_are_schools(get: Get) -> None:
    schools = {item["name"]: item["ext"] for item in items(get("/v3.0/schools"))}
    assert schools == {"First School": {"region": "north"}, "Second School": {}} | {
        "Second School": {"region": ""}
    }


def test_a_single_object_has_links_and_an_unknown_one_is_a_404(get: Get) -> None:
    answer = get(f"/v3.0/users/{clever_id('user', 'U1')}").json()
    rels = [link["rel"] for link in answer["links"]]
    assert rels == ["self", "district", "sections", "schools", "myContacts", "myTeachers"]
    assert get(f"/v3.0/users/{'0' * 24}").status_code == 404


def test_preferred_names_are_told_in_the_newer_version_only(
    client: httpx2.Client, tmp_path: Path
) -> None:
    with serve(create_app(write_sample_1_2(tmp_path / "newer"))) as served:
        get = get_from(client, served)
        path = f"users/{clever_id('user', 'U1')}"
        older, newer = (
            get(f"/{version}/{path}").json()["data"]["roles"]["student"]
            for version in ("v3.0", "v3.1")
        )
        assert "preferred_name" not in older
        assert newer["preferred_name"] == {"first": "Annie", "middle": "", "last": "Bowman"}
        assert tuple(user(get, "U3")["roles"]) == ("staff",)


def test_the_side_file_changes_adds_and_leaves_out(folder: Path, get: Get) -> None:
    added = {"id": "f" * 24, "roles": {"teacher": {}, "staff": {}}}
    side = {
        "district": {"state": "paused"},
        "users": [added, {"id": clever_id("user", "U1"), "email": "new@example.org"}],
        "without": {"users": [clever_id("user", "U2")]},
    }
    (folder / "clever.json").write_text(json.dumps(side))
    assert items(get("/v3.0/districts"))[0]["state"] == "paused"
    assert items(get("/v3.0/users?role=staff"))[-1] == added
    assert items(get("/v3.0/users?role=teacher"))[-1] == added
    assert user(get, "U1")["name"]["first"] == "Ann"
    assert user(get, "U1")["email"] == "new@example.org"
    assert get(f"/v3.0/users/{clever_id('user', 'U2')}").status_code == 404


def test_another_night_is_served_at_once_with_a_later_sync(folder: Path, get: Get) -> None:
    before = items(get("/v3.0/districts"))[0]["last_sync"]
    write_sample(folder, courses="sourcedId,title\nC9,New course\n")
    changed = (folder / "courses.csv").stat().st_mtime + 5
    os.utime(folder / "courses.csv", (changed, changed))
    assert [item["name"] for item in items(get("/v3.0/courses"))] == ["New course"]
    assert items(get("/v3.0/districts"))[0]["last_sync"] > before


def test_what_was_asked_is_noted(served: Served, get: Get) -> None:
    get("/v3.0/users?limit=5")
    (asked,) = served.state.log
    assert (asked.method, asked.path, asked.query) == ("GET", "/v3.0/users", "limit=5")
    assert served.state.plan.count("users") == 1
