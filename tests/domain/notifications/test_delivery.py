"""Mail: written with what causes it, sent once, and never lost."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from api.local import LocalServers
from domain.notifications.delivery import CarrierFailed, Post, carrier_of, deliver
from domain.notifications.mails import invitation_mail, password_changed_mail, reset_mail
from domain.notifications.outbox import put_mail, put_mails_once
from domain.resources import Resources
from domain.settings import Environment, Settings
from tests.api.graphql.seed import add_tenant
from tests.conftest import KEY_TEXT, run_as_superuser
from worker.main import run
from worker.tasks import WorkerContext
from worker.tasks import mail as mail_job

pytestmark = pytest.mark.anyio

SENDER = "Homerow <no-reply@homerow.example>"
URL = "https://homerow.example/account-links/abc"
MAIL = reset_mail(to="ada@example.org", tenant="Springfield <USD>", url=URL)


class Carrier:
    """Takes mails, unless it is away."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.is_away = False

    async def __call__(self, message: EmailMessage) -> None:
        if self.is_away:
            raise CarrierFailed("away")
        await asyncio.sleep(0)
        self.mails.append(message)


async def write(resources: Resources, superuser: asyncpg.Connection, *, count: int = 1) -> None:
    tenant_id = await add_tenant(superuser, "alpha")
    async with resources.database.transaction(tenant_id) as session:
        for _ in range(count):
            put_mail(session, tenant_id=tenant_id, mail=MAIL)


