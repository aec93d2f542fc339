"""The ways into a Roster Server, over HTTP, at a proxy that compares every byte."""

import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.providers.classlink.access import access_of
from domain.providers.classlink.applications import find_application, read_applications
from domain.providers.hosts import Hosts
from domain.providers.http.answer import Answer
from domain.providers.http.client import Client
from domain.providers.oneroster_rest.access import Access
from domain.roster.source import (
    CredentialsRejected,
    Provider,
    RosterMoved,
    RosterUnreadable,
    SourceConfig,
    SourceUnavailable,
)
from domain.validation.codes import Code
from tests.builders import small_district
from tests.fakes.classlink import create_app
from tests.fakes.classlink_state import SERVED, ClassLinkFake, ClassLinkOptions
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.oneroster_auth import Auth
from tests.fakes.serving import Served, serve
from tests.sources import HOSTS

pytestmark = pytest.mark.anyio

PARTNER = "fake-classlink-partner"
ORGS = "/Hk7%2Fq%43Zt09/ims/oneroster/v1p1/orgs"


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    return small_district().write(tmp_path / "district")


@pytest.fixture(name="served")
def fixture_served(folder: Path) -> Generator[Served]:
    with serve(create_app(folder)) as served:
        yield served


@pytest.fixture(name="fake")
def fixture_fake(served: Served) -> ClassLinkFake:
    fake: ClassLinkFake = served.state.fake
    return fake


@pytest.fixture(name="hosts")
def fixture_hosts(served: Served) -> Hosts:
    return replace(HOSTS, classlink_proxy_url=served.url, classlink_token=PARTNER)


def configured(credentials: Mapping[str, str] | None = None, /, **settings: Any) -> SourceConfig:
    return SourceConfig(
        Provider.CLASSLINK, settings, date(2026, 10, 1), credentials=credentials or {}
    )


BY_TENANT = configured(tenant_id="1001")


async def ask(access: Access, hosts: Hosts, *, times: int = 1) -> list[int]:
    """The statuses of so many requests for schools, within one reading."""

    def decode(answer: Answer) -> int:
        assert json.loads(answer.body)["orgs"]
        return answer.status

    async with Client(allow_private=True, patience=hosts.patience) as client:
        endpoint = await access.open(client)
        url = f"{endpoint.base_url}/orgs?limit=5&offset=0"
        return [
            await client.get(url, authorizer=endpoint.authorizer, decode=decode)
            for _ in range(times)
        ]


async def fingerprint(access: Access, hosts: Hosts) -> str:
    async with Client(allow_private=True, patience=hosts.patience) as client:
        return await access.fingerprint(client)


def paths(served: Served) -> list[str]:
    return [logged.path for logged in served.state.log]


async def test_the_listed_id_is_sent_byte_for_byte(served: Served, hosts: Hosts) -> None:
    assert await ask(access_of(BY_TENANT, hosts), hosts) == [200]
    assert paths(served) == ["/applications", "/applications", ORGS]
    partner, _, district = (logged.headers["authorization"] for logged in served.state.log)
    assert partner == f"Bearer {PARTNER}"
    assert district == f"Bearer {SERVED.bearer}"


async def test_the_list_is_read_once_for_all_readings(served: Served, hosts: Hosts) -> None:
    access = access_of(BY_TENANT, hosts)
    assert await fingerprint(access, hosts) == f"{served.url}/Hk7%2Fq%43Zt09"
    await ask(access, hosts)
    await ask(access, hosts)
    assert paths(served) == ["/applications", "/applications", ORGS, ORGS]


@pytest.mark.parametrize("tenant_id", ["1001", 1001, " 1001 "])
async def test_a_tenants_number_is_compared_as_a_text(tenant_id: Any, hosts: Hosts) -> None:
    assert await ask(access_of(configured(tenant_id=tenant_id), hosts), hosts) == [200]


async def test_the_tenants_own_partner_token_goes_before_the_platforms(hosts: Hosts) -> None:
    own = configured({"token": PARTNER}, tenant_id="1001")
    assert await ask(access_of(own, replace(hosts, classlink_token="other")), hosts) == [200]  # noqa: S106 - of a fake
    assert await ask(access_of(own, replace(hosts, classlink_token=None)), hosts) == [200]


async def test_an_id_and_a_bearer_by_hand_need_no_list(served: Served, hosts: Hosts) -> None:
    by_hand = configured({"token": SERVED.bearer}, application_id=SERVED.application)
    access = access_of(by_hand, replace(hosts, classlink_token=None))
    assert await ask(access, hosts) == [200]
    assert paths(served) == [ORGS]


