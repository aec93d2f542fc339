"""Who gets into the OneRoster fake: tokens, signatures, bearers."""

from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes import oauth1
from tests.fakes.oneroster import OneRosterOptions, create_app
from tests.fakes.oneroster_auth import Auth, Credentials, scope_of
from tests.fakes.samples import write_sample
from tests.fakes.serving import Served, serve

V1_1 = "/ims/oneroster/v1p1"
V1_2 = "/ims/oneroster/rostering/v1p2"
GIVEN = Credentials()
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def client() -> Generator[httpx2.Client]:
    with httpx2.Client() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "district")


def token_request(
    client: httpx2.Client, served: Served, scope: str, **changes: Any
) -> httpx2.Response:
    given = {
        "data": {"grant_type": "client_credentials", "scope": scope},
        "auth": (GIVEN.key, GIVEN.secret),
        **changes,
    }
    return client.post(f"{served.url}/pre/fix/token", **given)


CORE_1_1 = scope_of("1.1", "roster-core.readonly")
CORE_1_2 = scope_of("1.2", "roster-core.readonly")


def behind(folder: Path, **changes: Any) -> AbstractContextManager[Served]:
    credentials = replace(Credentials(clock=lambda: NOW), **changes)
    return serve(
        create_app(folder, options=OneRosterOptions(prefix="/pre/fix", credentials=credentials))
    )


def read_orgs(client: httpx2.Client, served: Served, token: str, base: str = V1_2) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return client.get(f"{served.url}/pre/fix{base}/orgs", headers=headers).status_code


def test_a_token_is_given_for_key_and_secret(client: httpx2.Client, folder: Path) -> None:
    with behind(folder) as served:
        answer = token_request(client, served, CORE_1_2)
        body = answer.json()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
        assert read_orgs(client, served, body["access_token"]) == 200
        assert read_orgs(client, served, body["access_token"], V1_1) == 403
        assert read_orgs(client, served, "wrong") == 401
        wrong = token_request(client, served, CORE_1_2, auth=(GIVEN.key, "wrong"))
        assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
        assert served.state.plan.count("tokens") == 2


def test_a_scope_that_is_not_granted_fails_the_token(client: httpx2.Client, folder: Path) -> None:
    with behind(folder, scopes=frozenset({CORE_1_1})) as served:
        refused = token_request(client, served, CORE_1_2)
        assert (refused.status_code, refused.json()) == (400, {"error": "invalid_scope"})
        token = token_request(client, served, CORE_1_1).json()["access_token"]
        assert read_orgs(client, served, token, V1_1) == 200


def test_key_and_secret_go_where_the_server_wants_them(client: httpx2.Client, folder: Path) -> None:
    with behind(folder, auth=Auth.OAUTH2_BODY) as served:
        assert token_request(client, served, CORE_1_2).status_code == 401
        form = {
            "grant_type": "client_credentials",
            "scope": CORE_1_2,
            "client_id": GIVEN.key,
            "client_secret": GIVEN.secret,
        }
        assert token_request(client, served, CORE_1_2, data=form, auth=None).status_code == 200


def test_tokens_expire_and_are_revoked(client: httpx2.Client, folder: Path) -> None:
    now = [NOW]
    with behind(folder, expires_in=60, clock=lambda: now[0]) as served:
        token = token_request(client, served, CORE_1_2).json()["access_token"]
        now[0] = NOW + 59
        assert read_orgs(client, served, token) == 200
        now[0] = NOW + 60
        assert read_orgs(client, served, token) == 401
        token = token_request(client, served, CORE_1_2).json()["access_token"]
        served.state.fake.guard.revoke()
        assert read_orgs(client, served, token) == 401


def test_base_strings_are_those_of_the_rfc() -> None:
    parameters = [
        ("c2", ""),
        ("a3", "2 q"),
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ]
    url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
    assert oauth1.base_string("post", url, parameters) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q"
        "%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_"
        "key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m"
        "ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk"
        "9d7dh3k39sjv7"
    )


