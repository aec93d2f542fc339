"""The demo: a made-up district, synced for two nights through the API, the queue and the worker.

Its files are read as they are, or served by a fake of another provider beside it.
"""

import asyncio
import fcntl
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from rich.console import Console

from api import runs
from api.fakes import Fake, fake_provider
from api.generator.package import expected_path, generate
from api.local import LocalServerError, servers
from api.local.postgres import find_postgres
from api.local.processes import made, opened
from api.local.valkey import find_valkey
from api.processes import Serving, require_all_alive, serving, watch
from api.providers import platform_of
from api.runs import Report, Show, chain
from api.showing import counts_table, progress_bar, runs_table
from api.site import Site, open_site
from api.training_demo import train
from domain.clock import new_id, utc_now
from domain.database import Database, DatabaseRole
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE, Scope
from domain.people.tokens import create_api_token
from domain.resources import Resources
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.settings import Environment, Settings
from domain.sync.models import SyncMode
from domain.tenants.service import create_tenant

STUDENTS = 2000
SEED = 1
CHANGE = 0.02
SLUG = "springfield"

_CHANGES = ("created", "updated", "archived", "restored", "unchanged")
_UNTOLD = {
    Provider.CLEVER: frozenset(
        {
            ("USER", "archived"),
            ("MEMBERSHIP", "updated"),
            ("MEMBERSHIP", "archived"),
            ("MEMBERSHIP", "unchanged"),
        }
    )
}

SUMMARY = """
query Summary($slug: String!) {
  tenant(slug: $slug) {
    name
    subscriptionSummary {
      kind
      licences { used limit }
      lastSync { id mode state finishedAt }
      lastSuccessfulSync { id state finishedAt }
      nextSyncAt
      goLiveOn
      openErrors
    }
  }
}
"""
EXAMPLES = (
    """{
  tenants(first: 10) {
    totalCount
    nodes {
      slug
      name
      subscriptionSummary {
        openErrors
        lastSync { state counts { recordType created updated archived } }
      }
    }
  }
}""",
    """{
  tenant(slug: "springfield") {
    validationErrorGroups { code title count effect remedy }
  }
}""",
    """{
  tenant(slug: "springfield") {
    users(first: 5, filter: {role: STUDENT, search: "an"}) {
      totalCount
      nodes { username givenName familyName grades groups { name school { name } } }
    }
  }
}""",
    """{
  tenant(slug: "springfield") {
    trainingSettings { speedTarget { value level } accuracyTarget { value level } }
    progressSummary {
      students studentsWithProgress atSpeedTarget { students of percent }
      speedDistribution { low high students }
    }
  }
}""",
)


@dataclass(frozen=True, slots=True)
class District:
    """A made-up district, and where Homerow gets it from: its folder, or a provider's API."""

    package: Path
    students: int
    fake: Fake | None

    def configuration(self) -> Configuration:
        if self.fake is None:
            return Configuration(Provider.ONEROSTER_CSV, {"path": str(self.package)})
        told = self.fake.told
        return Configuration(told.provider, told.settings, told.credentials)

    def write(self, change: float) -> None:
        """The district writes its files anew into the same folder."""
        generate(self.package, students=self.students, seed=SEED, change=change)

    def expected(self) -> dict[str, Any]:
        """What the generator expects, as far as the provider can tell it."""
        expected: dict[str, Any] = json.loads(expected_path(self.package).read_text())
        if self.fake is not None:
            expected = told_by(self.fake.told.provider, expected)
        return expected


def run_demo(
    settings: Settings, console: Console, *, provider: Provider, students: int, once: bool
) -> bool:
    """Whether the second night was as the generator expected. Stays up unless it is `once`."""
    folder = settings.data_dir / "demo"
    with ExitStack() as stack:
        stack.enter_context(_own_folder(folder))
        district = stack.enter_context(_district(folder, provider, students))
        site = stack.enter_context(open_site(_demo_settings(settings, folder, district.fake)))
        console.print("Starting the servers, the worker and the API …")
        asyncio.run(site.migrate())
        served = stack.enter_context(serving(site))
        reports = asyncio.run(_two_nights(site, served, console, district))
        is_as_expected = _show(console, reports, district)
        _show_api(console, served, asyncio.run(_token(site)))
        if not once:
            console.print("\nCtrl-C ends the demo.")
            with suppress(KeyboardInterrupt):
                watch(served.children)
    return is_as_expected


@contextmanager
def _district(folder: Path, provider: Provider, students: int) -> Generator[District]:
    """The first night's files, and the fake that serves them where one is asked for."""
    package = folder.resolve() / "roster"
    generate(package, students=students, seed=SEED)
    if provider is Provider.ONEROSTER_CSV:
        yield District(package, students, None)
        return
    with fake_provider(provider, package) as fake:
        yield District(package, students, fake)


def _demo_settings(settings: Settings, folder: Path, fake: Fake | None) -> Settings:
    """The port and the host are the user's; servers, data and keys are the demo's own."""
    given = {
        name.removeprefix("HOMEROW_").lower(): value
        for name, value in (fake.told.environment if fake else {}).items()
    }
    parsed = Settings.model_validate(given)
    return settings.model_copy(
        update={
            **{name: getattr(parsed, name) for name in given},
            "environment": Environment.LOCAL,
            "data_dir": folder,
            "database_url": None,
            "redis_url": None,
            "secret_keys": None,
            "public_url": None,
        }
    )


@contextmanager
def _own_folder(folder: Path) -> Generator[None]:
    """The demo's data folder, empty, and nobody else's while it is entered."""
    made(folder.parent)
    with opened(folder.with_name(f"{folder.name}.lock")) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalServerError(
                f"A demo is running in {folder} already. End it, or set HOMEROW_DATA_DIR."
            ) from error
        _clear(folder)
        yield


