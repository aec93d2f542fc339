"""The pages of who signs in with a password: the form, the second factor, and new passwords."""

import secrets
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.signing_in.choosing import Place, find_place, sign_in_page, wanted_by
from api.signing_in.cookies import read_login, set_login
from api.signing_in.endpoints import Wrong, address_of, read_form
from api.signing_in.finishing import finish_sign_in, refuse
from api.signing_in.pages import ELSEWHERE, Link, message, page
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput
from domain.signing_in.links import FoundLink, find_link, request_reset, set_password
from domain.signing_in.password_sign_in import Try, sign_in_with_password
from domain.signing_in.passwords import LEAST
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal, SignedIn
from domain.tenants.service import get_tenant

_CODE_KIND: Final = "password-code"
_CODE_SECONDS: Final = 300
_AGAIN: Final = frozenset({RefusalReason.WRONG_PASSWORD, RefusalReason.LOCKED_OUT})
_STATUS: Final = {RefusalReason.LOCKED_OUT: 429}


class Checked(msgspec.Struct):
    """Whose password was right a moment ago: only the code of the second factor is missing."""

    slug: str
    name: str
    wanted: dict[str, str]


async def sign_in(site: Site, request: Request) -> Response:
    """POST /t/{slug}/password."""
    place = await find_place(site, request.path_params["slug"])
    form = await read_form(request)
    wanted = wanted_by(site, form)
    attempt = Try(
        name=form.get("name", ""),
        password=form.get("password", ""),
        code=None,
        address=address_of(request),
        client=request.headers.get("user-agent"),
    )
    outcome = await _try(site, place, attempt)
    if isinstance(outcome, SignedIn):
        return await finish_sign_in(site, request, outcome, **wanted.carried())
    if outcome.reason is RefusalReason.SECOND_FACTOR_NEEDED:
        checked = Checked(place.slug, attempt.name, wanted.carried())
        return await _ask_for_code(site, request, checked)
    if outcome.reason in _AGAIN:
        return await sign_in_page(
            site,
            place,
            wanted,
            name=attempt.name,
            problem=outcome.message,
            status=_STATUS.get(outcome.reason, 403),
        )
    return await refuse(site, request, outcome)


async def _try(site: Site, place: Place, attempt: Try) -> SignedIn | Refusal:
    resources = site.resources
    return await sign_in_with_password(
        resources.database,
        resources.keys,
        resources.throttle,
        tenant_id=place.tenant_id,
        attempt=attempt,
        now=utc_now(),
    )


async def _ask_for_code(
    site: Site, request: Request, checked: Checked, problem: str | None = None
) -> Response:
    """What is known so far is kept for the browser's cookie, so that no page carries it."""
    binding = read_login(request) or secrets.token_urlsafe(32)
    kept = msgspec.to_builtins(checked)
    await site.resources.one_time.put(_CODE_KIND, binding, kept, _CODE_SECONDS)
    response = page(
        "code",
        status=403 if problem else 200,
        title="Type the code of your authenticator",
        slug=checked.slug,
        problem=problem,
    )
    set_login(response, binding)
    return response


async def type_code(site: Site, request: Request) -> Response:
    """POST /t/{slug}/code."""
    place = await find_place(site, request.path_params["slug"])
    form = await read_form(request)
    binding = read_login(request)
    kept = await site.resources.one_time.take(_CODE_KIND, binding) if binding else None
    if kept is None or kept["slug"] != place.slug:
        again = Link(f"Sign in to {place.display_name}", f"/t/{place.slug}")
        raise Wrong(403, "This took too long", "Type your name and password again.", again)
    checked = msgspec.convert(kept, Checked)
    attempt = Try(
        name=checked.name,
        password="",
        code=form.get("code") or "-",
        address=address_of(request),
        client=request.headers.get("user-agent"),
        is_checked=True,
    )
    outcome = await _try(site, place, attempt)
    if isinstance(outcome, SignedIn):
        return await finish_sign_in(site, request, outcome, **checked.wanted)
    if outcome.reason is RefusalReason.WRONG_CODE:
        return await _ask_for_code(site, request, checked, outcome.message)
    return await refuse(site, request, outcome)


async def begin_again(_: Site, request: Request) -> Response:
    """GET of what only a form opens: somebody has loaded the page anew."""
    return RedirectResponse(f"/t/{request.path_params['slug']}", 303)


async def ask_reset(site: Site, request: Request) -> Response:
    """GET /t/{slug}/forgotten."""
    place = await find_place(site, request.path_params["slug"])
    return page("forgotten", title="Choose a new password", slug=place.slug)


async def send_reset(site: Site, request: Request) -> Response:
    """POST /t/{slug}/forgotten: the same answer for every name."""
    place = await find_place(site, request.path_params["slug"])
    form = await read_form(request)
    await request_reset(
        site.resources.database,
        site.resources.throttle,
        tenant_id=place.tenant_id,
        name=form.get("name", ""),
        public_url=site.public_url(request),
        address=address_of(request),
        now=utc_now(),
    )
    return message(
        "Look into your mail",
        "If this name has an account here with a mail address, a link is on its way. It is good"
        " for an hour. Nothing came? Ask your district's administrator.",
        Link(f"Back to {place.display_name}", f"/t/{place.slug}"),
    )


async def show_link(site: Site, request: Request) -> Response:
    """GET /account-links/{token}: only looked at, so that a mail scanner uses nothing up."""
    await _find(site, request)
    return _new_password()


async def use_link(site: Site, request: Request) -> Response:
    """POST /account-links/{token}."""
    found = await _find(site, request)
    form = await read_form(request)
    password = form.get("password", "")
    if password != form.get("again"):
        return _new_password("The two passwords are not the same.")
    try:
        await set_password(
            site.resources.database,
            found,
            password,
            now=utc_now(),
            throttle=site.resources.throttle,
        )
    except InvalidInput as wrong:
        return _new_password(str(wrong))
    except Conflict:
        raise _gone() from None
    return message("Your password is set", "Sign in with it now.", await _home(site, found))


async def _find(site: Site, request: Request) -> FoundLink:
    found = await find_link(site.resources.database, request.path_params["token"])
    if found is None:
        raise _gone()
    return found


def _gone() -> Wrong:
    return Wrong(
        410,
        "This link cannot be used any more",
        "It was used already, or its time is over. Ask for a new one on the sign-in page of your"
        " district or school, or ask who has invited you.",
        ELSEWHERE,
    )


def _new_password(problem: str | None = None) -> Response:
    return page(
        "new_password",
        status=400 if problem else 200,
        title="Choose a password",
        least=LEAST,
        problem=problem,
    )


async def _home(site: Site, found: FoundLink) -> Link:
    async with site.resources.database.read(found.tenant_id) as session:
        tenant = await get_tenant(session, tenant_id=found.tenant_id)
    return Link(f"Sign in to {tenant.display_name}", f"/t/{tenant.slug}")
