"""The `homerow` command, mostly as a process of its own with real servers."""

import asyncio
import json
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from typer.testing import CliRunner

from api.cli import app
from api.generator.package import expected_path, generate
from api.local import find_running
from api.site import open_site
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.people.callers import ALL_SCOPES, Caller, Scope
from domain.people.credentials import find_caller
from domain.settings import Settings
from tests.api.commands import (
    Run,
    homerow,
    processes_of,
    read_until,
    refusal,
    started,
    stop_servers,
    wait,
)

COMMANDS = (
    "up",
    "demo",
    "migrate",
    "api",
    "worker",
    "doctor",
    "generate",
    "fake-provider",
    "status",
    "tenant create",
    "tenant close",
    "tenant reopen",
    "tenant delete",
    "integration set",
    "integration show",
    "integration test",
    "role-map show",
    "role-map set",
    "sharing preview",
    "sharing show",
    "sharing set",
    "onboarding list",
    "sync",
    "hold show",
    "hold approve",
    "hold discard",
    "rollover set",
    "rollover show",
    "rollover cancel",
    "rollover preflight",
    "schedule pause",
    "schedule resume",
    "schedule set",
    "schedule show",
    "run cancel",
    "run revert",
    "token create",
    "operator create",
    "operator list",
    "operator disable",
    "super-admin create",
    "super-admin invite",
    "super-admin list",
    "super-admin disable",
    "super-admin enable",
    "super-admin drop-second-factor",
    "person export",
    "person erase",
    "person purge",
    "secrets rotate",
    "secrets check",
    "export errors",
    "export changes",
    "mail preview",
    "legacy import",
    "legacy template",
    "admins import",
    "admins template",
    "admins export",
    "staff import",
    "staff template",
    "staff export",
)


