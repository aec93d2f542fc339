"""The two cookies: the session, and a sign-in that is under way.

Both are for this host alone (`__Host-`), out of reach of scripts, and travel to us from other
sites only when somebody follows a link: providers send people back to us by links.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.browsers import SESSION_COOKIE, read_cookie
from domain.signing_in.signing_in import SignedIn

LOGIN_COOKIE: Final = "__Host-homerow-login"
LOGIN_SECONDS: Final = 600


def set_session(response: Response, signed_in: SignedIn) -> None:
    """It ends with the browser; how long it is good at the most, the session's row says."""
    _set(response, SESSION_COOKIE, signed_in.token)


def read_session(request: Request) -> str | None:
    return read_cookie(request, SESSION_COOKIE)


def clear_session(response: Response) -> None:
    _set(response, SESSION_COOKIE, "", seconds=0)


def set_login(response: Response, value: str) -> None:
    _set(response, LOGIN_COOKIE, value, seconds=LOGIN_SECONDS)


def read_login(request: Request) -> str | None:
    return read_cookie(request, LOGIN_COOKIE)


def clear_login(response: Response) -> None:
    _set(response, LOGIN_COOKIE, "", seconds=0)


def _set(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax"
    )
