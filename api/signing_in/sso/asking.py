"""What a request to sign in with a provider asks for, and whether it may."""

from typing import NamedTuple
from uuid import UUID

from starlette.requests import Request

from api.signing_in.returning import Return, ReturnRefused, check_return
from api.signing_in.site import Site
from api.signing_in.sso import words
from api.signing_in.sso.words import Stopped
from domain.people.models import SignInMethodName
from domain.signing_in.methods import find_enabled
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.signing_in import Refusal
from domain.tenants.service import find_tenant_id


class Entry(NamedTuple):
    """Whose sign-in page it was, or why nobody gets in there. `hint` is the tenant's only key."""

    tenant_id: UUID | None = None
    slug: str | None = None
    hint: str | None = None
    refusal: Refusal | None = None


def single(request: Request, name: str) -> str | None:
    """None where it is empty as well. Raises Stopped where it is said several times."""
    said = request.query_params.getlist(name)
    if len(said) > 1:
        raise Stopped(words.REPEATED)
    return said[0] if said and said[0] else None


def read_return(site: Site, request: Request) -> Return:
    """Raises Stopped for a place that we send nobody to."""
    url, challenge = single(request, "return_to"), single(request, "code_challenge")
    try:
        return check_return(url, challenge, origins=site.web.cors_origins)
    except ReturnRefused as error:
        raise Stopped(words.BAD_RETURN) from error


async def find_entry(site: Site, slug: str | None, method: SignInMethodName) -> Entry:
    """Without a slug, the tenant is found later by what the provider says."""
    if slug is None:
        return Entry()
    database = site.resources.database
    async with database.read() as session:
        tenant_id = await find_tenant_id(session, slug)
    if tenant_id is None:
        return Entry(refusal=Refusal.because(RefusalReason.UNKNOWN_TENANT))
    async with database.read(tenant_id) as session:
        enabled = await find_enabled(session, tenant_id, method)
    if enabled is None:
        return Entry(refusal=Refusal.because(RefusalReason.METHOD_OFF, tenant_id))
    return Entry(tenant_id, slug, hint=enabled.keys[0] if len(enabled.keys) == 1 else None)
