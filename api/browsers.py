"""What browsers send by themselves: cookies, and from which site a request comes."""

from typing import Final

from starlette.requests import HTTPConnection, Request

from api.web_settings import origin_of

SESSION_COOKIE: Final = "__Host-homerow"
CSRF_HEADER: Final = "X-Homerow-Csrf"
"""Any text in it will do: no form of another site can send a header of its own."""


def read_cookie(request: HTTPConnection, name: str) -> str | None:
    """None as well where there are two of the name: then somebody else has set one of them."""
    given = [
        value.strip()
        for header in request.headers.getlist("cookie")
        for key, is_pair, value in (part.partition("=") for part in header.split(";"))
        if is_pair and key.strip() == name
    ]
    return given[0] or None if len(given) == 1 else None


def is_of_same_origin(request: Request, public_origin: str | None) -> bool:
    """Whether a page of ours has sent it, as far as browsers tell.

    Those that say no Sec-Fetch-Site say at least the Origin. Without a public origin, which a
    developer's machine may be, ours is where the request has come to.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("origin") == own_origin(request, public_origin)


def own_origin(connection: HTTPConnection, public_origin: str | None) -> str | None:
    """Without a public origin: where the connection has come to."""
    scheme = {"ws": "http", "wss": "https"}.get(connection.url.scheme, connection.url.scheme)
    return public_origin or origin_of(str(connection.base_url.replace(scheme=scheme)))
