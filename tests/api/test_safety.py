"""Settings with which production does not start: each alone, all at once, and the safe ones."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from api.local import LocalServers
from api.logins import Login, read_login
from api.safety import PROVIDER_URLS, SiteFacts, unsafe_settings
from domain.settings import Environment, Settings
from tests.api.commands import Run
from tests.conftest import KEY_TEXT, run_as_superuser

SAFE: dict[str, Any] = {
    "environment": Environment.PRODUCTION,
    "secret_keys": "a:x",
    "database_url": "postgresql+asyncpg://homerow_api:p@db.example.org/homerow?ssl=verify-full",
    "redis_url": "rediss://:p@redis.example.org/0",
    "public_url": "https://homerow.example.org",
    "landing_url": "https://typing.example.org/start",
    "cors_origins": "https://app.example.org, https://other.example.org:8443",
    "smtp_url": "smtps://mail.example.org",
    "google_client_id": "id",
    "google_client_secret": "secret",
}
FACTS = SiteFacts(is_embedded=False, login=Login("homerow_api"))


def found(facts: SiteFacts = FACTS, **changed: Any) -> list[str]:
    """The names of the unsafe settings, and what is said of them."""
    settings = Settings(**SAFE | changed)
    return [f"{one.setting} {one.what}" for one in unsafe_settings(settings, facts)]


def test_safe_settings_are_safe() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"secret_keys": None}, "HOMEROW_SECRET_KEYS is not set"),
        ({"public_url": None}, "HOMEROW_PUBLIC_URL is not set"),
        ({"public_url": "http://homerow.example.org"}, "HOMEROW_PUBLIC_URL is no https address"),
        ({"public_url": "homerow.example.org"}, "HOMEROW_PUBLIC_URL is no https address"),
        ({"allow_private_providers": True}, "HOMEROW_ALLOW_PRIVATE_PROVIDERS is true"),
        ({"landing_url": "http://typing.example.org"}, "HOMEROW_LANDING_URL is no https address"),
        ({"cors_origins": "*"}, "HOMEROW_CORS_ORIGINS has '*', which is no origin"),
        (
            {"cors_origins": "https://a.example,http://b.example"},
            "HOMEROW_CORS_ORIGINS has 'http://b.example', which is no https address",
        ),
        (
            {"smtp_url": "smtp://mail.example.org:587"},
            "HOMEROW_SMTP_URL names another machine without TLS",
        ),
        (
            {"database_url": "postgresql://homerow_api:p@db.example.org/homerow"},
            "HOMEROW_DATABASE_URL names another machine without TLS",
        ),
        (
            {"database_url": "postgresql://homerow_api@10.0.0.7/homerow?ssl=prefer"},
            "HOMEROW_DATABASE_URL names another machine without TLS",
        ),
        (
            {"database_url": "postgresql://homerow_api@/homerow?host=db.example.org"},
            "HOMEROW_DATABASE_URL names another machine without TLS",
        ),
        (
            {"redis_url": "redis://:p@redis.example.org"},
            "HOMEROW_REDIS_URL names another machine without TLS",
        ),
        ({"redis_url": "rediss://redis.example.org"}, "HOMEROW_REDIS_URL has no password"),
        *(
            ({name: "http://127.0.0.1"}, f"HOMEROW_{name.upper()} is no https address")
            for name in PROVIDER_URLS
        ),
        *(
            (
                {f"{client}_client_id": "id", f"{client}_client_secret": None},
                f"HOMEROW_{client.upper()}_CLIENT_SECRET is not set",
            )
            for client in ("clever", "classlink", "google", "microsoft")
        ),
    ],
)
def test_an_unsafe_setting_is_named(changed: dict[str, Any], said: str) -> None:
    assert found(**changed) == [said]


@pytest.mark.parametrize(
    "changed",
    [
        {"database_url": "postgresql://homerow_api@/homerow?host=/var/run/postgresql"},
        {"database_url": "postgresql://homerow_api:p@localhost/homerow"},
        {"database_url": "postgresql://homerow_api:p@127.0.0.1/homerow"},
        {"database_url": "postgresql://homerow_api:p@[::1]/homerow"},
        {"database_url": "postgresql://homerow_api:p@db.example.org/homerow?ssl=require"},
        {"redis_url": "unix:///run/valkey.sock"},
        {"redis_url": "redis://localhost:6379/0"},
        {"redis_url": "redis://127.0.0.1"},
        {"smtp_url": "smtp://localhost:25"},
        {"smtp_url": "smtp+starttls://mail.example.org"},
        {"smtp_url": None},
        {"landing_url": None},
        {"cors_origins": ""},
        {"allow_private_providers": False},
    ],
)
def test_what_stays_on_the_machine_or_is_left_out_is_safe(changed: dict[str, Any]) -> None:
    assert found(**changed) == []


@pytest.mark.parametrize(
    ("login", "what"),
    [
        (Login("postgres", is_superuser=True, owns_tables=True), "is or can become a superuser"),
        (Login("mighty", bypasses_policies=True), "may bypass row-level security"),
        (Login("owner", owns_tables=True), "owns the tables or can become their owner"),
    ],
)
def test_a_login_that_passes_the_walls_is_unsafe(login: Login, what: str) -> None:
    said = f"HOMEROW_DATABASE_URL logs in as {login.name!r}, which {what}"
    assert found(SiteFacts(is_embedded=False, login=login)) == [said]


def test_embedded_servers_are_not_for_production() -> None:
    facts = SiteFacts(is_embedded=True, login=Login("postgres", is_superuser=True))
    assert found(facts, database_url=None, redis_url=None) == ["HOMEROW_DATABASE_URL is not set"]


def test_all_is_said_at_once_and_without_secrets() -> None:
    settings = Settings(
        environment=Environment.PRODUCTION,
        database_url=SecretStr("postgresql://mia:geheim@db.example.org/homerow"),
        redis_url=SecretStr("redis://mia:geheim@redis.example.org"),
        smtp_url=SecretStr("smtp://mia:geheim@mail.example.org"),
    )
    lines = [str(one) for one in unsafe_settings(settings, SiteFacts(is_embedded=False))]
    assert [line.split()[0] for line in lines] == [
        "HOMEROW_SECRET_KEYS",
        "HOMEROW_DATABASE_URL",
        "HOMEROW_REDIS_URL",
        "HOMEROW_PUBLIC_URL",
        "HOMEROW_SMTP_URL",
    ]
    assert lines[3] == (
        "HOMEROW_PUBLIC_URL is not set: the links in mails, the addresses that providers return"
        " to and the check of the Host header come from it. Set it to the https address that"
        " people use."
    )
    assert not any("geheim" in line for line in lines)


@pytest.mark.anyio
async def test_a_login_is_what_it_can_become(
    local_servers: LocalServers, database_url: dict[str, str], database_name: str
) -> None:
    assert await read_login(database_url["homerow_api"]) == Login("homerow_api")
    assert await read_login(database_url["homerow_owner"]) == Login(
        "homerow_owner", owns_tables=True
    )
    assert (await read_login(database_url["postgres"])).is_superuser

    name = f"login_{database_name}"
    await run_as_superuser(local_servers, f"CREATE ROLE {name} LOGIN")
    try:
        url = make_url(database_url["postgres"]).set(username=name)
        text = url.render_as_string(hide_password=False)
        await run_as_superuser(local_servers, f"GRANT homerow_api, homerow_worker TO {name}")
        assert await read_login(text) == Login(name)
        await run_as_superuser(local_servers, f"GRANT homerow_owner TO {name}")
        assert await read_login(text) == Login(name, owns_tables=True)
    finally:
        await run_as_superuser(local_servers, f"DROP ROLE {name}")


def production(servers: LocalServers, login: str) -> dict[str, str]:
    return {
        "HOMEROW_ENVIRONMENT": "production",
        "HOMEROW_DATABASE_URL": servers.postgres.url(login),
        "HOMEROW_REDIS_URL": servers.redis_url,
        "HOMEROW_SECRET_KEYS": KEY_TEXT,
    }


def test_the_api_does_not_start_and_says_all_that_is_unsafe(
    run: Run, local_servers: LocalServers, template: str
) -> None:
    unsafe = {"HOMEROW_CORS_ORIGINS": "*", **production(local_servers, "postgres")}
    result = run("api", **unsafe)
    assert (result.returncode, result.stdout) == (2, "")
    first, *others = result.stderr.splitlines()
    assert first == "homerow: These settings are not safe in production:"
    assert [line.split()[0] for line in others] == [
        "HOMEROW_DATABASE_URL",
        "HOMEROW_PUBLIC_URL",
        "HOMEROW_CORS_ORIGINS",
    ]
    assert others[0].startswith("  HOMEROW_DATABASE_URL logs in as 'postgres', which is or can")


def test_without_servers_of_its_own_production_does_not_start_any(run: Run, tmp_path: Path) -> None:
    unsafe = {"HOMEROW_ENVIRONMENT": "production", "HOMEROW_DATA_DIR": str(tmp_path / "data")}
    result = run("api", **unsafe)
    assert result.returncode == 2
    assert "  HOMEROW_SECRET_KEYS is not set: " in result.stderr
    assert not (tmp_path / "data").exists()


def test_doctor_says_what_is_unsafe_in_production(
    run: Run, local_servers: LocalServers, template: str
) -> None:
    own = production(local_servers, "homerow_owner")
    result = run("doctor", **own)
    assert result.returncode == 1
    assert [line for line in result.stdout.splitlines() if line.startswith("NO")] == [
        (
            "NO  HOMEROW_DATABASE_URL logs in as 'homerow_owner', which owns the tables or can"
            " become their owner: the walls between tenants would not hold the API back. Log in as"
            " homerow_api, or as a login that may take no other role."
        ),
        (
            "NO  HOMEROW_PUBLIC_URL is not set: the links in mails, the addresses that providers"
            " return to and the check of the Host header come from it. Set it to the https address"
            " that people use."
        ),
    ]


def test_doctor_says_that_production_is_safe(
    run: Run, local_servers: LocalServers, template: str
) -> None:
    url = {"HOMEROW_PUBLIC_URL": "https://homerow.example.org"}
    result = run("doctor", **production(local_servers, "homerow_api"), **url)
    assert "ok  Settings: safe for production" in result.stdout.splitlines()


def test_doctor_only_notes_mistakes_on_a_developers_machine(run: Run) -> None:
    result = run("doctor", HOMEROW_GOOGLE_CLIENT_ID="id", HOMEROW_CORS_ORIGINS="http://localhost:1")
    assert result.returncode == 0
    assert [line for line in result.stdout.splitlines() if not line.startswith("ok")] == [
        (
            "--  HOMEROW_GOOGLE_CLIENT_SECRET is not set: there is a client id, and nobody can sign"
            " in with it alone. Set the secret that the provider gave with the id."
        )
    ]