async def test_a_refused_bearer_by_hand_is_not_tried_twice(served: Served, hosts: Hosts) -> None:
    by_hand = configured({"token": "outdated"}, application_id=SERVED.application)
    with pytest.raises(CredentialsRejected) as caught:
        await ask(access_of(by_hand, hosts), hosts)
    assert caught.value.code is Code.CONN_AUTH_REJECTED
    assert paths(served) == [ORGS]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"enabled": "false"}, "The application is not enabled at ClassLink (enabled: 'false')."),
        ({"enabled": ""}, "The application is not enabled at ClassLink (enabled: nothing)."),
        ({"status": "Inactive"}, "The district is not active at ClassLink ('Inactive')."),
        (
            {"bearer": ""},
            "ClassLink lists the district without an application id or a bearer token.",
        ),
    ],
)
async def test_an_application_that_cannot_be_used_says_why(
    change: dict[str, str], reason: str, served: Served, fake: ClassLinkFake, hosts: Hosts
) -> None:
    fake.put_tenant(replace(SERVED, **change))  # type: ignore[arg-type]
    with pytest.raises(CredentialsRejected) as caught:
        await ask(access_of(BY_TENANT, hosts), hosts)
    assert (caught.value.code, str(caught.value)) == (Code.CONN_DISCONNECTED, reason)
    assert set(paths(served)) == {"/applications"}


async def test_a_district_that_is_not_listed_is_disconnected(hosts: Hosts) -> None:
    with pytest.raises(CredentialsRejected) as caught:
        await ask(access_of(configured(tenant_id="100"), hosts), hosts)
    assert caught.value.code is Code.CONN_DISCONNECTED
    assert "does not list the district with the tenant id '100'" in str(caught.value)