def _clear(folder: Path) -> None:
    """Remove what an earlier demo left, its servers among it if it was killed."""
    if _is_served(folder):
        with servers(folder):
            pass  # whoever leaves last stops them
        if _is_served(folder):
            raise LocalServerError(f"Another command uses {folder}. Try again when it has ended.")
    if folder.exists():
        shutil.rmtree(folder)


def _is_served(folder: Path) -> bool:
    return bool(find_postgres(folder / "postgres") or find_valkey(folder / "valkey"))


async def _two_nights(
    site: Site, served: Serving, console: Console, district: District
) -> dict[str, Report]:
    reports = {}
    async with site.resources(DatabaseRole.API) as resources:
        tenant_id = await _create_tenant(resources, district.configuration())
        for title, change in (("first night", 0.0), ("second night", CHANGE)):
            if change:
                district.write(change)
            console.print(
                f"Syncing the {title} of a district with {district.students:,} students …"
            )
            with progress_bar(console) as bar:
                show = chain(bar, lambda _: require_all_alive(served.children))
                reports[title] = await _sync(resources.database, tenant_id, show)
        morning = await train(resources.database, tenant_id)
        console.print(
            f"In the morning {morning.students:,} students train: {morning.results:,} results."
        )
    return reports


async def _create_tenant(resources: Resources, configuration: Configuration) -> UUID:
    tenant_id = new_id()
    async with resources.database.transaction(tenant_id) as session:
        await create_tenant(
            session,
            tenant_id=tenant_id,
            slug=SLUG,
            name="Springfield Public Schools",
            caller=COMMAND_LINE,
        )
        await configure_integration(
            session,
            tenant_id=tenant_id,
            configuration=replace(configuration, platform=platform_of(resources.hosts)),
            keys=resources.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    return tenant_id


async def _sync(database: Database, tenant_id: UUID, show: Show) -> Report:
    """Through the queue and the worker, as any other."""
    requested = await runs.request(database, tenant_id=tenant_id, wanted=SyncMode.FULL)
    run_id = requested.run.id
    await runs.follow(database, tenant_id=tenant_id, run_id=run_id, show=show)
    return await runs.report(database, tenant_id=tenant_id, run_id=run_id)


def _show(console: Console, reports: Mapping[str, Report], district: District) -> bool:
    console.print(counts_table(reports), runs_table(reports))
    for title, of in reports.items():
        if of.failure is not None:
            console.print(f"The {title} failed: {' '.join(of.failure)}", markup=False)
    differences = list_differences(reports["second night"], district.expected())
    if not differences:
        can_tell = (
            f", as far as {district.fake.told.provider.value} can tell" if district.fake else ""
        )
        console.print(
            f"The second night's counts are exactly what the generator expected{can_tell}."
        )
    for difference in differences:
        console.print(f"Not as the generator expected: {difference}")
    return not differences


def told_by(provider: Provider, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What is expected of a provider that is not the files themselves: the changes it can tell.

    How many rows were read or refused differs: Clever lists people by section, without dates, and
    nobody whose role it does not know; of two copies of a row one is taken without a word.
    """
    untold = _UNTOLD.get(provider, frozenset())
    counts = {
        kind: {name: numbers[name] for name in _CHANGES if (kind, name) not in untold}
        for kind, numbers in expected["counts"].items()
    }
    return {"counts": counts}


def list_differences(of: Report, expected: Mapping[str, Any]) -> list[str]:
    """Counts by type and action and errors by code, against the generator's expected.json."""
    pairs = {
        f"{kind} {name}": (of.count(RecordType(kind), name), number)
        for kind, numbers in expected["counts"].items()
        for name, number in numbers.items()
    }
    errors = expected.get("errors")
    if errors is not None:
        for code in sorted({*of.errors, *errors}):
            pairs[code] = (of.errors.get(code, 0), errors.get(code, 0))
    return [
        f"{what}: {found:,} instead of {wanted:,}"
        for what, (found, wanted) in pairs.items()
        if found != wanted
    ]


async def _token(site: Site) -> str:
    async with (
        site.resources(DatabaseRole.API) as resources,
        resources.database.transaction() as session,
    ):
        _, secret = await create_api_token(
            session, tenant_id=None, name="demo", scopes=list(Scope), now=utc_now()
        )
        return secret


def _show_api(console: Console, served: Serving, secret: str) -> None:
    """The summary as the API answers it, and what it takes to ask for more."""
    answer = ask(served.url, secret, SUMMARY, {"slug": SLUG})
    console.print("\nThe subscription summary, from the GraphQL API:")
    console.print_json(data=answer)
    console.print("\nQueries to paste into GraphiQL:\n")
    for example in EXAMPLES:
        console.print(example, markup=False, highlight=False, soft_wrap=True)
        console.print()
    console.print(f"GraphiQL: {served.url}/graphql", highlight=False, soft_wrap=True)
    console.print("Header:   ", end="")
    header = json.dumps({"Authorization": f"Bearer {secret}"})
    console.print(header, markup=False, highlight=False, soft_wrap=True)


def ask(url: str, secret: str, query: str, variables: Mapping[str, Any]) -> Any:
    """The answer of the GraphQL API. A proxy of the environment has no business in between."""
    with httpx2.Client(trust_env=False, timeout=30) as client:
        response = client.post(
            f"{url}/graphql",
            json={"query": query, "variables": dict(variables)},
            headers={"Authorization": f"Bearer {secret}"},
        )
    return response.json()