async def test_a_mail_goes_once_and_is_emptied(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    carrier = Carrier()
    post = Post(carrier, SENDER)
    assert await deliver(worker_resources.database, post) == 1
    assert await deliver(worker_resources.database, post) == 0
    [mail] = carrier.mails
    assert (mail["From"], mail["To"]) == (SENDER, "ada@example.org")
    assert mail["Subject"] == "A new password for Springfield <USD>"
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert f"Choose a new password: {URL}" in plain
    assert "Springfield &lt;USD&gt;" in html
    row = await superuser.fetchrow("SELECT * FROM mail_outbox")
    assert (row["body_text"], row["body_html"]) == ("", "")
    assert row["sent_at"] is not None
    assert mail["Message-ID"] == f"<{row['id']}@homerow.example>"


async def test_two_workers_send_each_mail_once(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser, count=50)
    carrier = Carrier()
    post = Post(carrier, SENDER)
    sent = await asyncio.gather(
        deliver(worker_resources.database, post), deliver(worker_resources.database, post)
    )
    assert sum(sent) == 50
    assert len({mail["Message-ID"] for mail in carrier.mails}) == 50 == len(carrier.mails)


async def test_a_mail_that_nobody_takes_waits_longer_each_time(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    carrier = Carrier()
    carrier.is_away = True
    post = Post(carrier, SENDER)
    waits = []
    for _ in range(3):
        assert await deliver(worker_resources.database, post) == 0
        waits.append(
            await superuser.fetchval(
                "SELECT round(extract(epoch FROM due_at - now()) / 60)::int FROM mail_outbox"
            )
        )
        await superuser.execute("UPDATE mail_outbox SET due_at = now()")
    assert waits == [5, 10, 20]
    carrier.is_away = False
    assert await deliver(worker_resources.database, post) == 1


async def test_a_mail_is_known_to_be_sent_though_the_database_was_away_when_it_was(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    local_servers: LocalServers,
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("domain.notifications.delivery._PAUSE", 0.05)
    await write(resources, superuser)

    async def let_in(answer: str) -> None:
        await run_as_superuser(
            local_servers, f"ALTER DATABASE {database_name} ALLOW_CONNECTIONS {answer}"
        )

    async def carry(message: EmailMessage) -> None:
        await carrier(message)
        await let_in("false")
        await superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    carrier = Carrier()
    post = Post(carry, SENDER)
    with capture_logs() as logs:
        delivering = asyncio.create_task(deliver(worker_resources.database, post))
        await asyncio.sleep(0.5)
        assert {entry["event"] for entry in logs} == {"mail_not_settled"}
        await let_in("true")
        assert await delivering == 1
    await superuser.execute("UPDATE mail_outbox SET due_at = now()")
    assert await deliver(worker_resources.database, post) == 0
    assert len(carrier.mails) == 1


async def test_after_a_dozen_times_it_is_left(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    await superuser.execute("UPDATE mail_outbox SET attempts = 12")
    assert await deliver(worker_resources.database, Post(Carrier(), SENDER)) == 0


async def test_what_is_undone_is_not_mailed(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id = await add_tenant(superuser, "alpha")

    async def write_and_fail() -> None:
        async with resources.database.transaction(tenant_id) as session:
            put_mail(session, tenant_id=tenant_id, mail=MAIL)
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    assert await deliver(worker_resources.database, Post(Carrier(), SENDER)) == 0


async def test_on_a_developers_machine_mails_become_files(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    await write(resources, superuser)
    post = Post.of(Settings(data_dir=tmp_path))
    assert post is not None
    assert await deliver(worker_resources.database, post) == 1
    [file] = (tmp_path / "mail").iterdir()
    assert file.suffix == ".eml"
    assert URL in file.read_text()


def test_in_production_without_a_server_mails_wait() -> None:
    assert Post.of(Settings(environment=Environment.PRODUCTION)) is None


WRONG_URLS = (
    "http://mail.example",
    "smtp://",
    "mail.example:25",
    "smtp://ada:can/ary@mail.example",
    "smtp://[canary",
    "smtp://mail.example:canary",
)


@pytest.mark.parametrize("url", WRONG_URLS)
async def test_what_is_no_mail_server_is_said_so_and_starts_no_worker(
    url: str, database_url: dict[str, str], local_servers: LocalServers
) -> None:
    with pytest.raises(ValueError, match="HOMEROW_SMTP_URL is smtp://") as wrong:
        carrier_of(Settings(smtp_url=SecretStr(url)))
    assert "can" not in str(wrong.value)
    settings = Settings(
        smtp_url=SecretStr(url),
        database_url=SecretStr(database_url["homerow_worker"]),
        redis_url=SecretStr(local_servers.redis_url),
        secret_keys=SecretStr(KEY_TEXT),
    )
    with pytest.raises(SystemExit, match="HOMEROW_SMTP_URL is smtp://"):
        await run(settings)


async def test_what_has_waited_for_a_week_is_left(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    await superuser.execute("UPDATE mail_outbox SET created_at = now() - interval '7 days'")
    assert await deliver(worker_resources.database, Post(Carrier(), SENDER)) == 0


async def test_a_folder_that_takes_nothing_fails_no_worker(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    await write(resources, superuser)
    (tmp_path / "mail").touch()
    post = Post.of(Settings(data_dir=tmp_path))
    assert post is not None
    assert await deliver(worker_resources.database, post) == 0
    assert await superuser.fetchval("SELECT sent_at IS NULL FROM mail_outbox")


async def test_a_mail_that_cannot_be_written_holds_up_no_other(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser, count=2)
    await superuser.execute(
        "UPDATE mail_outbox SET subject = E'a\\r\\nBcc: eve@example.org'"
        " WHERE id = (SELECT id FROM mail_outbox ORDER BY id LIMIT 1)"
    )
    carrier = Carrier()
    assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 1
    [mail] = carrier.mails
    assert mail["Bcc"] is None


async def test_the_worker_sends_and_without_a_server_lets_mails_wait(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    carrier = Carrier()
    await mail_job({"homerow": WorkerContext(worker_resources)})
    assert carrier.mails == []
    await mail_job({"homerow": WorkerContext(worker_resources, post=Post(carrier, SENDER))})
    assert len(carrier.mails) == 1


async def test_the_api_writes_mails_and_reads_none(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    tenant_id = await superuser.fetchval("SELECT tenant_id FROM mail_outbox")
    for statement in (
        "SELECT body_text FROM mail_outbox",
        "SELECT recipient FROM mail_outbox",
        "SELECT * FROM claim_mails(1)",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with resources.database.read(tenant_id) as session:
                await session.execute(text(statement))


@asynccontextmanager
async def mail_server(refuses: str = "nothing") -> AsyncGenerator[tuple[str, list[str]]]:
    """A mail server's host and port, and what it was told."""
    said: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        is_data = False
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            said.append(line)
            word = line.partition(" ")[0]
            if is_data:
                while (more := (await reader.readline()).decode()) != ".\r\n":
                    said.append(more.rstrip("\r\n"))
                is_data = False
                word = "taken"
            is_data = word == "DATA" != refuses
            writer.write(b"554 no\r\n" if word == refuses else ANSWERS.get(word, b"250 ok\r\n"))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", said


ANSWERS = {
    "EHLO": b"250-mail.example\r\n250 AUTH PLAIN\r\n",
    "AUTH": b"235 ok\r\n",
    "DATA": b"354 go on\r\n",
    "QUIT": b"221 bye\r\n",
}


async def test_a_mail_server_gets_what_was_written(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    async with mail_server() as (address, said):
        url = f"smtp://us%40homerow.example:pass%2Fword@{address}"
        carrier = carrier_of(Settings(smtp_url=SecretStr(url)))
        assert carrier is not None
        assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 1
    words = base64.b64encode(b"\0us@homerow.example\0pass/word").decode()
    assert f"AUTH PLAIN {words}" in said
    assert "MAIL FROM:<no-reply@homerow.example>" in [line.partition(" size")[0] for line in said]
    assert "RCPT TO:<ada@example.org>" in said
    assert f"Choose a new password: {URL}" in "\n".join(said)


async def test_a_server_that_refuses_is_asked_again_and_its_answer_is_logged(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    async with mail_server(refuses="DATA") as (address, _):
        carrier = carrier_of(Settings(smtp_url=SecretStr(f"smtp://{address}")))
        assert carrier is not None
        with capture_logs() as logs:
            assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 0
    assert [one["error"] for one in logs] == ["SMTPDataError 554"]
    assert "ada@example.org" not in str(logs)
    assert await superuser.fetchval("SELECT attempts FROM mail_outbox WHERE sent_at IS NULL") == 1


async def test_a_server_that_is_away_fails_no_worker(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser)
    carrier = carrier_of(Settings(smtp_url=SecretStr("smtp://127.0.0.1:1")))
    assert carrier is not None
    assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 0
    assert await superuser.fetchval("SELECT sent_at IS NULL FROM mail_outbox")


def test_every_mail_has_text_and_html_and_a_subject_of_one_line() -> None:
    mails = (
        invitation_mail(to="a@example.org", tenant="A\r\nBcc: b@example.org", url=URL),
        reset_mail(to="a@example.org", tenant="A", url=URL),
        password_changed_mail(to="a@example.org", tenant="A"),
    )
    for mail in mails:
        assert mail.text
        assert mail.html.startswith("<!doctype html>")
        assert "\n" not in mail.subject
        assert "\r" not in mail.subject
        assert "<script" not in mail.html
        assert "<img" not in mail.html


async def test_a_mail_of_the_operators_is_no_tenants(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    tenant_id = await add_tenant(superuser, "alpha")
    async with worker_resources.database.transaction() as session:
        for _ in range(2):
            await put_mails_once(session, tenant_id=None, mails=[MAIL], key="x")
    async with worker_resources.database.transaction(tenant_id) as session:
        await put_mails_once(session, tenant_id=tenant_id, mails=[MAIL], key="x")
    count = text("SELECT count(id) FROM mail_outbox")
    for database in (resources.database, worker_resources.database):
        for tenant in (None, tenant_id):
            async with database.read(tenant) as session:
                assert await session.scalar(count) == 1
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with worker_resources.database.transaction(tenant_id) as session:
            await put_mails_once(session, tenant_id=None, mails=[MAIL], key="y")
    carrier = Carrier()
    assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 2
    assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 0


async def test_a_server_that_is_away_is_asked_for_a_handful_and_no_more(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await write(resources, superuser, count=25)
    carrier = Carrier()
    carrier.is_away = True
    assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 0
    assert await superuser.fetchval("SELECT sum(attempts) FROM mail_outbox") == 10
    carrier.is_away = False
    assert await deliver(worker_resources.database, Post(carrier, SENDER)) == 15