async def test_of_several_applications_of_a_district_the_newest_usable_one_counts(
    fake: ClassLinkFake, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake numbers its applications in the order of their tenants, so here they are told."""
    listed = [
        application_row(7, "older", bearer="b7"),
        application_row(30, "off", enabled="false"),
        application_row(21, "newest", bearer="b21"),
        application_row(5, "oldest"),
    ]
    monkeypatch.setattr("tests.fakes.classlink._application", lambda tenant: tenant)
    fake.tenants = listed  # type: ignore[assignment]
    assert (await fingerprint(access_of(BY_TENANT, hosts), hosts)).endswith("/newest")
    for row in listed:
        row["enabled"] = "False"
    with pytest.raises(CredentialsRejected, match="enabled: 'False'"):
        await fingerprint(access_of(BY_TENANT, hosts), hosts)


def application_row(number: int, path_id: str, **values: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "tenant_id": 1001,
        "tenant_name": "Hickory Valley",
        "bearer": "b",
        "enabled": "TRUE",
        "tenant_status": "Active",
        "oneroster_application_id": path_id,
    }
    return row | values


async def test_a_bearer_that_was_exchanged_is_read_anew(
    served: Served, fake: ClassLinkFake, hosts: Hosts
) -> None:
    served.state.plan.misbehaviours.append(
        Misbehaviour(Kind.TOKEN_REVOKED, "orgs", first=2, times=1)
    )
    assert await ask(access_of(BY_TENANT, hosts), hosts, times=3) == [200, 200, 200]
    lists = ["/applications", "/applications"]
    assert paths(served) == [*lists, ORGS, ORGS, *lists, ORGS, ORGS]
    assert fake.tenants[0].bearer != SERVED.bearer


async def test_a_refused_bearer_that_is_listed_still_means_that_sharing_was_switched_off(
    served: Served, hosts: Hosts
) -> None:
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "orgs", amount=401))
    with pytest.raises(CredentialsRejected) as caught:
        await ask(access_of(BY_TENANT, hosts), hosts)
    assert caught.value.code is Code.CONN_AUTH_REJECTED
    assert "the district has switched sharing off" in str(caught.value)
    assert SERVED.bearer not in str(caught.value)
    assert paths(served).count(ORGS) == 1


async def test_a_district_that_is_switched_off_while_it_is_read_says_so(
    served: Served, fake: ClassLinkFake, hosts: Hosts
) -> None:
    access = access_of(BY_TENANT, hosts)
    await ask(access, hosts)
    fake.put_tenant(replace(SERVED, status="Inactive"))
    with pytest.raises(CredentialsRejected, match="not active at ClassLink") as caught:
        await ask(access, hosts)
    assert caught.value.code is Code.CONN_DISCONNECTED


async def test_a_district_that_got_another_application_is_read_from_the_beginning(
    served: Served, fake: ClassLinkFake, hosts: Hosts
) -> None:
    access = access_of(BY_TENANT, hosts)
    await ask(access, hosts)
    fake.put_tenant(replace(SERVED, application="New%2F%43", bearer="another"))
    refusal = Misbehaviour(Kind.STATUS, "orgs", first=2, times=1, amount=401)
    served.state.plan.misbehaviours.append(refusal)
    with pytest.raises(RosterMoved) as caught:
        await ask(access, hosts)
    assert caught.value.code is Code.CONN_MOVED
    assert await ask(access, hosts) == [200]
    assert (await fingerprint(access, hosts)).endswith("/New%2F%43")


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (Kind.STATUS, SourceUnavailable, Code.CONN_SERVER_ERROR),
        (Kind.HTML, RosterUnreadable, Code.CONN_BAD_PAYLOAD),
        (Kind.WRONG_SHAPE, RosterUnreadable, Code.CONN_BAD_PAYLOAD),
        (Kind.RESET, RosterUnreadable, Code.CONN_INTERRUPTED),
        (Kind.SAME_PAGE, RosterUnreadable, Code.CONN_PAGINATION_BROKEN),
        (Kind.EMPTY, CredentialsRejected, Code.CONN_DISCONNECTED),
    ],
)
async def test_a_list_that_fails_has_the_code_of_its_failure(
    kind: Kind,
    error: type[SourceUnavailable | RosterUnreadable | CredentialsRejected],
    code: Code,
    served: Served,
    hosts: Hosts,
) -> None:
    served.state.plan.misbehaviours.append(Misbehaviour(kind, "applications"))
    with pytest.raises(error) as caught:
        await ask(access_of(BY_TENANT, hosts), hosts)
    assert caught.value.code is code


async def test_a_list_that_fails_for_a_while_is_read_all_the_same(
    served: Served, hosts: Hosts
) -> None:
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "applications", times=2))
    assert await ask(access_of(BY_TENANT, hosts), hosts) == [200]


@pytest.mark.parametrize("path_id", ["/gVa0ed75Gs", "a?b", "a#b", "a%2", "a%zz", "a b", "ü"])
def test_an_application_id_that_is_no_part_of_a_path_is_refused(path_id: str, hosts: Hosts) -> None:
    with pytest.raises(CredentialsRejected) as caught:
        access_of(configured({"token": "b"}, application_id=path_id), hosts)
    assert caught.value.code is Code.CONN_ADDRESS_REFUSED


@pytest.mark.parametrize(
    "config",
    [
        configured(),
        configured({"token": "b"}),
        configured({"key": "k", "secret": "s"}),
        configured(base_url="https://district.example"),
        configured({"token": "b"}, base_url="https://district.example"),
    ],
)
def test_an_integration_that_leads_nowhere_says_what_it_takes(
    config: SourceConfig, hosts: Hosts
) -> None:
    with pytest.raises(CredentialsRejected, match="takes a tenant id and the partner's token"):
        access_of(config, hosts)


def test_without_a_partners_token_a_tenant_id_leads_nowhere(hosts: Hosts) -> None:
    with pytest.raises(CredentialsRejected, match="partner's token"):
        access_of(BY_TENANT, replace(hosts, classlink_token=None))


async def test_no_secret_is_shown_by_what_holds_it(hosts: Hosts) -> None:
    partner, by_hand = (
        access_of(BY_TENANT, hosts),
        access_of(configured({"token": "hidden"}, application_id="a"), hosts),
    )
    direct = access_of(
        configured({"key": "k", "secret": "hidden"}, base_url="https://district.example"), hosts
    )
    await fingerprint(partner, hosts)
    shown = f"{partner!r} {by_hand!r} {direct!r}"
    for secret in (PARTNER, SERVED.bearer, "hidden"):
        assert secret not in shown


@pytest.mark.parametrize("auth", [Auth.OAUTH1_SHA256, Auth.OAUTH1_SHA1])
@pytest.mark.parametrize("ending", ["", "/", "/ims/oneroster/v1p1", "/ims/oneroster/v1p1/"])
async def test_a_districts_own_server_is_signed_for_in_the_way_that_it_takes(
    auth: Auth, ending: str, folder: Path
) -> None:
    with serve(create_app(folder, options=ClassLinkOptions(direct_auth=auth))) as served:
        options = served.state.fake.options
        config = configured(
            {"key": options.key, "secret": options.secret}, base_url=f"{served.url}/direct{ending}"
        )
        assert await ask(access_of(config, HOSTS), HOSTS, times=3) == [200] * 3
        orgs = "/direct/ims/oneroster/v1p1/orgs"
        # What was refused once is not tried with every request.
        assert paths(served) == [orgs] * (3 if auth is Auth.OAUTH1_SHA256 else 4)


async def test_a_wrong_secret_is_tried_in_both_ways_and_then_refused(
    served: Served, fake: ClassLinkFake, hosts: Hosts
) -> None:
    config = configured(
        {"key": fake.options.key, "secret": "wrong"}, base_url=f"{served.url}/direct"
    )
    with pytest.raises(CredentialsRejected) as caught:
        await ask(access_of(config, hosts), hosts)
    assert caught.value.code is Code.CONN_AUTH_REJECTED
    signed = [logged.headers["authorization"] for logged in served.state.log]
    assert ["HMAC-SHA256" in text for text in signed] == [True, False]
    assert ["HMAC-SHA1" in text for text in signed] == [False, True]


async def test_the_recorded_list_is_read(shared_data: Path) -> None:
    recorded = (shared_data / "oneroster" / "classlink-capture" / "applications.json").read_bytes()

    async def answer(request: Request) -> Response:
        is_first = request.query_params["offset"] == "0"
        return Response(recorded if is_first else b'{"status":1,"applications":[]}')

    with serve(Starlette(routes=[Route("/applications", answer)])) as served:
        async with Client(allow_private=True, patience=HOSTS.patience) as client:
            applications = await read_applications(client, served.url, PARTNER)
    [application] = applications
    assert (application.tenant_id, application.path_id) == ("2222", "%2FgVa0ed75Gs%43")
    assert find_application(applications, "2222") is application
