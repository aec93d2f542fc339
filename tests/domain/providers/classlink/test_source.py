"""Whole rosters through ClassLink, over HTTP."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from domain.providers.classlink.source import ClassLinkSource
from domain.providers.hosts import Hosts
from domain.providers.oneroster_csv.source import OneRosterCsvSource
from domain.providers.vocabulary import DEFAULT_ROLE_MAP
from domain.roster.records import RecordType
from domain.roster.source import (
    Checkpoint,
    CheckStep,
    CredentialsRejected,
    Page,
    Provider,
    RosterMoved,
    RosterSource,
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

TODAY = date(2026, 10, 1)
COLLECTIONS = ("orgs", "academicSessions", "courses", "users", "classes", "enrollments")
SHA1, SHA256 = Auth.OAUTH1_SHA1, Auth.OAUTH1_SHA256


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
    return replace(
        HOSTS,
        classlink_proxy_url=served.url,
        classlink_token="fake-classlink-partner",  # noqa: S106 - of a fake
    )


def opened(
    hosts: Hosts, credentials: Mapping[str, str] | None = None, /, **settings: Any
) -> RosterSource:
    """By the tenant's id, unless the settings say otherwise."""
    config = SourceConfig(
        Provider.CLASSLINK, settings or {"tenant_id": "1001"}, TODAY, credentials=credentials or {}
    )
    return ClassLinkSource(config, hosts)


async def read(source: RosterSource, after: Checkpoint | None = None) -> list[Page]:
    return [page async for page in source.pages(after)]


def records(pages: Sequence[Page]) -> dict[RecordType, list[Any]]:
    """By the ids that the provider gave them."""
    return {
        kind: sorted(
            (record for page in pages if page.record_type is kind for record in page.records),
            key=lambda record: str(record.source_id),
        )
        for kind in RecordType
    }


async def expected(folder: Path) -> dict[RecordType, list[Any]]:
    source = OneRosterCsvSource(folder, role_map=DEFAULT_ROLE_MAP, today=TODAY)
    return records([page async for page in source.pages()])


def shown(steps: Sequence[CheckStep]) -> list[tuple[str, bool]]:
    return [(step.name, step.is_ok) for step in steps]


async def test_a_roster_is_the_same_as_by_files(folder: Path, hosts: Hosts) -> None:
    pages = await read(opened(hosts))
    assert records(pages) == await expected(folder)
    assert sorted(page.record_type for page in pages if page.is_last) == sorted(RecordType)


async def test_a_roster_is_the_same_by_hand(folder: Path, hosts: Hosts) -> None:
    source = opened(
        replace(hosts, classlink_token=None),
        {"token": SERVED.bearer},
        application_id=SERVED.application,
    )
    assert records(await read(source)) == await expected(folder)


@pytest.mark.parametrize("auth", [SHA256, SHA1])
async def test_a_roster_is_the_same_at_the_districts_own_server(auth: Auth, folder: Path) -> None:
    with serve(create_app(folder, options=ClassLinkOptions(direct_auth=auth))) as served:
        options = served.state.fake.options
        source = opened(
            HOSTS,
            {"key": options.key, "secret": options.secret},
            base_url=f"{served.url}/direct",
        )
        assert records(await read(source)) == await expected(folder)
        signed = [entry.headers["authorization"] for entry in served.state.log]
        # The first request finds out how the server wants to be asked; the rest know it.
        begun = 1 if auth is SHA1 else 0
        method = "HMAC-SHA1" if auth is SHA1 else "HMAC-SHA256"
        assert all(f'"{method}"' in text for text in signed[begun:])
        assert all('"HMAC-SHA256"' in text for text in signed[:begun])


async def test_every_checkpoint_leads_on_to_the_rest(folder: Path, hosts: Hosts) -> None:
    source = opened(hosts)
    pages = await read(source)
    whole = await expected(folder)
    for number, page in enumerate(pages):
        assert page.checkpoint["x-perm-rev"] == pages[0].checkpoint["x-perm-rev"]
        rest = await read(source, page.checkpoint)
        assert records([*pages[: number + 1], *rest]) == whole


@pytest.mark.parametrize("collection", COLLECTIONS[1:])
async def test_a_change_of_sharing_while_it_is_read_ends_the_reading(
    collection: str, served: Served, hosts: Hosts
) -> None:
    served.state.plan.misbehaviours.append(
        Misbehaviour(Kind.ROSTER_MOVED, collection, first=1, times=1)
    )
    source = opened(hosts)
    with pytest.raises(RosterMoved) as caught:
        await read(source)
    assert caught.value.code is Code.CONN_MOVED
    assert records(await read(source))[RecordType.USER]


