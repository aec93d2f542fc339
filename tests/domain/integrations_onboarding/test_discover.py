"""The hourly look at the providers' lists, over HTTP."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from domain.providers.hosts import Hosts
from domain.providers.shares import list_shares
from domain.resources import Resources
from domain.roster.source import Provider
from tests.api.graphql.seed import insert
from tests.builders import small_district
from tests.fakes import classlink, clever
from tests.fakes.classlink_state import Tenant
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.serving import Served, serve
from tests.sources import HOSTS
from worker.discover import discover
from worker.tasks import WorkerContext

pytestmark = pytest.mark.anyio

Row = tuple[str, str, str, bool]


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    return small_district().write(tmp_path / "district")


@pytest.fixture(name="at_classlink")
def fixture_at_classlink(folder: Path) -> Generator[Served]:
    with serve(classlink.create_app(folder)) as served:
        yield served


@pytest.fixture(name="at_clever")
def fixture_at_clever(folder: Path) -> Generator[Served]:
    with serve(clever.create_app(folder)) as served:
        yield served


def classlink_hosts(served: Served, token: str = "fake-classlink-partner") -> Hosts:  # noqa: S107 - of a fake
    return replace(HOSTS, classlink_proxy_url=served.url, classlink_token=token)


def clever_hosts(served: Served) -> Hosts:
    options = served.state.fake.options
    return replace(
        HOSTS,
        clever_api_url=served.url,
        clever_oauth_url=served.url,
        clever_client_id=options.client_id,
        clever_client_secret=options.client_secret,
    )


async def look(worker: Resources, hosts: Hosts) -> list[dict[str, Any]]:
    """What the log has of it, without what is told of single requests."""
    with capture_logs() as logs:
        await discover({"homerow": WorkerContext(replace(worker, hosts=hosts))})
    return [dict(entry) for entry in logs if not entry["event"].startswith("provider_")]


async def rows(superuser: asyncpg.Connection) -> list[Row]:
    found = await superuser.fetch(
        "SELECT provider, external_id, name, is_shared FROM onboarding_requests"
        " ORDER BY provider, external_id"
    )
    return [tuple(row) for row in found]


def requested(*external_ids: str, provider: str = "CLASSLINK") -> list[dict[str, Any]]:
    return [
        {
            "event": "onboarding_requested",
            "log_level": "info",
            "provider": provider,
            "external_id": external_id,
        }
        for external_id in external_ids
    ]


SHARED = [
    ("CLASSLINK", "1001", "Hickory Valley", True),
    ("CLASSLINK", "1004", "Just Arrived", True),
]


async def test_every_usable_application_is_a_request_and_logged_by_its_id_alone(
    at_classlink: Served, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    hosts = classlink_hosts(at_classlink)
    assert await look(worker_resources, hosts) == requested("1001", "1004")
    assert await rows(superuser) == SHARED
    assert await look(worker_resources, hosts) == []
    assert await rows(superuser) == SHARED


async def test_an_application_that_is_switched_off_is_withdrawn(
    at_classlink: Served, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    hosts = classlink_hosts(at_classlink)
    await look(worker_resources, hosts)
    fake = at_classlink.state.fake
    fake.put_tenant(replace(fake.tenants[0], enabled="false"))
    fake.put_tenant(Tenant(2222, "Aspen", "%2FgVa0ed75Gs%43", "b"))
    assert await look(worker_resources, hosts) == [
        *requested("2222"),
        {
            "event": "onboarding_withdrawn",
            "log_level": "warning",
            "provider": "CLASSLINK",
            "external_id": "1001",
        },
    ]
    assert [(row[1], row[3]) for row in await rows(superuser)] == [
        ("1001", False),
        ("1004", True),
        ("2222", True),
    ]


async def test_operators_are_told_of_what_has_changed_once(
    at_classlink: Served, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    for email, role in (("op@homerow.example", "OPERATOR"), ("help@homerow.example", "SUPPORT")):
        await insert(superuser, "operators", name="Op", email=email, role=role)
    hosts = classlink_hosts(at_classlink)
    for _ in range(2):
        await look(worker_resources, hosts)
    fake = at_classlink.state.fake
    fake.put_tenant(replace(fake.tenants[0], enabled="false"))
    await look(worker_resources, hosts)
    mails = await superuser.fetch("SELECT * FROM mail_outbox ORDER BY id")
    assert [(mail["tenant_id"], mail["recipient"], mail["subject"]) for mail in mails] == [
        (None, "op@homerow.example", "Homerow: 2 districts changed sharing at CLASSLINK"),
        (None, "op@homerow.example", "Homerow: 1 district changed sharing at CLASSLINK"),
    ]
    assert "Shared for the first time" in mails[0]["body_text"]
    assert "- Just Arrived (1004)" in mails[0]["body_text"]
    assert "Not shared any more" in mails[1]["body_text"]
    assert "(1001)" in mails[1]["body_text"]


@pytest.mark.parametrize(
    ("kind", "event", "code"),
    [
        (Kind.STATUS, "shares_not_listed", "CONN_SERVER_ERROR"),
        (Kind.WRONG_SHAPE, "shares_not_listed", "CONN_BAD_PAYLOAD"),
        (Kind.HTML, "shares_not_listed", "CONN_BAD_PAYLOAD"),
        (Kind.TRUNCATED, "shares_not_listed", "CONN_BAD_PAYLOAD"),
        (Kind.SAME_PAGE, "shares_not_listed", "CONN_PAGINATION_BROKEN"),
        (Kind.EMPTY, "shares_empty", None),
    ],
)
async def test_a_list_that_cannot_be_read_whole_leaves_everything_as_it_was(
    kind: Kind,
    event: str,
    code: str | None,
    at_classlink: Served,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
) -> None:
    hosts = classlink_hosts(at_classlink)
    await look(worker_resources, hosts)
    at_classlink.state.plan.misbehaviours.append(Misbehaviour(kind, "applications"))
    [entry] = await look(worker_resources, hosts)
    assert (entry["event"], entry["provider"], entry.get("code")) == (event, "CLASSLINK", code)
    assert await rows(superuser) == SHARED


async def test_a_refused_token_of_the_partners_is_logged_without_the_token(
    at_classlink: Served, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    [entry] = await look(worker_resources, classlink_hosts(at_classlink, "outdated"))
    assert entry["code"] == "CONN_AUTH_REJECTED"
    assert "outdated" not in str(entry)
    assert await rows(superuser) == []


async def test_every_clever_token_is_a_request_by_the_districts_name_or_its_id(
    at_clever: Served, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    """The fake lists a second district, whose token opens nothing."""
    hosts, fake = clever_hosts(at_clever), at_clever.state.fake
    await look(worker_resources, hosts)
    found = {row[1]: row[2:] for row in await rows(superuser)}
    assert found.pop(fake.district_id) == ("District", True)
    [(other, facts)] = found.items()
    assert facts == (other, True)
    fake.rotate_token()
    assert await look(worker_resources, hosts) == [
        {
            "event": "district_not_named",
            "log_level": "info",
            "external_id": other,
            "code": "CONN_AUTH_REJECTED",
        }
    ]


async def test_one_providers_failure_is_not_the_others(
    at_classlink: Served,
    at_clever: Served,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
) -> None:
    at_clever.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "tokens"))
    hosts = replace(
        clever_hosts(at_clever),
        classlink_proxy_url=at_classlink.url,
        classlink_token="fake-classlink-partner",  # noqa: S106 - of a fake
    )
    failed, *told = await look(worker_resources, hosts)
    assert (failed["event"], failed["provider"]) == ("shares_not_listed", "CLEVER")
    assert told == requested("1001", "1004")
    assert await rows(superuser) == SHARED


async def test_without_keys_of_the_platforms_nobody_is_asked(
    at_classlink: Served, at_clever: Served, worker_resources: Resources
) -> None:
    hosts = replace(
        HOSTS,
        clever_api_url=at_clever.url,
        clever_oauth_url=at_clever.url,
        classlink_proxy_url=at_classlink.url,
    )
    assert await look(worker_resources, hosts) == []
    assert at_classlink.state.log == at_clever.state.log == []


async def test_a_list_of_several_pages_is_read_to_its_end(at_classlink: Served) -> None:
    fake = at_classlink.state.fake
    for number in range(3000, 3025):
        fake.put_tenant(Tenant(number, f"District {number}", f"a{number}%43", "b"))
    at_classlink.state.plan.misbehaviours.append(
        Misbehaviour(Kind.CLAMP, "applications", amount=10)
    )
    shares = await list_shares(Provider.CLASSLINK, classlink_hosts(at_classlink))
    assert {share.external_id for share in shares} == {"1001", "1004"} | {
        str(number) for number in range(3000, 3025)
    }


async def test_names_are_kept_as_texts_that_can_be_stored(at_classlink: Served) -> None:
    fake = at_classlink.state.fake
    fake.put_tenant(Tenant(1001, " Hick\x00ory\n", "Hk7%2Fq%43Zt09", "b"))
    fake.put_tenant(Tenant(1004, "", "Nw4%2Fe%45Kk88", "b"))
    shares = await list_shares(Provider.CLASSLINK, classlink_hosts(at_classlink))
    assert {share.external_id: share.name for share in shares} == {
        "1001": "Hickory",
        "1004": None,
    }
