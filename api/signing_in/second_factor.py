"""The page on which a super admin sets up the second factor, or switches it off."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.signing_in.endpoints import Wrong, read_form
from api.signing_in.pages import Link, message, page
from api.signing_in.site import Site
from api.signing_in.visitors import visitor
from domain.clock import utc_now
from domain.errors import InvalidInput
from domain.people.callers import Caller
from domain.signing_in import second_factor

_KIND: Final = "second-factor"
_SECONDS: Final = 600
_TRIES, _TRY_SECONDS = 10, 15 * 60
_BACK: Final = Link("Back", "/landing")


async def show(site: Site, request: Request) -> Response:
    """GET /second-factor."""
    admin = await _super_admin(site, request)
    return await _page(site, admin) if admin else RedirectResponse("/", 303)


async def change(site: Site, request: Request) -> Response:
    """POST /second-factor."""
    admin = await _super_admin(site, request)
    if admin is None:
        return RedirectResponse("/", 303)
    form = await read_form(request)
    key = f"second factor {admin.account_id}"
    if not await site.resources.throttle.count(key, _TRIES, _TRY_SECONDS):
        raise Wrong(429, "There were too many tries", "Wait a quarter of an hour.", _BACK)
    code, is_on = form.get("code", ""), form.get("act") == "on"
    try:
        await (_switch_on if is_on else _switch_off)(site, admin, code)
    except InvalidInput as wrong:
        return await _page(site, admin, str(wrong))
    state = "on: you are asked for a code when you sign in" if is_on else "off"
    return message("Second factor", f"It is {state}.", _BACK)


class Admin(NamedTuple):
    """A super admin who is here."""

    tenant_id: UUID
    account_id: UUID
    caller: Caller


async def _super_admin(site: Site, request: Request) -> Admin | None:
    caller = await visitor(site, request)
    if caller is None or caller.tenant_id is None or caller.account_id is None:
        return None
    return Admin(caller.tenant_id, caller.account_id, caller)


async def _sealed(site: Site, admin: Admin) -> bytes | None:
    tenant_id, account_id, _ = admin
    async with site.resources.database.read(tenant_id) as session:
        name = await second_factor.name_of(session, tenant_id=tenant_id, account_id=account_id)
        row: Any = (
            await session.execute(text("SELECT * FROM find_account(:name)"), {"name": name})
        ).one()
    sealed: bytes | None = row.totp_sealed
    return sealed


async def _page(site: Site, admin: Admin, problem: str | None = None) -> Response:
    tenant_id, account_id, _ = admin
    is_on = await _sealed(site, admin) is not None
    secret = uri = ""
    if not is_on:
        # Kept here until a code proves that the authenticator has it.
        kept = await site.resources.one_time.take(_KIND, str(account_id))
        secret = kept["secret"] if kept else second_factor.new_secret()
        await site.resources.one_time.put(_KIND, str(account_id), {"secret": secret}, _SECONDS)
        async with site.resources.database.read(tenant_id) as session:
            name = await second_factor.name_of(session, tenant_id=tenant_id, account_id=account_id)
        uri = second_factor.uri_of(secret, name=name)
    return page(
        "second_factor",
        status=400 if problem else 200,
        title="Second factor",
        is_on=is_on,
        secret=secret,
        uri=uri,
        problem=problem,
    )


async def _switch_on(site: Site, admin: Admin, code: str) -> None:
    tenant_id, account_id, caller = admin
    kept = await site.resources.one_time.take(_KIND, str(account_id))
    if kept is None:
        raise InvalidInput("code", "This took too long: add the new key to your authenticator.")
    try:
        async with site.resources.database.transaction(tenant_id) as session:
            await second_factor.switch_on(
                session,
                tenant_id=tenant_id,
                account_id=account_id,
                secret=kept["secret"],
                code=code,
                keys=site.resources.keys,
                caller=caller,
                now=utc_now(),
            )
    except InvalidInput:
        await site.resources.one_time.put(_KIND, str(account_id), kept, _SECONDS)
        raise


async def _switch_off(site: Site, admin: Admin, code: str) -> None:
    tenant_id, account_id, caller = admin
    sealed = await _sealed(site, admin)
    if sealed is None:
        return
    async with site.resources.database.transaction(tenant_id) as session:
        is_good = await second_factor.use_code(
            session,
            tenant_id=tenant_id,
            account_id=account_id,
            sealed=sealed,
            code=code,
            keys=site.resources.keys,
            now=utc_now(),
        )
        if is_good:
            await second_factor.switch_off(
                session, tenant_id=tenant_id, account_id=account_id, caller=caller
            )
    if not is_good:
        raise InvalidInput("code", second_factor.WRONG)
