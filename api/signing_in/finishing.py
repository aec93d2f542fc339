"""How a sign-in ends: with a new session, and never the former one; or with the reason."""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.signing_in.cookies import clear_login, clear_session, read_session, set_session
from api.signing_in.pages import ELSEWHERE, Link, message
from api.signing_in.returning import (
    Return,
    ReturnRefused,
    SessionKey,
    check_return,
    make_code,
)
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.database import Database
from domain.people.sessions import end_sessions, find_session
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal, SignedIn
from domain.tenants.service import get_tenant

LANDING: Final = "/landing"
_STATUS: Final = {RefusalReason.UNAVAILABLE: 503, RefusalReason.LOCKED_OUT: 429}


async def finish_sign_in(
    site: Site,
    request: Request,
    signed_in: SignedIn,
    *,
    return_to: str | None = None,
    code_challenge: str | None = None,
) -> Response:
    """On to where the person wanted to go. Raises OneTimeUnavailable.

    The browser's former session is over, whoever it was of. A session that a frontend on another
    site fetches leaves no cookie here.
    """
    await end_former(site.resources.database, request)
    try:
        wanted = check_return(return_to, code_challenge, origins=site.web.cors_origins)
    except ReturnRefused:
        wanted = Return()
    if wanted.code_challenge:
        key = SessionKey(signed_in.tenant_id, signed_in.session_id)
        url = await make_code(site.resources.one_time, wanted, key)
        response = RedirectResponse(url, 303)
        clear_session(response)
    else:
        response = RedirectResponse(wanted.url or LANDING, 303)
        set_session(response, signed_in)
    clear_login(response)
    response.headers["Cache-Control"] = "no-store"
    return response


async def end_former(database: Database, request: Request) -> None:
    """End the session of the browser's cookie, if it has one."""
    token, now = read_session(request), utc_now()
    if token is None:
        return
    async with database.read() as session:
        found = await find_session(session, token, now=now)
    if found is None or found.caller.tenant_id is None:
        return
    tenant_id = found.caller.tenant_id
    async with database.transaction(tenant_id) as session:
        await end_sessions(
            session, tenant_id=tenant_id, session_id=found.caller.session_id, now=now
        )


async def refuse(site: Site, request: Request, refusal: Refusal) -> Response:  # noqa: ARG001 - as finish_sign_in
    """The page that says why, and where to go from there."""
    links = [ELSEWHERE]
    if refusal.tenant_id is not None and refusal.reason is not RefusalReason.TENANT_CLOSED:
        async with site.resources.database.read(refusal.tenant_id) as session:
            tenant = await get_tenant(session, tenant_id=refusal.tenant_id)
        links.insert(0, Link(f"Sign in to {tenant.display_name}", f"/t/{tenant.slug}"))
    return message(
        "You are not signed in",
        refusal.message,
        *links,
        status=_STATUS.get(refusal.reason, 403),
        is_alarm=True,
    )
