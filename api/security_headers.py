"""The headers that every answer has, and what a page of ours may bring along: no scripts."""

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.web_settings import WebSettings, origin_of

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(),"
        " magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
    ),
}
_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
GRAPHIQL_POLICY: Final = (
    "default-src 'none'; script-src https: 'unsafe-inline' 'unsafe-eval'; "
    "style-src https: 'unsafe-inline'; font-src https: data:; img-src https: data:; "
    "connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'"
)
"""GraphiQL's page brings its scripts and styles from elsewhere; only a developer ever sees it."""


class SecurityHeaders:
    """An answer may be kept, and have another policy, only where it says so itself."""

    def __init__(self, app: ASGIApp, *, web: WebSettings) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        self._page_policy = _page_policy(web)
        if not web.is_local:
            self._headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_to(message)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add_to(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(scope=message)
        is_page = headers.get("content-type", "").startswith("text/html")
        headers.update(self._headers)
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("Content-Security-Policy", self._page_policy if is_page else _POLICY)
        # With "no-referrer" a browser would send our own forms with the Origin "null".
        headers["Referrer-Policy"] = "same-origin" if is_page else "no-referrer"


def _page_policy(web: WebSettings) -> str:
    """Forms end at our own site, or are sent on to where people land and to the frontends."""
    landing = origin_of(web.landing_url) if web.landing_url else None
    targets = sorted(web.cors_origins | ({landing} if landing else set()))
    return "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(("form-action 'self'", *targets)),
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )
