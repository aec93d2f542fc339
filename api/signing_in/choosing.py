"""Where to sign in: the list of districts and schools, and the sign-in page of each."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.signing_in.endpoints import Wrong, address_of
from api.signing_in.pages import ELSEWHERE, page
from api.signing_in.returning import Return, ReturnRefused, check_return
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.people.models import SignInMethodName
from domain.signing_in.methods import enabled_methods
from domain.throttle import ThrottleUnavailable

TITLES: Final = {
    SignInMethodName.CLEVER: "Clever",
    SignInMethodName.CLASSLINK: "ClassLink",
    SignInMethodName.GOOGLE: "Google",
    SignInMethodName.MICROSOFT: "Microsoft",
}
AT_ONCE: Final = 50
_LONGEST_SEARCH: Final = 100
_SEARCHES, _SECONDS = 600, 60
"""So many searches from one address within so many seconds.

A whole district may come from one address, and all of it when the first lesson begins.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a tenant shows to everybody. `live_on` is there until the day has come."""

    tenant_id: UUID
    slug: str
    display_name: str
    live_on: str | None


async def choose(site: Site, request: Request) -> Response:
    """GET /, with what is searched for."""
    with suppress(ThrottleUnavailable):
        key = f"search {address_of(request)}"
        if not await site.resources.throttle.count(key, _SEARCHES, _SECONDS):
            raise Wrong(429, "Too many searches", "Wait a minute, and try again.")
    search = _printable(request.query_params.get("search", ""))
    async with site.resources.database.read() as session:
        rows = (
            await session.execute(
                text("SELECT * FROM search_tenants(:text, :most)"),
                {"text": search, "most": AT_ONCE + 1},
            )
        ).all()
    places = [
        {"slug": row.slug, "label": ", ".join(filter(None, (row.school, row.display_name)))}
        for row in rows[:AT_ONCE]
    ]
    return page(
        "choose",
        title="Choose your district or school",
        search=search,
        places=places,
        has_more=len(rows) > AT_ONCE,
    )


def _printable(search: str) -> str:
    return "".join(filter(str.isprintable, search)).strip()[:_LONGEST_SEARCH]


async def go(_: Site, request: Request) -> Response:
    """GET /go?slug=…: what the list's form asks for, since a form cannot make a path."""
    slug = request.query_params.get("slug", "")
    return RedirectResponse(f"/t/{quote(slug, safe='')}" if slug else "/", 303)


async def show_sign_in(site: Site, request: Request) -> Response:
    """GET /t/{slug}, with where to go then."""
    place = await find_place(site, request.path_params["slug"])
    return await sign_in_page(site, place, wanted_by(site, request.query_params))


def wanted_by(site: Site, given: Mapping[str, str]) -> Return:
    """Raises Wrong."""
    try:
        return check_return(
            given.get("return_to"), given.get("code_challenge"), origins=site.web.cors_origins
        )
    except ReturnRefused:
        raise Wrong(
            400,
            "This link cannot be used",
            "The link says where to go after signing in, and that is no place that this site"
            " knows. Go back to where you found the link and tell those who look after it.",
        ) from None


async def find_place(site: Site, slug: str) -> Place:
    """Raises Wrong for what is no tenant, or not any more."""
    async with site.resources.database.read() as session:
        row = (
            await session.execute(
                text("SELECT * FROM describe_tenant(:slug)"), {"slug": slug.replace("\x00", "")}
            )
        ).one_or_none()
    if row is None:
        raise Wrong(
            404,
            "There is no such district or school",
            "The address may be wrong, or the district or school may not use this product any"
            " more. Look for it in the list, or ask your school.",
            ELSEWHERE,
        )
    today = utc_now().astimezone(ZoneInfo(row.time_zone)).date()
    opens = row.go_live_on
    live_on = f"{opens:%B} {opens.day}, {opens.year}" if opens and opens > today else None
    return Place(row.tenant_id, slug, row.display_name, live_on)


async def sign_in_page(
    site: Site,
    place: Place,
    wanted: Return,
    *,
    name: str = "",
    problem: str | None = None,
    status: int = 200,
) -> Response:
    async with site.resources.database.read(place.tenant_id) as session:
        enabled = await enabled_methods(session, place.tenant_id)
    carried = wanted.carried()
    providers = [
        {
            "title": TITLES[method.name],
            "url": f"/sign-in/{method.name.value.lower()}?"
            + urlencode({"tenant": place.slug, **carried}),
        }
        for method in enabled
        if method.name in site.settings.clients
    ]
    return page(
        "sign_in",
        status=status,
        title=f"Sign in to {place.display_name}",
        place=place,
        live_on=place.live_on,
        providers=providers,
        carried=carried,
        typed=name,
        problem=problem,
    )
