"""A mail server on loopback that keeps what it is sent, and what a test says of contacts."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from domain.clock import new_id, utc_now
from domain.notifications.delivery import Post, deliver
from domain.notifications.links import Links
from domain.settings import Settings
from domain.watch.digests import write_digests
from domain.watch.following import follow_up
from domain.watch.late import tell_of_late
from domain.watch.outages import watch_providers
from domain.watch.undelivered import give_up_mails
from tests.api.graphql.seed import insert
from tests.domain.sync.stories import Story

LINKS = Links("https://admin.example/{tenant}/runs/{run}")


@dataclass
class MailServer:
    """`refuses`: it takes nothing, and says so."""

    port: int = 0
    refuses: bool = False
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuses:
            return "451 not now"
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        assert envelope.rcpt_tos == [mail["To"]]
        self.mails.append(mail)
        return "250 ok"

    @property
    def post(self) -> Post:
        url = SecretStr(f"smtp://127.0.0.1:{self.port}")
        post = Post.of(Settings(smtp_url=url, mail_from="Homerow <night@homerow.example>"))
        assert post is not None
        return post

    def taken(self) -> list[tuple[str, str]]:
        """(recipient, subject) of what has come since the last time, sorted."""
        mails, self.mails = self.mails, []
        return sorted((mail["To"], mail["Subject"].strip()) for mail in mails)


@asynccontextmanager
async def mail_server() -> AsyncGenerator[MailServer]:
    kept = MailServer()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(kept, hostname="localhost", loop=loop), "127.0.0.1", 0
    )
    async with listening:
        kept.port = listening.sockets[0].getsockname()[1]
        yield kept


async def add_contact(
    story: Story, email: str, summary_mail: str, delivery: str = "EACH_RUN"
) -> None:
    await insert(
        story.see,
        "contacts",
        tenant_id=story.tenant_id,
        name="Dana",
        email=email,
        summary_mail=summary_mail,
        delivery=delivery,
    )


async def add_operator(
    see: asyncpg.Connection, email: str = "op@homerow.example", **values: Any
) -> None:
    row = {"name": "Op", "email": email, "role": "OPERATOR"} | values
    await insert(see, "operators", **row)


async def look(story: Story, now: datetime | None = None) -> None:
    """What the worker does every twenty seconds."""
    now = now or utc_now()
    await follow_up(story.worker, links=LINKS, now=now)
    await watch_providers(story.worker, now=now)
    await tell_of_late(story.worker, links=LINKS, now=now)
    await write_digests(story.worker, links=LINKS, now=now)
    await give_up_mails(story.worker, now=now)


async def morning(
    story: Story, server: MailServer, now: datetime | None = None
) -> list[tuple[str, str]]:
    """Look, deliver what is due, and say what came: (recipient, subject)."""
    await look(story, now)
    await deliver(story.worker, server.post)
    return server.taken()


async def end_run(
    story: Story,
    state: str = "SUCCEEDED",
    code: str | None = None,
    *,
    at: datetime,
    holds: Sequence[str] = (),
    **values: Any,
) -> UUID:
    """A full run of the schedule's that ended so, unless the values say otherwise."""
    integration_id = await story.see.fetchval(
        "SELECT id FROM integrations WHERE tenant_id = $1", story.tenant_id
    )
    run_id = await insert(
        story.see,
        "sync_runs",
        tenant_id=story.tenant_id,
        integration_id=integration_id,
        state=state,
        requested_by="system",
        requested_at=at,
        finished_at=at,
        failure_code=code,
        counts={"USER": {"created": 2, "held": 3}} if holds else {},
        **{"mode": "FULL", "trigger": "SCHEDULE"} | values,
    )
    if holds:
        reasons = [{"code": one, "record_type": "USER", "count": 3, "of": 9} for one in holds]
        await insert(
            story.see,
            "holds",
            tenant_id=story.tenant_id,
            run_id=run_id,
            reasons=reasons,
            created_at=at,
        )
    return run_id


async def next_due_at(story: Story) -> datetime | None:
    found: datetime | None = await story.see.fetchval(
        "SELECT next_due_at FROM sync_schedules WHERE tenant_id = $1", story.tenant_id
    )
    return found


async def new_tenant(story: Story, slug: str, provider: str = "CLEVER") -> Story:
    """Another tenant, which may be a provider's of the network."""
    other = replace(story, tenant_id=new_id())
    await other.begin(slug)
    await other.see.execute(
        "UPDATE integrations SET provider = $2 WHERE tenant_id = $1", other.tenant_id, provider
    )
    return other


def local(day: int, hour: str) -> datetime:
    """In March 2026, in Chicago."""
    moment = datetime.fromisoformat(f"2026-03-{day:02}T{hour}:00")
    return moment.replace(tzinfo=ZoneInfo("America/Chicago"))
