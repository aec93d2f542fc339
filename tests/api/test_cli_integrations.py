"""The commands that connect a tenant, try the connection and say what is taken over."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from api.generator.package import generate
from api.site import open_site
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.integrations.config import read_source_config
from domain.integrations.service import get_integration
from domain.roster.records import Role
from domain.roster.source import Eligibility, SourceConfig
from domain.settings import Settings
from domain.tenants.service import get_tenant_id
from tests.api.commands import Run, refusal
from tests.fakes.__main__ import FAKES
from tests.fakes.serving import serve

OPTIONS = {"version": "oneroster_version", "scopes": "scope"}
SERVER = "https://sis.example.org/ims/oneroster/v1p1"


async def read_config(data_dir: Path, slug: str) -> SourceConfig:
    """What a worker opens the tenant's source with."""
    with open_site(Settings(data_dir=data_dir)) as site:
        async with site.resources(DatabaseRole.WORKER) as resources:
            database = resources.database
            async with database.read() as session:
                tenant_id = await get_tenant_id(session, slug)
            async with database.read(tenant_id) as session:
                integration = await get_integration(session, tenant_id=tenant_id)
            connection = await database.connect("homerow test")
            try:
                async with connection.transaction():
                    await connection.execute(
                        "SELECT set_config('homerow.tenant_id', $1, true)", str(tenant_id)
                    )
                    return await read_source_config(
                        connection,
                        tenant_id=tenant_id,
                        integration_id=integration.id,
                        keys=resources.keys,
                        now=utc_now(),
                    )
            finally:
                await connection.close()


def config_of(data_dir: Path, slug: str) -> SourceConfig:
    return asyncio.run(read_config(data_dir, slug))


def test_a_oneroster_server_is_set_up_and_shown_without_its_secrets(
    run: Run, tenant: str, data_dir: Path
) -> None:
    options = ("--base-url", SERVER, "--token-url", "https://sis.example.org/token", "--scope", "a",
               "--scope", "b", "--oneroster-version", "1.1", "--auth", "oauth2_body",
               "--student-email", "--eligibility-field", "typing", "--eligibility-value", "Yes",
               "--eligibility-value", "1", "--key", "k", "--secret", "hunter2")  # fmt: skip
    result = run("integration", "set", tenant, "oneroster", *options)
    assert result.stdout == f"{tenant} takes its roster from ONEROSTER.\n"
    config = config_of(data_dir, tenant)
    assert config.settings == {
        "base_url": SERVER,
        "version": "1.1",
        "auth": "OAUTH2_BODY",
        "token_url": "https://sis.example.org/token",
        "scopes": ["a", "b"],
    }
    assert config.credentials == {"key": "k", "secret": "hunter2"}
    assert config.with_student_email
    assert config.eligibility == Eligibility("typing", frozenset({"yes", "1"}))
    shown = run("integration", "show", tenant).stdout
    assert shown.splitlines() == [
        "provider: ONEROSTER",
        "status: ACTIVE",
        "auth: OAUTH2_BODY",
        f"base_url: {SERVER}",
        "scopes: a, b",
        "token_url: https://sis.example.org/token",
        "version: 1.1",
        "student emails: yes",
        "eligible: students whose typing is Yes or 1",
    ]
    # What is not given stays.
    run("integration", "set", tenant, "oneroster", "--no-student-email", "--no-eligibility")
    config = config_of(data_dir, tenant)
    assert (config.with_student_email, config.eligibility) == (False, None)
    assert config.settings["base_url"] == SERVER
    assert config.credentials == {"key": "k", "secret": "hunter2"}


def test_secrets_need_not_be_in_the_shells_history(
    run: Run, tenant: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"HOMEROW_INTEGRATION_TOKEN": "from the environment"}
    run("integration", "set", tenant, "clever", "--district-id", "58da", **variables)
    config = config_of(data_dir, tenant)
    assert (config.settings, config.credentials) == (
        {"district_id": "58da"},
        {"token": "from the environment"},
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("of a line\nand another\n"))
    pair = ("--key", "-", "--secret", "-")
    assert run("integration", "set", tenant, "clever", *pair).returncode == 0
    assert config_of(data_dir, tenant).credentials == {"key": "of a line", "secret": "and another"}
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert refusal(run("integration", "set", tenant, "clever", "--token", "-"), 2) == (
        "The standard input has no line for --token."
    )


def test_what_does_not_fit_a_provider_is_one_line_and_status_2(run: Run, tenant: str) -> None:
    def refused(*options: str) -> str:
        return refusal(run("integration", "set", tenant, *options), 2)

    assert refused("clever") == "CLEVER needs credentials: a token or a key with its secret."
    assert refused("clever", "--base-url", SERVER) == "CLEVER has no setting 'base_url'."
    assert refused("oneroster", "--key", "k") == "Give the address of the OneRoster API."
    assert "not both" in refused("classlink", "--base-url", SERVER, "--application-id", "a")
    assert "together" in refused("clever", "--token", "t", "--eligibility-field", "typing")
    assert "--auth" in refused("oneroster", "--auth", "basic")
    assert refused("oneroster-csv") == "Give the absolute path of a folder or a zip file."
    assert "There is no integration" in refusal(run("integration", "show", tenant), 2)


