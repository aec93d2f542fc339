"""Signing in with Clever, ClassLink, Google and Microsoft."""

from collections.abc import Callable
from typing import Final

from starlette.routing import Route

from api.signing_in.endpoints import route
from api.signing_in.site import Client, SignInSettings, Site
from api.signing_in.sso.classlink import classlink
from api.signing_in.sso.clever import clever
from api.signing_in.sso.flow import Flow
from api.signing_in.sso.google import google
from api.signing_in.sso.microsoft import microsoft
from api.signing_in.sso.providers import Provider
from domain.people.models import SignInMethodName

_MAKERS: Final[dict[SignInMethodName, Callable[[Client, SignInSettings], Provider]]] = {
    SignInMethodName.CLEVER: lambda client, settings: clever(
        client, oauth_url=_bare(settings.clever_url), api_url=_bare(settings.clever_api_url)
    ),
    SignInMethodName.CLASSLINK: lambda client, settings: classlink(
        client,
        sso_url=_bare(settings.classlink_url),
        info_url=_bare(settings.classlink_info_url),
    ),
    SignInMethodName.GOOGLE: lambda client, settings: google(
        client, url=_bare(settings.google_url)
    ),
    SignInMethodName.MICROSOFT: lambda client, settings: microsoft(
        client, url=_bare(settings.microsoft_url)
    ),
}


def sso_routes(site: Site) -> list[Route]:
    """GET /sign-in/{method} and GET /sign-in/{method}/callback."""
    flow = Flow(
        site,
        {
            name.value.lower(): make(site.settings.clients[name], site.settings)
            if name in site.settings.clients
            else None
            for name, make in _MAKERS.items()
        },
    )
    return [
        route(site, "/sign-in/{method}", lambda _, request: flow.start(request)),
        route(site, "/sign-in/{method}/callback", lambda _, request: flow.come_back(request)),
    ]


def _bare(url: str) -> str:
    return url.rstrip("/")
