"""Whatever a fake is told to do wrong, it does: the same for every provider's fake."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from api.cli.fake_provider import how_to_use
from api.cli.integrations import commands
from api.fakes import Told
from tests.fakes import classlink, clever, oneroster
from tests.fakes.classlink_state import BASE, SERVED
from tests.fakes.listings import ADDED_ID
from tests.fakes.misbehaviour import Kind, Misbehaviour
from tests.fakes.oneroster_auth import Auth, Credentials
from tests.fakes.samples import write_sample
from tests.fakes.serving import Served, serve

ROOT = Path(__file__).parents[1]
BEARER = Credentials(auth=Auth.BEARER)


class Provider(NamedTuple):
    """`path` is of the collection of users; `key` of its rows."""

    create_app: Callable[[Path], Starlette]
    path: str
    key: str
    token: Callable[[Served], str]
    id_of: Callable[[dict[str, Any]], str]


PROVIDERS = {
    "clever": Provider(
        clever.create_app,
        "/v3.0/users",
        "data",
        lambda served: str(served.state.fake.token),
        lambda item: str(item["data"]["id"]),
    ),
    "oneroster": Provider(
        lambda folder: oneroster.create_app(
            folder, options=oneroster.OneRosterOptions(credentials=BEARER)
        ),
        "/ims/oneroster/v1p1/users",
        "users",
        lambda served: str(served.state.fake.guard.token),
        lambda item: str(item["sourcedId"]),
    ),
    "classlink": Provider(
        classlink.create_app,
        f"/{SERVED.application}{BASE}/users",
        "users",
        lambda served: str(served.state.fake.tenants[0].bearer),
        lambda item: str(item["sourcedId"]),
    ),
}


@pytest.fixture(scope="module")
def client() -> Generator[httpx2.Client]:
    with httpx2.Client(timeout=10) as opened:
        yield opened


class Asker:
    """Asks a fake for its users, as a client of that provider would."""

    def __init__(self, client: httpx2.Client, provider: Provider, served: Served) -> None:
        self.client = client
        self.provider = provider
        self.served = served
        self.is_by_cursor = provider.key == "data"
        self.is_told_totals = not self.is_by_cursor

    def misbehave(self, kind: Kind, **told: Any) -> None:
        self.served.state.plan.misbehaviours.append(Misbehaviour(kind, **told))

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.provider.token(self.served)}"}

    def url(self, query: str = "limit=3") -> str:
        return f"{self.served.url}{self.provider.path}?{query}"

    def ask(self, query: str = "limit=3") -> httpx2.Response:
        return self.client.get(self.url(query), headers=self.headers())

    def ids(self, query: str = "limit=3") -> list[str]:
        answer = self.ask(query)
        assert answer.status_code == 200
        return [self.provider.id_of(item) for item in answer.json()[self.provider.key]]

    def second_page(self, first: list[str]) -> str:
        after = f"starting_after={first[-1]}" if self.is_by_cursor else f"offset={len(first)}"
        return f"limit=3&{after}"


@pytest.fixture(params=PROVIDERS)
def asker(
    request: pytest.FixtureRequest, client: httpx2.Client, tmp_path: Path
) -> Generator[Asker]:
    provider = PROVIDERS[request.param]
    with serve(provider.create_app(write_sample(tmp_path / "district"))) as served:
        yield Asker(client, provider, served)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_a_status_is_answered_so_many_times(asker: Asker, status: int) -> None:
    asker.misbehave(Kind.STATUS, amount=status, first=2, times=2)
    assert [asker.ask().status_code for _ in range(4)] == [200, status, status, 200]


def test_too_many_requests_may_come_with_a_time_to_wait(asker: Asker) -> None:
    asker.misbehave(Kind.STATUS, amount=429, times=1)
    asker.misbehave(Kind.STATUS, amount=429, text="7", first=2, times=1)
    answers = [asker.ask(), asker.ask()]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, "7"]


def test_only_the_named_collection_goes_wrong(asker: Asker) -> None:
    asker.misbehave(Kind.STATUS, collection="courses")
    assert asker.ask().status_code == 200
    courses = asker.url().replace("users", "courses")
    assert asker.client.get(courses, headers=asker.headers()).status_code == 503


def test_told_of_no_collection_all_of_the_roster_counts_together(asker: Asker) -> None:
    asker.misbehave(Kind.STATUS, first=2)
    courses = asker.url().replace("users", "courses")
    assert asker.client.get(courses, headers=asker.headers()).status_code == 200
    assert asker.ask().status_code == 503


@pytest.mark.parametrize("status", [200, 500])
def test_html_comes_instead(asker: Asker, status: int) -> None:
    asker.misbehave(Kind.HTML, amount=status)
    answer = asker.ask()
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


def test_another_host_is_named(asker: Asker) -> None:
    asker.misbehave(Kind.REDIRECT)
    answer = asker.ask()
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://elsewhere.example/roster"


def test_json_may_lack_the_rows(asker: Asker) -> None:
    asker.misbehave(Kind.WRONG_SHAPE)
    assert asker.ask().json() == {"result": "ok"}


def test_bodies_may_be_huge(asker: Asker) -> None:
    asker.misbehave(Kind.HUGE, amount=1_000_000)
    answer = asker.ask()
    assert "content-length" not in answer.headers
    assert len(answer.content) > 1_000_000


def test_bodies_may_be_slow(asker: Asker) -> None:
    whole = asker.ask().content
    asker.misbehave(Kind.SLOW, amount=0.005)
    began = time.monotonic()
    assert asker.ask().content == whole
    assert time.monotonic() - began > 0.1


def test_connections_may_be_reset_in_the_middle(asker: Asker) -> None:
    asker.misbehave(Kind.RESET, times=1)
    with pytest.raises(httpx2.TransportError):
        asker.ask()
    assert asker.ask().status_code == 200


def test_json_may_be_cut_off_with_the_right_length(asker: Asker) -> None:
    whole = asker.ask().content
    asker.misbehave(Kind.TRUNCATED)
    answer = asker.ask()
    assert answer.content == whole[: len(whole) // 2]
    assert answer.headers["content-length"] == str(len(whole) // 2)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_the_same_page_may_come_again(asker: Asker) -> None:
    first = asker.ids()
    asker.misbehave(Kind.SAME_PAGE)
    assert asker.ids(asker.second_page(first)) == first


def test_pages_may_overlap(asker: Asker) -> None:
    first = asker.ids()
    whole = asker.ids("limit=100")
    asker.misbehave(Kind.OVERLAP, amount=2)
    assert asker.ids(asker.second_page(first)) == whole[1:4]


def test_limits_may_be_clamped(asker: Asker) -> None:
    whole = asker.ids("limit=100")
    asker.misbehave(Kind.CLAMP, amount=2)
    assert asker.ids("limit=100") == whole[:2]


def test_collections_may_look_empty(asker: Asker) -> None:
    asker.misbehave(Kind.EMPTY)
    assert asker.ids() == []


def test_a_row_may_come_in_front_of_the_others(asker: Asker) -> None:
    first = asker.ids()
    asker.misbehave(Kind.ROW_ADDED, first=2)
    whole = asker.ids("limit=100")
    assert whole[0] == ADDED_ID
    assert whole[1:4] == first
    # By offset the last row comes again; a cursor leaves the new row out.
    again = asker.ids(asker.second_page(first))
    assert again[0] == (whole[4] if asker.is_by_cursor else first[-1])


def test_a_row_may_go_from_in_front_of_the_others(asker: Asker) -> None:
    whole = asker.ids("limit=100")
    asker.misbehave(Kind.ROW_REMOVED)
    assert asker.ids("limit=100") == whole[1:]
    # By offset a row is never seen; a cursor misses nothing.
    second = asker.ids(asker.second_page(whole[:3]))
    assert second == (whole[3:6] if asker.is_by_cursor else whole[4:7])


@pytest.mark.parametrize(
    ("kind", "amount", "total"),
    [
        (Kind.TOTAL_SHIFTED, 5, 17),
        (Kind.TOTAL_SHIFTED, -5, 7),
        (Kind.TOTAL_OF_PAGE, None, 3),
        (Kind.TOTAL_MISSING, None, None),
    ],
)
def test_totals_may_be_wrong(
    asker: Asker, kind: Kind, amount: float | None, total: int | None
) -> None:
    asker.misbehave(kind, amount=amount)
    if asker.is_told_totals:
        found = asker.ask().headers.get("x-total-count")
        assert found == (None if total is None else str(total))
    else:
        shown = {None: None, 3: 0}.get(total, (total or 0) - 12 + 8)
        assert asker.ask("count=true").json() == {"count": shown}


def test_tokens_may_be_revoked_in_the_middle(asker: Asker) -> None:
    asker.misbehave(Kind.TOKEN_REVOKED, first=2, times=1)
    old = asker.headers()
    statuses = [asker.client.get(asker.url(), headers=old).status_code for _ in range(3)]
    assert statuses == [200, 401, 401]
    assert asker.ask().status_code == 200


def test_misbehaviours_come_on_top_of_each_other(asker: Asker) -> None:
    asker.misbehave(Kind.CLAMP, amount=2)
    asker.misbehave(Kind.OVERLAP, amount=1)
    first = asker.ids()
    assert asker.ids(asker.second_page(first)) == asker.ids(asker.second_page(first))
    assert len(first) == 2


def test_a_fake_can_be_told_to_behave_again(asker: Asker) -> None:
    asker.misbehave(Kind.STATUS)
    assert asker.ask().status_code == 503
    asker.served.state.plan.forget()
    assert asker.ask().status_code == 200
    assert len(asker.served.state.log) == 1


def test_what_tells_of_changes_can_change_in_the_middle(asker: Asker) -> None:
    asker.misbehave(Kind.ROSTER_MOVED, collection="courses", times=1)
    before = mark(asker)
    courses = asker.url().replace("users", "courses")
    asker.client.get(courses, headers=asker.headers())
    # A plain OneRoster server has nothing that tells of changes.
    assert (mark(asker) == before) is (before is None)


def mark(asker: Asker) -> str | None:
    if asker.is_by_cursor:
        url = f"{asker.served.url}/v3.0/districts"
        answer = asker.client.get(url, headers=asker.headers()).json()
        return str(answer["data"][0]["data"]["last_sync"])
    return asker.ask().headers.get("x-perm-rev")


def test_gates_go_wrong_only_where_they_are_named(client: httpx2.Client, tmp_path: Path) -> None:
    app = clever.create_app(
        write_sample(tmp_path / "district"),
        misbehaviours=[Misbehaviour(Kind.STATUS), Misbehaviour(Kind.HTML, collection="tokeninfo")],
    )
    with serve(app) as served:
        assert client.get(f"{served.url}/oauth/tokens").status_code == 401
        assert client.get(f"{served.url}/oauth/tokeninfo").text.startswith("<!DOCTYPE html>")
        assert client.get(f"{served.url}/v3.0/terms").status_code == 503


def test_many_requests_are_answered_at_once(tmp_path: Path) -> None:
    app = oneroster.create_app(
        write_sample(tmp_path / "district"),
        options=oneroster.OneRosterOptions(credentials=BEARER),
        misbehaviours=[Misbehaviour(Kind.SLOW, amount=0.002)],
    )

    async def ask_often(url: str) -> list[int]:
        headers = {"Authorization": f"Bearer {BEARER.token}"}
        async with httpx2.AsyncClient(headers=headers) as client:
            return [
                answer.status_code for answer in await asyncio.gather(*map(client.get, [url] * 8))
            ]

    with serve(app) as served:
        statuses = asyncio.run(ask_often(f"{served.url}/ims/oneroster/v1p1/users"))
    assert statuses == [200] * 8


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_fake_runs_as_a_process_and_ends_with_its_parent(provider: str, tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "district")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes", provider, "--district", str(folder), "--tethered"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ready = json.loads(process.stdout.readline())
        assert ready["provider"] == provider.upper()
        assert ready["environment"]["HOMEROW_ALLOW_PRIVATE_PROVIDERS"] == "true"
        assert httpx2.get(ready["url"]).status_code == 404
        process.stdin.close()
        assert process.wait(10) == 0


def test_the_command_says_what_to_set_and_run(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "district")
    command = [sys.executable, "-m", "api.cli", "fake-provider", "classlink"]
    with subprocess.Popen(
        [*command, "--district", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        lines = [process.stdout.readline().strip() for _ in range(7)]
        process.terminate()
        assert process.wait(20) == 0
    assert f"export HOMEROW_CLASSLINK_PROXY_URL={url}" in lines
    assert "homerow integration set springfield classlink --tenant-id 1001" in lines


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_command_says_only_options_that_there_are(provider: str, tmp_path: Path) -> None:
    fake = {"clever": clever, "oneroster": oneroster, "classlink": classlink}[provider]
    app = fake.create_app(write_sample(tmp_path / "district"))
    said = how_to_use(Told.of(fake.describe("http://fake.example", app.state.fake)))
    (line,) = [line for line in said if "integration set" in line]
    told = CliRunner().invoke(commands, ["set", "--help"], env={"COLUMNS": "200"}).output
    known = set(re.findall(r"--[a-z-]+", told))
    assert {word for word in line.split() if word.startswith("--")} <= known


def test_the_command_wants_a_folder_of_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "fake-provider", "clever", "--district", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, f"homerow: There is no users.csv in {tmp_path}.\n")