def test_signatures_are_those_of_the_rfc() -> None:
    parameters = [
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
        ("oauth_token", "nnch734d00sl2jdk"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131202"),
        ("oauth_nonce", "chapoH"),
    ]
    url = "http://photos.example.net/photos?file=vacation.jpg&size=original"
    signature = oauth1.sign(
        oauth1.base_string("GET", url, parameters),
        method="HMAC-SHA1",
        secret="kd94hf93k423kf44",  # noqa: S106 - of the RFC
        token_secret="pfkkdhi9sl3r4s00",  # noqa: S106 - of the RFC
    )
    assert signature == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


def signed(url: str, method: str = "HMAC-SHA1", **changes: str) -> dict[str, str]:
    """An Authorization header; `changes` are made before it is signed."""
    parameters = {
        "oauth_consumer_key": GIVEN.key,
        "oauth_nonce": "n1",
        "oauth_signature_method": method,
        "oauth_timestamp": str(int(NOW)),
        **changes,
    }
    base = oauth1.base_string("GET", url, parameters.items())
    signature = oauth1.sign(base, method=method, secret=GIVEN.secret)
    pairs = {**parameters, "oauth_signature": signature}.items()
    header = ", ".join(f'{name}="{oauth1.escape(value)}"' for name, value in pairs)
    return {"Authorization": f"OAuth {header}"}


@pytest.mark.parametrize(
    ("auth", "method"),
    [(Auth.OAUTH1_SHA1, "HMAC-SHA1"), (Auth.OAUTH1_SHA256, "HMAC-SHA256")],
)
def test_a_signed_request_is_taken_once(
    client: httpx2.Client, folder: Path, auth: Auth, method: str
) -> None:
    query = "filter=username%3D%27ann%27&limit=10"
    with behind(folder, auth=auth) as served:
        url = f"{served.url}/pre/fix{V1_1}/users?{query}"
        headers = signed(url, method, oauth_version="1.0")
        (found,) = client.get(url, headers=headers).json()["users"]
        assert found["sourcedId"] == "U1"
        again = client.get(url, headers=headers)
        assert again.status_code == 401
        assert again.json()["imsx_description"] == "the nonce was used before"
        assert client.get(url).status_code == 401


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"oauth_timestamp": str(int(NOW) - 301)}, "the timestamp is too far from now"),
        ({"oauth_consumer_key": "other"}, "the key is unknown"),
        ({"oauth_signature_method": "HMAC-SHA256"}, "another method is wanted"),
        ({"oauth_version": "2.0"}, "the version is not 1.0"),
    ],
)
def test_wrongly_signed_requests_are_refused(
    client: httpx2.Client, folder: Path, changes: dict[str, str], fault: str
) -> None:
    with behind(folder, auth=Auth.OAUTH1_SHA1) as served:
        url = f"{served.url}/pre/fix{V1_1}/users"
        answer = client.get(url, headers=signed(url, **changes))
        assert (answer.status_code, answer.json()["imsx_description"]) == (401, fault)


def test_a_space_that_is_sent_as_a_plus_breaks_the_signature(
    client: httpx2.Client, folder: Path
) -> None:
    with behind(folder, auth=Auth.OAUTH1_SHA1) as served:
        url = f"{served.url}/pre/fix{V1_1}/users?filter=username%3D%27a%20b%27"
        answer = client.get(url.replace("%20", "+"), headers=signed(url))
        assert answer.json()["imsx_description"] == "the signature is wrong"


def test_a_static_bearer_is_taken_until_it_is_changed(client: httpx2.Client, folder: Path) -> None:
    with behind(folder, auth=Auth.BEARER) as served:
        assert read_orgs(client, served, GIVEN.token, V1_1) == 200
        served.state.fake.guard.revoke()
        assert read_orgs(client, served, GIVEN.token, V1_1) == 401
        assert read_orgs(client, served, served.state.fake.guard.token, V1_1) == 200
