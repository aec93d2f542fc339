"""Whose credential this is, on every door: an API token's secret, or that of a session."""

from datetime import datetime

from domain.database import Database
from domain.people import sessions
from domain.people.callers import Caller, Found
from domain.people.sessions import find_session, touch_session
from domain.people.tokens import find_token, touch_token


async def find_caller(database: Database, secret: str, *, now: datetime) -> Caller | None:
    """None for whatever is not good, or not any more; why is not told.

    That it was used is noted, now and then.
    """
    found = await _find(database, secret, now=now)
    if found is None:
        return None
    if found.is_due:
        await _note_use(database, found.caller, now)
    return found.caller


async def look_again(database: Database, secret: str, *, now: datetime) -> Caller | None:
    """As `find_caller`, for what lasts: that somebody listens does not keep a session alive."""
    found = await _find(database, secret, now=now)
    return None if found is None else found.caller


async def _find(database: Database, secret: str, *, now: datetime) -> Found | None:
    find = find_session if secret.startswith(sessions.PREFIX) else find_token
    async with database.read() as session:
        return await find(session, secret, now=now)


async def _note_use(database: Database, caller: Caller, now: datetime) -> None:
    async with database.transaction(caller.tenant_id) as session:
        if caller.token_id is not None:
            await touch_token(session, caller.token_id, now=now)
        elif caller.tenant_id is not None and caller.session_id is not None:
            await touch_session(
                session, tenant_id=caller.tenant_id, session_id=caller.session_id, now=now
            )
