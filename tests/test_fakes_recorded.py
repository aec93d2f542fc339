"""The fakes against what was recorded of the providers and what they publish.

Both are beside the repository, and no part of it.
"""

import json
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.fakes import classlink, clever, oneroster
from tests.fakes.classlink_state import BASE, SERVED, ClassLinkOptions
from tests.fakes.clever_state import CleverOptions
from tests.fakes.district import clever_id
from tests.fakes.oneroster_auth import Auth, Credentials
from tests.fakes.oneroster_service import Habits
from tests.fakes.samples import write_sample
from tests.fakes.serving import Served, serve

Get = Callable[[str], httpx2.Response]

V1_1 = "/ims/oneroster/v1p1"
V1_2 = "/ims/oneroster/rostering/v1p2"
BEARER = Credentials(auth=Auth.BEARER)


@pytest.fixture(scope="module")
def client() -> Generator[httpx2.Client]:
    with httpx2.Client() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def served(folder: Path) -> Generator[Served]:
    with serve(clever.create_app(folder)) as fake:
        yield fake


@pytest.fixture(scope="module")
def get(client: httpx2.Client, served: Served) -> Get:
    return getter(client, served, served.state.fake.token)


def getter(client: httpx2.Client, served: Served, token: str) -> Get:
    def get(path: str) -> httpx2.Response:
        answer = client.get(served.url + path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        return answer

    return get


def oneroster_app(folder: Path, habits: Habits) -> Any:
    options = oneroster.OneRosterOptions(credentials=BEARER, habits=habits)
    return oneroster.create_app(folder, options=options)


@pytest.fixture(scope="module")
def get_strict(client: httpx2.Client, folder: Path) -> Generator[Get]:
    with serve(oneroster_app(folder, Habits())) as served:
        yield getter(client, served, BEARER.token)


@pytest.fixture(scope="module")
def get_sloppy(client: httpx2.Client, folder: Path) -> Generator[Get]:
    with serve(oneroster_app(folder, Habits(is_sloppy=True))) as served:
        yield getter(client, served, BEARER.token)


@pytest.fixture(scope="module")
def get_classlink(client: httpx2.Client, folder: Path) -> Generator[Get]:
    with serve(classlink.create_app(folder)) as served:
        yield getter(client, served, SERVED.bearer)


# Clever.


def items(response: httpx2.Response) -> list[dict[str, Any]]:
    return [item["data"] for item in response.json()["data"]]


def user(get: Get, sourced_id: str) -> dict[str, Any]:
    found: dict[str, Any] = get(f"/v3.0/users/{clever_id('user', sourced_id)}").json()["data"]
    return found


def recorded(shared_data: Path, name: str) -> Any:
    return json.loads((shared_data / "clever" / name).read_bytes())


@pytest.mark.parametrize("name", ["schools", "courses", "terms", "sections", "districts"])
def test_objects_have_every_key_that_was_recorded(name: str, get: Get, shared_data: Path) -> None:
    files = {"courses": "courses_page1.json", "sections": "sections_page1.json"}
    there = recorded(shared_data, files.get(name, f"{name}.json"))
    here = get(f"/v3.0/{name}").json()
    assert here.keys() == there.keys()
    assert here["data"][0].keys() == there["data"][0].keys()
    wanted = {key: type(value) for key, value in there["data"][0]["data"].items()}
    found = {key: type(value) for key, value in here["data"][0]["data"].items()}
    assert {key: found.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("file", "source"), [("users_page1.json", "U1"), ("contact_list.json", "G1")]
)
def test_users_have_every_key_that_was_recorded(
    file: str, source: str, get: Get, shared_data: Path
) -> None:
    there = recorded(shared_data, file)["data"][0]["data"]
    here = user(get, source)
    (role,) = here["roles"]
    assert here.keys() == there.keys()
    assert here["roles"][role].keys() == there["roles"][role].keys()


def test_a_teacher_has_every_key_and_link_that_was_recorded(get: Get, shared_data: Path) -> None:
    there = recorded(shared_data, "teacher_user_district_token.json")
    here = get(f"/v3.0/users/{clever_id('user', 'U3')}").json()
    assert here["data"]["roles"]["teacher"].keys() == there["data"]["roles"]["teacher"].keys()
    assert {link["rel"] for link in here["links"]} == {link["rel"] for link in there["links"]}


def test_a_token_has_every_key_that_was_recorded(
    client: httpx2.Client, served: Served, shared_data: Path
) -> None:
    there = recorded(shared_data, "clever-go-auth-mocks-tokens.json")
    here = client.get(
        f"{served.url}/oauth/tokens?owner_type=district",
        auth=(CleverOptions().client_id, CleverOptions().client_secret),
    ).json()
    assert here["data"][0].keys() == there["data"][0].keys()
    assert here["links"] == there["links"]
    assert here["data"][0]["scopes"] == there["data"][0]["scopes"]


PUBLISHED = {
    "schools": "School",
    "terms": "Term",
    "courses": "Course",
    "sections": "Section",
    "districts": "District",
    "users": "User",
}
UNPUBLISHED = {"email"}
"""Recorded in roles.student, although it is published for the user only."""


def published(shared_data: Path, definition: str) -> set[str]:
    """The names of a definition's properties, from the indentation of the published YAML."""
    path = shared_data.parent / "specs" / "clever" / "v3.0.yml"
    if not path.exists():
        pytest.skip("Clever's published definitions are not here")
    block = re.search(rf"^  {definition}:\n((?:    .*\n)+)", path.read_text(), re.MULTILINE)
    assert block is not None
    return set(re.findall(r"^      (\w+):$", block[1], re.MULTILINE))


@pytest.mark.parametrize("name", PUBLISHED)
def test_objects_have_only_what_is_published(name: str, get: Get, shared_data: Path) -> None:
    known = published(shared_data, PUBLISHED[name])
    assert {key for item in items(get(f"/v3.0/{name}")) for key in item} <= known


@pytest.mark.parametrize(
    ("role", "definition"),
    [
        ("student", "Student"),
        ("teacher", "Teacher"),
        ("staff", "Staff"),
        ("district_admin", "DistrictAdmin"),
        ("contact", "Contact"),
    ],
)
def test_roles_have_only_what_is_published(
    role: str, definition: str, get: Get, shared_data: Path
) -> None:
    found = items(get(f"/v3.0/users?role={role}"))
    assert found
    known = published(shared_data, definition)
    assert {key for item in found for key in item["roles"][role]} - UNPUBLISHED <= known


# OneRoster.


class Definitions(NamedTuple):
    """The schemas of an OpenAPI file."""

    schemas: Mapping[str, Any]

    def faults(self, value: Any, schema: Mapping[str, Any], at: str = "") -> list[str]:
        """Roughly: references, required and unknown fields, and the types of values."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        for part in schema.get("allOf", ()):
            if faults := self.faults(value, part, at):
                return faults
        types = {"string": str, "array": list, "object": dict, "boolean": bool}
        kind = types.get(schema.get("type", ""), object)
        if not isinstance(value, kind):
            return [f"{at} is no {schema['type']}"]
        if isinstance(value, list):
            return [fault for item in value for fault in self.faults(item, schema["items"], at)]
        return self._faults_of_object(value, schema, at) if isinstance(value, dict) else []

    def _faults_of_object(
        self, value: Mapping[str, Any], schema: Mapping[str, Any], at: str
    ) -> list[str]:
        known = schema.get("properties", {})
        found = [
            f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value
        ]
        if schema.get("additionalProperties") is False:
            found += [f"{at}.{name} is unknown" for name in value if name not in known]
        for name in value.keys() & known.keys():
            found += self.faults(value[name], known[name], f"{at}.{name}")
        return found


COLLECTIONS = {
    "orgs": "Org",
    "academicSessions": "AcademicSession",
    "courses": "Course",
    "classes": "Class",
    "users": "User",
    "enrollments": "Enrollment",
}


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize(
    ("base", "file", "suffix"),
    [
        (V1_1, "oneroster-v1p1-openapi3.json", ".Type"),
        (V1_2, "onerosterv1p2rostersservice_openapi3_v1p0.json", "DType"),
    ],
)
def test_objects_are_as_published(
    get_strict: Get, shared_data: Path, collection: str, base: str, file: str, suffix: str
) -> None:
    path = shared_data.parent / "specs" / "oneroster" / file
    if not path.exists():
        pytest.skip("OneRoster's published definitions are not here")
    definitions = Definitions(json.loads(path.read_bytes())["components"]["schemas"])
    schema = definitions.schemas[COLLECTIONS[collection] + suffix]
    found = get_strict(f"{base}/{collection}").json()[collection]
    faults = {fault for item in found for fault in definitions.faults(item, schema)}
    # The 1.1 file has one string of periods, where the text and every server have a list.
    assert faults - {".periods is no string"} == set()


@pytest.mark.parametrize(
    ("collection", "file"),
    [
        ("orgs", "getAllOrgs"),
        ("academicSessions", "getAllAcademicSessions"),
        ("courses", "getAllCourses"),
        ("classes", "getAllClasses"),
        ("enrollments", "getAllEnrollments"),
        ("users", "getAllUsers"),
    ],
)
def test_the_sloppy_server_is_as_sloppy_as_the_recorded_one(
    get_sloppy: Get, shared_data: Path, collection: str, file: str
) -> None:
    path = shared_data / "oneroster" / "or-ri-v1p1-capture" / f"{file}.json"
    there = json.loads(path.read_bytes())[collection]
    answer = get_sloppy(f"{V1_1}/{collection}").json()
    assert answer["statusInfoSet"][0]["imsx_codeMajor"] == "success"
    here = types_of(answer[collection])
    # Free text of ours stands where a district's own metadata stood.
    differing = [
        name
        for name, types in types_of(there).items()
        if not here.get(name, frozenset()) & types and name != "metadata"
    ]
    assert differing == []


def types_of(items: list[dict[str, Any]]) -> dict[str, frozenset[type]]:
    names = {name for item in items for name in item}
    return {name: frozenset(type(item[name]) for item in items if name in item) for name in names}


# ClassLink.


def captured(shared_data: Path, name: str) -> Any:
    return json.loads(
        (shared_data / "oneroster" / "classlink-capture" / f"{name}.json").read_bytes()
    )


def test_the_applications_have_what_was_recorded(
    client: httpx2.Client, folder: Path, shared_data: Path
) -> None:
    there = captured(shared_data, "applications")
    with serve(classlink.create_app(folder)) as served:
        answer = getter(client, served, ClassLinkOptions().partner_token)("/applications")
    here = answer.json()
    assert here.keys() == there.keys()
    assert types_of(here["applications"]) == types_of(there["applications"])
    assert not {"x-count", "x-total-count"} & set(answer.headers)


@pytest.mark.parametrize(
    ("path", "key", "file"),
    [("users", "users", "class-students"), ("classes", "classes", "teacher-classes")],
)
def test_the_proxy_answers_with_what_was_recorded(
    get_classlink: Get, shared_data: Path, path: str, key: str, file: str
) -> None:
    answer = get_classlink(f"/{SERVED.application}{BASE}/{path}?limit=1")
    there = types_of(captured(shared_data, file)[key])
    here = types_of(answer.json()[key])
    here.pop("metadata", None)
    assert here == there
    headers = captured(shared_data, "headers-observed")["oneroster_collections"]
    assert headers.keys() <= set(answer.headers)
