"""Sending what waits in the outbox: by SMTP, or into a folder on a developer's machine."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.clock import utc_now
from domain.database import Database
from domain.settings import Environment, Settings

Carrier = Callable[[EmailMessage], Awaitable[None]]
"""Takes a mail away. Raises CarrierFailed where it could not: then it waits."""

_AT_ONCE: Final = 10
_SECONDS: Final = 20
"""For one mail: all that are claimed at once are through before they come up again."""
_SETTLING_SECONDS: Final = 240
"""A mail that was claimed comes up again after five minutes."""
_PAUSE: Final = 1.0
_DATABASE_GONE: Final = (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)
_PORTS: Final = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_WRONG_URL: Final = "HOMEROW_SMTP_URL is smtp://, smtps:// or smtp+starttls:// and a host."

log = structlog.get_logger()


class CarrierFailed(Exception):
    """The mail was not taken. It is tried again."""


def carrier_of(settings: Settings) -> Carrier | None:
    """None: nobody takes mails here, and they wait. Raises ValueError for a wrong URL."""
    if settings.smtp_url is not None:
        return _smtp(settings.smtp_url.get_secret_value())
    if settings.environment is Environment.LOCAL:
        return _folder(settings.data_dir / "mail")
    return None


def _smtp(url: str) -> Carrier:
    """smtp://, smtps:// or smtp+starttls://, with user:password@ where the server wants it."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        # Without the cause, which may quote a part of the password.
        raise ValueError(_WRONG_URL) from None
    if not parts.hostname:
        raise ValueError(_WRONG_URL)
    options: dict[str, Any] = {
        "hostname": parts.hostname,
        "port": port,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": parts.scheme == "smtps",
        "start_tls": parts.scheme == "smtp+starttls",
        "timeout": _SECONDS,
    }

    async def carry(message: EmailMessage) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                await aiosmtplib.send(message, **options)
        except (aiosmtplib.SMTPException, OSError) as error:
            code = getattr(error, "code", "")
            raise CarrierFailed(f"{type(error).__name__} {code}".strip()) from error

    return carry


def _folder(folder: Path) -> Carrier:
    def write(message: EmailMessage) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        (folder / f"{name}.eml").write_bytes(message.as_bytes())

    async def carry(message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(write, message)
        except OSError as error:
            raise CarrierFailed(type(error).__name__) from error

    return carry


@dataclass(frozen=True, slots=True)
class Post:
    """Who takes mails away, and whom they are from."""

    carry: Carrier
    sender: str

    @classmethod
    def of(cls, settings: Settings) -> "Post | None":
        carrier = carrier_of(settings)
        return cls(carrier, settings.mail_from) if carrier else None


async def deliver(database: Database, post: Post) -> int:
    """Send what is due, until nothing is. For the worker's role. How many were sent.

    Where nobody takes any of a handful, the rest waits too: a server that is away holds up no
    worker for longer than one mail.
    """
    sent = 0
    while True:
        async with database.transaction() as session:
            found = await session.execute(
                text("SELECT * FROM claim_mails(:most)"), {"most": _AT_ONCE}
            )
            claimed = found.all()
        if not claimed:
            return sent
        taken = sum(await asyncio.gather(*(_deliver(database, post, row) for row in claimed)))
        sent += taken
        if not taken:
            return sent


async def _deliver(database: Database, post: Post, row: Any) -> bool:
    try:
        await post.carry(_message(row, post.sender))
    except CarrierFailed as error:
        log.warning("mail_failed", mail_id=str(row.id), error=str(error))
        return False
    except ValueError as error:
        # A header that cannot be, the sender's or the recipient's: no address goes into the log.
        log.warning("mail_failed", mail_id=str(row.id), error=type(error).__name__)
        return False
    await _settle(database, row.id)
    log.info("mail_sent", mail_id=str(row.id), tenant_id=row.tenant_id and str(row.tenant_id))
    return True


async def _settle(database: Database, mail_id: UUID) -> None:
    """However long the database is away: a mail that is not known to be sent is sent again."""
    deadline = time.monotonic() + _SETTLING_SECONDS
    while True:
        try:
            async with database.transaction() as session:
                await session.execute(text("SELECT settle_mail(:id)"), {"id": mail_id})
        except _DATABASE_GONE as error:
            log.warning("mail_not_settled", mail_id=str(mail_id), error=type(error).__name__)
            if time.monotonic() > deadline:
                raise
        else:
            return
        await asyncio.sleep(_PAUSE)


def _message(row: Any, sender: str) -> EmailMessage:
    """The same id each time, so that one that arrives twice is known as one."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = row.recipient
    message["Subject"] = row.subject
    message["Date"] = format_datetime(utc_now())
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<{row.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(row.body_text)
    message.add_alternative(row.body_html, subtype="html")
    return message