async def test_a_change_of_sharing_between_two_readings_ends_the_second(
    fake: ClassLinkFake, hosts: Hosts
) -> None:
    """The one that goes on behind a checkpoint of the first."""
    async with aclosing(opened(hosts).pages()) as pages:  # type: ignore[type-var]
        first = await anext(pages)
    fake.move_roster()
    with pytest.raises(RosterMoved):
        await read(opened(hosts), first.checkpoint)


async def test_pages_that_tell_of_no_revision_are_read_all_the_same(
    folder: Path, hosts: Hosts, fake: ClassLinkFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.service, "_vendor_headers", lambda _shown: {})
    pages = await read(opened(hosts))
    assert records(pages) == await expected(folder)
    assert all("x-perm-rev" not in page.checkpoint for page in pages)


@pytest.mark.parametrize("collection", COLLECTIONS)
async def test_a_bearer_that_is_exchanged_while_it_is_read_is_read_anew(
    collection: str, folder: Path, served: Served, hosts: Hosts
) -> None:
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.TOKEN_REVOKED, collection, times=1))
    assert records(await read(opened(hosts))) == await expected(folder)


async def test_the_fingerprint_is_of_the_application(fake: ClassLinkFake, hosts: Hosts) -> None:
    before = await opened(hosts).fingerprint()
    assert await opened(hosts).fingerprint() == before
    fake.rotate_bearer()
    fake.move_roster()  # the checkpoint knows about that
    assert await opened(hosts).fingerprint() == before
    fake.put_tenant(replace(SERVED, application="New%2F%43"))
    assert await opened(hosts).fingerprint() != before
    assert await opened(hosts, tenant_id="1004").fingerprint() != before


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (Kind.STATUS, SourceUnavailable, Code.CONN_SERVER_ERROR),
        (Kind.HTML, RosterUnreadable, Code.CONN_BAD_PAYLOAD),
    ],
)
async def test_a_collection_that_cannot_be_read_fails_the_reading(
    kind: Kind,
    error: type[SourceUnavailable | RosterUnreadable],
    code: Code,
    served: Served,
    hosts: Hosts,
) -> None:
    served.state.plan.misbehaviours.append(Misbehaviour(kind, "users"))
    with pytest.raises(error) as caught:
        await read(opened(hosts))
    assert caught.value.code is code


async def test_a_collection_that_is_refused_for_good_means_that_sharing_was_switched_off(
    served: Served, hosts: Hosts
) -> None:
    served.state.plan.misbehaviours.append(Misbehaviour(Kind.STATUS, "users", amount=401))
    with pytest.raises(CredentialsRejected, match="has switched sharing off") as caught:
        await read(opened(hosts))
    assert caught.value.code is Code.CONN_AUTH_REJECTED


async def test_a_check_begins_with_the_list_and_the_application(
    served: Served, hosts: Hosts
) -> None:
    steps = await opened(hosts).check()
    assert [step.message for step in steps[:2]] == [
        "ClassLink lists 4 applications.",
        "That of Hickory Valley is there, enabled and active.",
    ]
    assert shown(steps)[:4] == [
        ("applications", True),
        ("application", True),
        ("address", True),
        ("credentials", True),
    ]
    assert all(step.is_ok for step in steps)
    assert {*COLLECTIONS} <= {step.name for step in steps}
    # Once is enough: a page of them, and the empty one behind it.
    assert served.state.plan.count("applications") == 2


async def test_a_check_without_a_list_begins_with_the_server(hosts: Hosts) -> None:
    steps = await opened(hosts, {"token": SERVED.bearer}, application_id=SERVED.application).check()
    assert all(step.is_ok for step in steps)
    assert steps[0].name == "address"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"enabled": "false"}, "not enabled"), ({"status": "Suspended"}, "'Suspended'")],
)
async def test_a_check_ends_at_an_application_that_cannot_be_used(
    change: dict[str, str], words: str, fake: ClassLinkFake, hosts: Hosts
) -> None:
    fake.put_tenant(replace(SERVED, **change))  # type: ignore[arg-type]
    steps = await opened(hosts).check()
    assert shown(steps) == [("applications", True), ("application", False)]
    assert words in steps[-1].message
    assert steps[-1].advice == (
        "Ask the district to switch sharing on again, or disconnect the integration."
    )


async def test_a_check_ends_at_a_list_that_is_refused(hosts: Hosts) -> None:
    steps = await opened(replace(hosts, classlink_token="outdated")).check()  # noqa: S106 - of a fake
    assert shown(steps) == [("applications", False)]
    assert "outdated" not in steps[0].message


async def test_a_check_of_settings_that_lead_nowhere_says_so(hosts: Hosts) -> None:
    steps = await opened(hosts, application_id="a").check()
    assert shown(steps) == [("settings", False)]
