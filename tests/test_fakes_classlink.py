"""The ClassLink fake against what is known of ClassLink."""

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes import oauth1
from tests.fakes.classlink import create_app
from tests.fakes.classlink_state import BASE, SERVED, TENANTS, ClassLinkOptions, Tenant
from tests.fakes.samples import write_sample
from tests.fakes.serving import Served, serve

Get = Callable[..., httpx2.Response]

OPTIONS = ClassLinkOptions()
NOW = 1_800_000_000
USERS = f"/{SERVED.application}{BASE}/users"


@pytest.fixture(scope="module")
def client() -> Generator[httpx2.Client]:
    with httpx2.Client() as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path) -> Generator[Served]:
    folder = write_sample(tmp_path / "district")
    options = replace(OPTIONS, clock=lambda: float(NOW))
    with serve(create_app(folder, options=options)) as fake:
        yield fake


@pytest.fixture
def get(client: httpx2.Client, served: Served) -> Get:
    """With the partner's bearer, unless another is given."""

    def get(path: str, bearer: str = OPTIONS.partner_token) -> httpx2.Response:
        return client.get(served.url + path, headers={"Authorization": f"Bearer {bearer}"})

    return get


def applications(get: Get, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(f"/applications{query}").json()["applications"]
    return found


def test_applications_are_listed_to_the_partner_only(get: Get) -> None:
    listed = applications(get)
    assert [item["tenant_id"] for item in listed] == [1001, 1002, 1003, 1004]
    assert [item["enabled"] for item in listed] == ["true", "false", "true", "true"]
    assert [item["tenant_status"] for item in listed] == ["Active", "Active", "Inactive", "Active"]
    assert get("/applications", SERVED.bearer).status_code == 401


def test_applications_are_paged_without_a_total(get: Get) -> None:
    answer = get("/applications?limit=3&offset=3")
    assert [item["tenant_id"] for item in answer.json()["applications"]] == [1004]
    assert not {"x-count", "x-total-count"} & set(answer.headers)
    assert applications(get, "?limit=3&offset=4") == []
    assert get("/applications?limit=0").status_code == 400


def test_the_proxy_serves_with_the_districts_bearer(get: Get) -> None:
    answer = get(f"{USERS}?limit=5&sort=sourcedId&orderBy=asc", SERVED.bearer)
    assert [item["sourcedId"] for item in answer.json()["users"]] == ["", "G1", "U1", "U2", "U2"]
    assert (answer.headers["x-count"], answer.headers["x-total-count"]) == ("5", "12")
    assert answer.headers["x-next-page-token"] == ""
    assert "link" not in answer.headers
    assert get(USERS).status_code == 401


def test_booleans_are_words(get: Get) -> None:
    ann = get(f"{USERS}/U1", SERVED.bearer).json()["user"]
    assert (ann["enabledUser"], ann["role"]) == ("true", "student")


@pytest.mark.parametrize(
    "application",
    [
        SERVED.application.replace("%", "%25"),
        SERVED.application.replace("%43", "C"),
        SERVED.application.replace("%2F", "/"),
        SERVED.application.replace("%2F", "%2f"),
    ],
)
def test_an_application_id_that_is_escaped_otherwise_leads_nowhere(
    get: Get, application: str
) -> None:
    assert get(f"/{application}{BASE}/users", SERVED.bearer).status_code == 404


def test_the_newer_version_is_not_on_the_proxy(get: Get) -> None:
    path = f"/{SERVED.application}/ims/oneroster/rostering/v1p2/users"
    assert get(path, SERVED.bearer).status_code == 404


@pytest.mark.parametrize("tenant", TENANTS[1:3], ids=["switched off", "inactive"])
def test_a_district_that_shares_no_more_refuses_its_bearer(get: Get, tenant: Tenant) -> None:
    assert get(f"/{tenant.application}{BASE}/users", tenant.bearer).status_code == 401


def test_a_bearer_can_be_changed(served: Served, get: Get) -> None:
    served.state.fake.rotate_bearer()
    assert get(USERS, SERVED.bearer).status_code == 401
    bearer = applications(get)[0]["bearer"]
    assert bearer != SERVED.bearer
    assert get(USERS, bearer).status_code == 200


def test_districts_come_and_change(served: Served, get: Get) -> None:
    served.state.fake.put_tenant(replace(SERVED, enabled="false"))
    served.state.fake.put_tenant(replace(SERVED, tenant_id=1005, application="New%2F1"))
    listed = [(item["tenant_id"], item["enabled"]) for item in applications(get)]
    assert listed[0] == (1001, "false")
    assert listed[-1] == (1005, "true")


def test_the_revision_changes_with_what_is_shared(served: Served, get: Get) -> None:
    revisions = [get(USERS, SERVED.bearer).headers["x-perm-rev"] for _ in range(2)]
    served.state.fake.move_roster()
    revisions.append(get(USERS, SERVED.bearer).headers["x-perm-rev"])
    assert revisions[0] == revisions[1]
    assert revisions[1] != revisions[2]


def test_key_and_secret_of_a_districts_server_can_be_asked_for(served: Served, get: Get) -> None:
    answer = get(f"/applications/{SERVED.application}/server").json()
    assert answer == {
        "server": {
            "endpoint_url": f"{served.url}/direct",
            "client_id": OPTIONS.key,
            "client_secret": OPTIONS.secret,
        }
    }


@pytest.mark.parametrize(("method", "status"), [("HMAC-SHA256", 200), ("HMAC-SHA1", 401)])
def test_a_districts_server_wants_signatures(
    client: httpx2.Client, served: Served, method: str, status: int
) -> None:
    url = f"{served.url}/direct{BASE}/orgs?limit=10"
    parameters = {
        "oauth_consumer_key": OPTIONS.key,
        "oauth_nonce": "n1",
        "oauth_signature_method": method,
        "oauth_timestamp": str(NOW),
    }
    base = oauth1.base_string("GET", url, parameters.items())
    signature = oauth1.sign(base, method=method, secret=OPTIONS.secret)
    pairs = {**parameters, "oauth_signature": signature}.items()
    header = "OAuth " + ",".join(f'{name}="{oauth1.escape(value)}"' for name, value in pairs)
    assert client.get(url, headers={"Authorization": header}).status_code == status


def test_what_was_asked_is_noted_with_its_escapes(served: Served, get: Get) -> None:
    get(USERS, SERVED.bearer)
    get("/applications")
    assert [asked.path for asked in served.state.log] == [USERS, "/applications"]
    assert [asked.collection for asked in served.state.log] == ["users", "applications"]
