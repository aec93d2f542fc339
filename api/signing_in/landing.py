"""After signing in: on to the training application, or a choice of where to go; and out again."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.graphql.change_parts import TYPE_CODES
from api.graphql.node import TENANT_CODE, encode_id
from api.signing_in.cookies import clear_login, clear_session
from api.signing_in.endpoints import read_form
from api.signing_in.pages import ELSEWHERE, message, page
from api.signing_in.site import Site
from api.signing_in.visitors import visitor
from api.web_settings import origin_of
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.people.audit import record_act
from domain.people.callers import Caller, CallerRole
from domain.people.sessions import end_sessions
from domain.roster.records import RecordType
from domain.signing_in.deciding import ADMINISTRATORS
from domain.signing_in.landing import Landing, PlaceKind, Spot, choose_place, landing_of
from domain.signing_in.launch import TENANT_CLAIM, launch_token
from domain.tenants.service import get_tenant

_CODES: Final = {
    PlaceKind.GROUP: TYPE_CODES[RecordType.GROUP],
    PlaceKind.SCHOOL: TYPE_CODES[RecordType.SCHOOL],
}


async def land(site: Site, request: Request) -> Response:
    """GET /landing."""
    caller = await visitor(site, request)
    if caller is None or caller.tenant_id is None:
        return RedirectResponse("/", 303)
    return await _land(site, request, caller, caller.tenant_id)


async def _land(site: Site, request: Request, caller: Caller, tenant_id: UUID) -> Response:
    landing = await _landing(site, caller, tenant_id)
    if landing.spot is None or caller.user_id is None or site.web.landing_url is None:
        return _page(caller, landing)
    async with site.resources.database.transaction(tenant_id) as session:
        token = await launch_token(
            session,
            site.resources.keys,
            site.resources.one_time,
            claims={
                "iss": site.public_url(request).rstrip("/"),
                "aud": audience_of(site),
                "roles": sorted(role.value for role in caller.roles),
                **await _claims(session, tenant_id, caller.user_id, landing.spot),
            },
            now=utc_now(),
        )
    parts = urlsplit(site.web.landing_url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("launch", token)]
    response = RedirectResponse(urlunsplit(parts._replace(query=urlencode(query))), 303)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _landing(site: Site, caller: Caller, tenant_id: UUID) -> Landing:
    if caller.user_id is None:
        return Landing(None, [])
    async with site.resources.database.read(tenant_id) as session:
        return await landing_of(session, tenant_id=tenant_id, user_id=caller.user_id)


async def _claims(
    session: AsyncSession, tenant_id: UUID, user_id: UUID, spot: Spot
) -> dict[str, Any]:
    """Who it is and where they go: ids as the API gives them, and no name of anybody."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    return {
        "sub": encode_id(TYPE_CODES[RecordType.USER], tenant_id, user_id),
        "tenant": tenant.slug,
        "tenant_id": encode_id(TENANT_CODE, tenant_id, tenant_id),
        TENANT_CLAIM: str(tenant_id),
        spot.kind.value.lower(): encode_id(_CODES[spot.kind], tenant_id, spot.id),
    }


def audience_of(site: Site) -> str:
    """Whom launch tokens are for: the origin of the training application."""
    return origin_of(site.web.landing_url or "") or ""


def _page(caller: Caller, landing: Landing, problem: str | None = None) -> Response:
    kinds = {spot.kind for spot in landing.choices}
    choices = [] if landing.spot else landing.choices
    return page(
        "landing",
        status=400 if problem else 200,
        title="Where do you want to go?" if choices else "You are signed in",
        name=caller.name,
        place=landing.spot.name if landing.spot else None,
        choices=[{"value": str(spot.id), "label": spot.name} for spot in choices],
        what="Your schools" if kinds == {PlaceKind.SCHOOL} else "Your groups",
        is_administrator=not caller.roles.isdisjoint(ADMINISTRATORS),
        has_second_factor=CallerRole.SUPER_ADMIN in caller.roles,
        problem=problem,
    )


async def choose(site: Site, request: Request) -> Response:
    """POST /landing: the choice is kept as the default group or school."""
    caller = await visitor(site, request)
    if caller is None or caller.tenant_id is None:
        return RedirectResponse("/", 303)
    form = await read_form(request)
    try:
        spot_id = _uuid(form.get("place", ""))
        database = site.resources.database.within(caller.reach)
        async with database.transaction(caller.tenant_id) as session:
            await choose_place(
                session, tenant_id=caller.tenant_id, spot_id=spot_id, caller=caller, now=utc_now()
            )
    except DomainError as error:
        return _page(caller, await _landing(site, caller, caller.tenant_id), str(error))
    return RedirectResponse("/landing", 303)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("place", "Choose one of your own groups or schools.") from None


async def ask_sign_out(_: Site, __: Request) -> Response:
    """GET /sign-out: a link of somebody else's signs nobody out."""
    return page("sign_out", title="Sign out")


async def sign_out(site: Site, request: Request) -> Response:
    """POST /sign-out."""
    caller = await visitor(site, request)
    if caller is not None and caller.tenant_id is not None:
        async with site.resources.database.transaction(caller.tenant_id) as session:
            await end_sessions(
                session,
                tenant_id=caller.tenant_id,
                session_id=caller.session_id,
                now=utc_now(),
            )
            record_act(session, tenant_id=caller.tenant_id, caller=caller, action="signOut")
    response = message(
        "You are signed out",
        "On a shared computer, sign out of Clever, ClassLink, Google or Microsoft as well.",
        ELSEWHERE,
    )
    clear_session(response)
    clear_login(response)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response