def counts_of(answer: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {
        count["recordType"]: {
            name: n for name, n in count.items() if name not in {"recordType", "held"}
        }
        for count in answer["counts"]
    }


def expected_of(package: Path) -> Any:
    return json.loads(expected_path(package).read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"homerow {command}" in result.output.split("Example:")[1]


def test_an_unknown_tenant_is_one_line_and_status_2(
    run: Run, data_dir: Path, package: Path
) -> None:
    there_is_none = "There is no tenant 'nobody'."
    assert refusal(homerow(data_dir, "sync", "nobody"), 2) == there_is_none
    result = run("integration", "set", "nobody", "oneroster-csv", "--path", package)
    assert refusal(result, 2) == there_is_none


def test_a_folder_that_is_not_there_is_one_line_and_status_2(run: Run, tmp_path: Path) -> None:
    result = run("integration", "set", "any", "oneroster-csv", "--path", tmp_path / "gone")
    assert refusal(result, 2) == f"There is no folder or file {tmp_path / 'gone'}."


def test_a_usage_error_is_one_line_and_status_2(run: Run) -> None:
    assert refusal(run("frob"), 2) == "No such command 'frob'."
    assert "'--mode'" in refusal(run("sync", "any", "--mode", "nope"), 2)
    assert "There is no provider 'foo'." in refusal(run("integration", "set", "any", "foo"), 2)
    assert "one student" in refusal(run("generate", "anywhere", "--students", "0"), 2)


def test_a_wrong_setting_is_one_line_and_status_2(run: Run) -> None:
    assert refusal(run("migrate", HOMEROW_PORT="many"), 2).startswith("HOMEROW_PORT is wrong: ")
    assert refusal(run("migrate", HOMEROW_REDIS_URL="redis://localhost"), 2) == (
        "Set HOMEROW_DATABASE_URL and HOMEROW_REDIS_URL, or neither of them."
    )
    mysql = {"HOMEROW_DATABASE_URL": "mysql://localhost", "HOMEROW_REDIS_URL": "redis://localhost"}
    assert "HOMEROW_DATABASE_URL must be" in refusal(run("migrate", **mysql), 2)
    keys = {"HOMEROW_SECRET_KEYS": "a:b"}
    assert "32 bytes in base64" in refusal(run("status", **keys), 2)


def test_production_does_not_start_without_a_key(run: Run) -> None:
    line = refusal(run("status", HOMEROW_ENVIRONMENT="production"), 2)
    assert line.startswith("HOMEROW_SECRET_KEYS is not set: ")


def test_a_database_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    nowhere = {
        "HOMEROW_DATABASE_URL": f"postgresql+asyncpg://homerow@/homerow?host={tmp_path}&port=5432",
        "HOMEROW_REDIS_URL": f"unix://{tmp_path}/valkey.sock",
    }
    assert "Redis cannot be used" in refusal(run("status", **nowhere), 1)
    assert "cannot be reached" in refusal(run("migrate", **nowhere), 1)
    doctor = run("doctor", **nowhere)
    assert (doctor.returncode, doctor.stderr) == (1, "")
    assert [line[:2] for line in doctor.stdout.splitlines()] == ["ok", "ok", "ok"] + 5 * ["NO"]


def test_doctor_finds_everything_well(run: Run) -> None:
    result = run("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line[:2] for line in lines] == 8 * ["ok"]
    assert lines[4] == "ok  Roles: homerow_api, homerow_owner, homerow_worker"


def test_generate_writes_a_district(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "roster"
    result = run("generate", folder, "--students", "60", "--seed", "3", "--version", "1.2")
    assert (result.returncode, result.stderr) == (0, "")
    assert (folder / "users.csv").exists()
    assert (folder / "roles.csv").exists()
    before = (folder / "users.csv").read_bytes()
    run("generate", folder, "--students", "60", "--seed", "3", "--version", "1.2")
    assert (folder / "users.csv").read_bytes() == before


def test_a_sync_here_counts_what_the_generator_expected(
    run: Run, tenant: str, package: Path, tmp_path: Path
) -> None:
    result = run("integration", "set", tenant, "OneRoster_CSV", "--path", package)
    assert result.stdout == f"{tenant} takes its roster from ONEROSTER_CSV.\n"
    assert run("integration", "test", tenant).returncode == 0
    for change in (0.0, 0.1):
        generate(package, students=60, seed=3, change=change)
        result = run("sync", tenant, "--here", "--json")
        assert (result.returncode, result.stderr) == (0, "")
        answer = json.loads(result.stdout)
        expected = expected_of(package)
        assert counts_of(answer) == expected["counts"]
        assert answer["errors"] == expected["errors"]
        assert (answer["mode"], answer["failure"]) == ("FULL", None)
        assert answer["requestedAt"] <= answer["startedAt"] <= answer["finishedAt"]
    assert f" {tenant} " in run("status").stdout


def test_a_sync_that_waits_brings_its_own_worker(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    asked = run("sync", tenant)
    assert asked.returncode == 0
    assert re.fullmatch(r"The run [0-9a-f-]{36} is QUEUED\.\n", asked.stdout)
    assert asked.stderr.startswith("No worker is running: ")
    result = run("sync", tenant, "--wait", "--json")
    assert result.returncode == 0
    assert result.stderr == "A run of this mode was there already: this is that one.\n"
    assert counts_of(json.loads(result.stdout)) == expected_of(package)["counts"]


def test_a_failed_sync_says_what_to_do(run: Run, tenant: str, package: Path) -> None:
    run("integration", "set", tenant, "oneroster-csv", "--path", package)
    (package / "users.csv").unlink()
    line = refusal(run("sync", tenant, "--here"), 1)
    result = run("sync", tenant, "--here", "--json")
    failure = json.loads(result.stdout)["failure"]
    assert failure["code"] == "FILE_MISSING"
    assert line == (
        f"The sync of {tenant} failed: FILE_MISSING: {failure['message']} {failure['remedy']}"
    )
    assert len(failure["remedy"]) > 10
    assert result.returncode == 1
    assert run("integration", "test", tenant).returncode == 1


def test_a_token_is_printed_once_and_works(run: Run, tenant: str, data_dir: Path) -> None:
    named = ("--tenant", tenant, "--scope", "roster:read", "--name", "dashboard")
    result, operators = run("token", "create", *named), run("token", "create")
    assert (result.returncode, operators.returncode) == (0, 0)
    assert "shown this once" in result.stderr
    caller, operator = asyncio.run(
        callers_of(data_dir, result.stdout.strip(), operators.stdout.strip())
    )
    assert caller is not None
    assert operator is not None
    assert (caller.name, caller.is_operator) == ("dashboard", False)
    assert caller.scopes == {Scope.ROSTER_READ}
    assert (operator.is_operator, operator.scopes) == (True, ALL_SCOPES)


async def callers_of(data_dir: Path, *tokens: str) -> list[Caller | None]:
    with open_site(Settings(data_dir=data_dir)) as site:
        async with site.resources(DatabaseRole.API) as resources:
            now = utc_now()
            return [await find_caller(resources.database, token, now=now) for token in tokens]


def test_a_database_without_the_schema_says_so(run: Run, local_servers: Any, template: str) -> None:
    own = {
        "HOMEROW_DATABASE_URL": local_servers.postgres.url("postgres").replace(
            f"/{template}", "/postgres"
        ),
        "HOMEROW_REDIS_URL": local_servers.redis_url,
    }
    assert "run `homerow migrate`" in refusal(run("status", **own), 1)
    doctor = run("doctor", **own)
    assert doctor.returncode == 1
    assert "run `homerow migrate`" in doctor.stdout


def test_a_port_that_was_asked_for_and_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = homerow(tmp_path / "data", "api", HOMEROW_PORT=port)
    assert refusal(result, 1).startswith(f"Cannot listen on 127.0.0.1 port {port}: ")


def test_the_api_can_be_served_alone(data_dir: Path) -> None:
    with started(data_dir, "api") as process:
        url = read_until(process, "The API is at ").split()[-1]
        assert status_of(url, "/readyz") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_worker_alone_ends_with_its_command(data_dir: Path) -> None:
    with started(data_dir, "worker") as process:
        read_until(process, "worker_started")
        (worker,) = tethered(process)
        process.kill()
        assert wait(lambda: not worker.is_running(), 20)


def url_of_up(process: "subprocess.Popen[str]") -> str:
    return read_until(process, "Homerow is at ").split()[-1]


def status_of(url: str, path: str) -> int:
    return httpx2.get(f"{url}{path}", trust_env=False, timeout=10).status_code


def tethered(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The api and worker processes of a command."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "api.tethered" in child.cmdline()]


@pytest.mark.slow
def test_up_serves_until_it_is_told_to_end(run: Run, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    here = {"HOMEROW_DATA_DIR": str(data_dir)}
    with started(data_dir, "up") as process:
        url = url_of_up(process)
        assert status_of(url, "/healthz") == 200
        assert status_of(url, "/readyz") == 200
        assert len(psutil.Process(process.pid).children()) == 4
        before = sorted(processes_of(data_dir))
        assert run("tenant", "create", "here", "--name", "Here", **here).returncode == 0
        assert sorted(processes_of(data_dir)) == before
        assert url in run("status", **here).stdout
        assert refusal(run("up", **here), 1).startswith(f"Homerow is up already at {url} ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert processes_of(data_dir) == []
    assert find_running(data_dir) is None


@pytest.mark.slow
def test_whatever_is_killed_nothing_goes_on_without_the_rest(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    try:
        with started(data_dir, "up") as process:
            url_of_up(process)
            ours = tethered(process)
            assert len(ours) == 2
            process.kill()
            process.wait(10)
        assert wait(lambda: not any(child.is_running() for child in ours), 20)
        with started(data_dir, "up") as process:
            assert status_of(url_of_up(process), "/readyz") == 200
            worker = next(each for each in tethered(process) if "worker.main" in each.cmdline())
            worker.kill()
            assert "The worker process ended with status -9." in read_until(process, "homerow: ")
            assert process.wait(30) == 1
        assert processes_of(data_dir) == []
    finally:
        stop_servers(data_dir)
