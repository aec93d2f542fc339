"""Who has signed in with this browser."""

from starlette.requests import Request

from api.signing_in.cookies import read_session
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.people.callers import Caller
from domain.people.credentials import find_caller


async def visitor(site: Site, request: Request) -> Caller | None:
    """None: nobody, or their session is over."""
    token = read_session(request)
    if token is None:
        return None
    caller = await find_caller(site.resources.database, token, now=utc_now())
    return caller if caller is not None and caller.is_person else None
