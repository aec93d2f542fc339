"""The demo: a made-up district, synced for two nights through the API, the queue and the worker."""

import asyncio
import fcntl
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from rich.console import Console

from api import runs
from api.generator.package import expected_path, generate
from api.local import LocalServerError, servers
from api.local.postgres import find_postgres
from api.local.processes import made, opened
from api.local.valkey import find_valkey
from api.processes import Serving, require_all_alive, serving, watch
from api.runs import Report, Show, chain
from api.showing import counts_table, progress_bar, runs_table
from api.site import Site, open_site
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
)


def run_demo(settings: Settings, console: Console, *, students: int, once: bool) -> bool:
    """Whether the second night was as the generator expected. Stays up unless it is `once`."""
    folder = settings.data_dir / "demo"
    with _own_folder(folder), open_site(_demo_settings(settings, folder)) as site:
        console.print("Starting the servers, the worker and the API …")
        asyncio.run(site.migrate())
        with serving(site) as served:
            reports, expected = asyncio.run(_two_nights(site, served, console, students))
            is_as_expected = _show(console, reports, expected)
            _show_api(console, served, asyncio.run(_token(site)))
            if not once:
                console.print("\nCtrl-C ends the demo.")
                with suppress(KeyboardInterrupt):
                    watch(served.children)
    return is_as_expected


def _demo_settings(settings: Settings, folder: Path) -> Settings:
    """The port and the host are the user's; servers, data and keys are the demo's own."""
    return settings.model_copy(
        update={
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
    site: Site, served: Serving, console: Console, students: int
) -> tuple[dict[str, Report], dict[str, Any]]:
    """The reports, and what the generator expects of the second night."""
    package = site.settings.data_dir.resolve() / "roster"
    reports = {}
    async with site.resources(DatabaseRole.API) as resources:
        tenant_id = await _create_tenant(resources, package)
        for title, change in (("first night", 0.0), ("second night", CHANGE)):
            # The district writes its files anew into the same folder.
            generate(package, students=students, seed=SEED, change=change)
            console.print(f"Syncing the {title} of a district with {students:,} students …")
            with progress_bar(console) as bar:
                show = chain(bar, lambda _: require_all_alive(served.children))
                reports[title] = await _sync(resources.database, tenant_id, show)
    return reports, json.loads(expected_path(package).read_text())


async def _create_tenant(resources: Resources, package: Path) -> UUID:
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
            configuration=Configuration(Provider.ONEROSTER_CSV, {"path": str(package)}),
            keys=resources.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    return tenant_id


async def _sync(database: Database, tenant_id: UUID, show: Show) -> Report:
    """Through the queue and the worker, as any other."""
    requested = await runs.request(database, tenant_id=tenant_id, mode=SyncMode.FULL)
    run_id = requested.run.id
    await runs.follow(database, tenant_id=tenant_id, run_id=run_id, show=show)
    return await runs.report(database, tenant_id=tenant_id, run_id=run_id)


def _show(console: Console, reports: Mapping[str, Report], expected: Mapping[str, Any]) -> bool:
    console.print(counts_table(reports), runs_table(reports))
    for title, of in reports.items():
        if of.failure is not None:
            console.print(f"The {title} failed: {' '.join(of.failure)}", markup=False)
    differences = list_differences(reports["second night"], expected)
    if not differences:
        console.print("The second night's counts are exactly what the generator expected.")
    for difference in differences:
        console.print(f"Not as the generator expected: {difference}")
    return not differences


def list_differences(of: Report, expected: Mapping[str, Any]) -> list[str]:
    """Counts by type and action and errors by code, against the generator's expected.json."""
    pairs = {
        f"{kind} {name}": (of.count(RecordType(kind), name), number)
        for kind, numbers in expected["counts"].items()
        for name, number in numbers.items()
    }
    for code in sorted({*of.errors, *expected["errors"]}):
        pairs[code] = (of.errors.get(code, 0), expected["errors"].get(code, 0))
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