def test_a_connection_is_tried_as_lines_or_as_json(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    told = run("integration", "test", tenant)
    assert (told.returncode, told.stderr) == (0, "")
    assert all(line.startswith("ok ") for line in told.stdout.splitlines())
    answer = json.loads(run("integration", "test", tenant, "--json").stdout)
    assert [step["ok"] for step in answer["steps"]] == [True] * len(told.stdout.splitlines())
    (package / "users.csv").unlink()
    failed = run("integration", "test", tenant, "--json")
    assert failed.returncode == 1
    [*_, last] = json.loads(failed.stdout)["steps"]
    assert last.keys() == {"name", "ok", "message", "advice"}
    assert (last["ok"], bool(last["advice"])) == (False, True)


def test_role_maps_are_changed_and_taken_back(run: Run, tenant: str, data_dir: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", data_dir)
    result = run(
        "role-map", "set", tenant, "aide=teacher", "ext:coach=School-Admin", "proctor=none"
    )
    assert result.stdout == f"The role map of {tenant} is set; it holds from the next sync on.\n"
    assert config_of(data_dir, tenant).role_map == {
        "aide": Role.TEACHER,
        "ext:coach": Role.SCHOOL_ADMIN,
        "proctor": None,
    }
    shown = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:4]]
        for line in run("role-map", "show", tenant).stdout.splitlines()
        if "│" in line
    }
    assert shown["aide"] == ["TEACHER", "changed"]
    assert shown["proctor"] == ["left out", "changed"]
    assert shown["student"] == ["STUDENT", ""]
    assert run("role-map", "set", tenant, "--usual").returncode == 0
    assert config_of(data_dir, tenant).role_map == {}
    assert "is not word=ROLE" in refusal(run("role-map", "set", tenant, "aide=boss"), 2)
    assert "is not word=ROLE" in refusal(run("role-map", "set", tenant, "aide"), 2)
    assert "--usual" in refusal(run("role-map", "set", tenant), 2)


def test_sharing_rules_are_previewed_set_and_shown(run: Run, tenant: str, package: Path) -> None:
    generate(package, students=60, seed=3)
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    assert run("sync", tenant, "--here").returncode == 0
    rules = ("--grade", "K", "--grade", "3", "--school", "nowhere")
    answer: dict[str, Any] = json.loads(run("sharing", "preview", tenant, *rules, "--json").stdout)
    assert (answer["mode"], answer["failure"]) == ("PREFLIGHT", None)
    assert "nowhere" in [word for left in answer["leftOut"] for word in left["unmatched"]]
    told = run("sharing", "preview", tenant, "--grade", "K")
    assert told.returncode == 0, told.stderr
    [line] = [line for line in told.stdout.splitlines() if "The preview is run " in line]
    preview = line.split()[4].rstrip(";")
    assert "USER: " in told.stdout
    assert "other rules" in refusal(
        run("sharing", "set", tenant, "--grade", "3", "--preview", preview), 2
    )
    result = run("sharing", "set", tenant, "--grade", "kindergarten", "--preview", preview)
    assert result.stdout.startswith(f"The sharing rules of {tenant} are set")
    assert run("sharing", "show", tenant).stdout == "GRADE: KG\n"
    assert run("sharing", "set", tenant, "--everything").returncode == 0
    assert "There are no rules" in run("sharing", "show", tenant).stdout
    assert "--everything" in refusal(run("sharing", "set", tenant), 2)
    assert "no grade" in refusal(run("sharing", "set", tenant, "--grade", "first"), 2)


@pytest.mark.parametrize("provider", ["clever", "classlink", "oneroster"])
def test_each_provider_of_the_network_is_connected_tried_and_synced(
    run: Run, tenant: str, package: Path, provider: str
) -> None:
    fake = FAKES[provider]
    with serve(fake.create_app(package)) as served:
        told = fake.describe(served.url, served.state.fake)
        options = [
            word
            for name, value in {**told["settings"], **told["credentials"]}.items()
            for word in (f"--{OPTIONS.get(name, name).replace('_', '-')}", str(value))
        ]
        here = told["environment"]
        result = run("integration", "set", tenant, provider, *options, **here)
        assert (result.returncode, result.stderr) == (0, "")
        tried = run("integration", "test", tenant, **here)
        assert tried.returncode == 0, tried.stdout
        synced = run("sync", tenant, "--here", **here)
        assert synced.returncode == 0, synced.stderr


def test_a_tenant_is_disconnected_and_connected_again_as_it_was(
    run: Run, tenant: str, package: Path
) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    before = run("integration", "show", tenant).stdout
    assert run("integration", "disconnect", tenant).stdout == f"{tenant} is disconnected.\n"
    assert "There is no integration" in refusal(run("integration", "show", tenant), 2)
    back = run("integration", "activate", tenant)
    assert back.stdout == f"{tenant} takes its roster from ONEROSTER_CSV.\n"
    assert run("integration", "show", tenant).stdout == before
