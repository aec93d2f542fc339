"""A browser without a window: cookies, sites, redirects, forms and fetches as browsers do them.

It leaves this machine never: `network` says who answers for a host or an origin. A name that ends
in `.localhost` is this machine by itself. Pages are not run: a test does what a script would.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Self
from urllib.parse import urldefrag, urlencode, urljoin, urlsplit

import httpx2

from tests.browser_cookies import (
    Context,
    Jar,
    is_loopback,
    is_same_site,
    is_trustworthy,
    origin_of,
)
from tests.browser_pages import FORM, Page, page_of, policy_of

_MOST_REDIRECTS: Final = 20
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = frozenset({"GET", "HEAD"})
_SIMPLE_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_SIMPLE_TYPES: Final = frozenset({FORM, "multipart/form-data", "text/plain", ""})
_SIMPLE_HEADERS: Final = frozenset({"accept", "accept-language", "content-language"})
_TIMEOUT: Final = dict.fromkeys(("connect", "read", "write", "pool"), 15.0)
_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) Homerow-Test-Browser/1"

Network = Mapping[str, str | httpx2.AsyncBaseTransport]


class Blocked(Exception):
    """The browser refuses, for the sake of whoever sits before it."""


class Visit(NamedTuple):
    """A request as it was sent, and how it was answered."""

    method: str
    url: str
    headers: httpx2.Headers
    body: bytes
    status: int
    answer: httpx2.Headers


@dataclass(frozen=True, slots=True)
class _Navigation:
    """`initiator`: the page that led there; None where the person typed the address."""

    url: str
    initiator: Page | None
    method: str = "GET"
    body: bytes = b""
    kind: str = ""
    chain: tuple[str, ...] = ()
    policy: str = ""
    referrer: str | None = None
    is_form: bool = False

    def redirected(self, status: int, location: str, policy: str | None) -> "_Navigation":
        url = urljoin(self.url, location)
        is_changed = status == 303 or (status in {301, 302} and self.method == "POST")
        if is_changed and self.method not in _SAFE:
            return replace(self._to(url, policy), method="GET", body=b"", kind="")
        return self._to(url, policy)

    def _to(self, url: str, policy: str | None) -> "_Navigation":
        chain = (*self.chain, self.url)
        # What has been cut off the referrer once is gone for the rest of the way.
        referrer = _referrer(self.referrer, self.url, self.policy)
        return replace(self, url=url, chain=chain, policy=policy or self.policy, referrer=referrer)

    def headers(self) -> dict[str, str]:
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        if is_trustworthy(self.url):
            headers |= {
                "Sec-Fetch-Site": _relation(self.initiator, (*self.chain, self.url)),
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-User": "?1",
                "Sec-Fetch-Dest": "document",
            }
        if self.kind:
            headers["Content-Type"] = self.kind
        if self.method not in _SAFE:
            headers["Origin"] = self._origin()
        referrer = _referrer(self.referrer, self.url, self.policy)
        return {**headers, **({"Referer": referrer} if referrer else {})}

    def _origin(self) -> str:
        """Null for whoever typed the address, and after a redirect by somebody else."""
        if self.initiator is None:
            return "null"
        own = origin_of(self.initiator.url)
        hops = (*self.chain, self.url)
        is_tainted = any(
            origin_of(former) not in {own, origin_of(later)}
            for former, later in itertools.pairwise(hops)
        )
        return "null" if is_tainted else _origin_by_policy(own, self.url, self.policy)


def _from_page(page: Page, url: str) -> _Navigation:
    return _Navigation(url, page, policy=page.referrer_policy, referrer=page.url)


@dataclass(slots=True)
class Browser:
    """`page` is what is shown; `visits` is everything that was asked, the oldest first."""

    network: Network = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    visits: list[Visit] = field(default_factory=list)
    jar: Jar = field(init=False)
    _page: Page | None = field(init=False, default=None)
    _wire: httpx2.AsyncHTTPTransport = field(init=False)

    def __post_init__(self) -> None:
        self.jar = Jar(self.clock)
        # Certificates take long to read, and nothing on this machine needs them.
        self._wire = httpx2.AsyncHTTPTransport(verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.aclose()

    @property
    def page(self) -> Page:
        assert self._page is not None, "No page has been opened."
        return self._page

    @property
    def url(self) -> str:
        return self.page.url

    def show(self, url: str, html: str, headers: Mapping[str, str] | None = None) -> Page:
        """A page as if it had come from there, without asking anybody: somebody's trap, say."""
        kind = {"Content-Type": "text/html; charset=utf-8"}
        response = httpx2.Response(200, headers={**kind, **(headers or {})}, text=html)
        response.headers["Content-Type"] = kind["Content-Type"]
        self._page = page_of(url, response)
        return self._page

    async def get(self, url: str, *, stop_before: str | None = None) -> Page:
        """The person types an address. Redirects to what begins with `stop_before` wait."""
        return await self._navigate(_Navigation(urldefrag(url).url, None), stop_before)

    async def follow(self, url: str, *, stop_before: str | None = None) -> Page:
        """A link from the page that is shown, or its script, leads there."""
        page = self.page
        target = urldefrag(urljoin(page.url, url)).url
        start = _from_page(page, target)
        return await self._navigate(start, stop_before)

    async def click(self, what: str, *, stop_before: str | None = None) -> Page:
        """A link, by what is written there or by its href; or a button."""
        link = self.page.link(what)
        if link is not None:
            return await self.follow(link.href, stop_before=stop_before)
        [form] = [one for one in self.page.forms if one.has_button(what)]
        return await self.submit(form=form.action, button=what, stop_before=stop_before)

    async def submit(
        self,
        fields: Mapping[str, str] | None = None,
        *,
        form: str | None = None,
        button: str | None = None,
        stop_before: str | None = None,
    ) -> Page:
        """The form with these fields; where there are several, `form` is the action of one."""
        page, typed = self.page, fields or {}
        chosen = page.form(typed, form, button)
        entries = chosen.entries(typed, button)
        start = replace(_from_page(page, chosen.action), is_form=True)
        if chosen.method == "POST":
            body = chosen.body(entries)
            start = replace(start, method="POST", body=body, kind=chosen.kind)
        else:
            url = urlsplit(chosen.action)._replace(query=urlencode(entries))
            start = replace(start, url=url.geturl())
        return await self._navigate(start, stop_before)

    async def _navigate(self, step: _Navigation, stop_before: str | None) -> Page:
        for _ in range(_MOST_REDIRECTS + 1):
            if step.is_form and step.initiator and not step.initiator.lets_form_to(step.url):
                raise Blocked(f"form-action of {step.initiator.url} forbids {step.url}")
            is_same = step.initiator is None or is_same_site(step.initiator.url, step.url)
            context = Context(is_same, is_navigation=True, method=step.method)
            response = await self._ask(step.method, step.url, step.headers(), step.body, context)
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or location is None:
                self._page = page_of(step.url, response)
                return self._page
            onward = step.redirected(response.status_code, location, policy_of(response.headers))
            if stop_before is not None and onward.url.startswith(stop_before):
                self._page = replace(page_of(step.url, response), location=onward.url)
                return self._page
            step = onward
        raise Blocked("too many redirects")

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        mode: str = "cors",
        credentials: str = "same-origin",
    ) -> httpx2.Response:
        """As a script of the page that is shown does; redirects are not followed.

        Raises Blocked where the script is not given the answer. It was sent all the same, as
        `visits` shows, unless a question beforehand was not answered with a yes.
        """
        page, said = self.page, httpx2.Headers(headers or {})
        target = urljoin(page.url, url)
        is_own = origin_of(page.url) == origin_of(target)
        unusual = _unusual(method, said)
        if unusual and not is_own:
            if mode == "no-cors":
                raise Blocked(f"no-cors: {unusual}")
            await self._ask_first(target, method, unusual)
        sent = _fetch_headers(page, target, method, mode)
        with_cookies = credentials == "include" or (credentials == "same-origin" and is_own)
        context = Context(is_same_site(page.url, target), is_navigation=False, method=method)
        response = await self._ask(
            method, target, {**said, **sent}, content, context if with_cookies else None
        )
        if mode == "cors" and not is_own:
            _check_sharing(page, response, with_cookies=with_cookies)
        return response

    async def _ask_first(self, url: str, method: str, unusual: list[str]) -> None:
        """The preflight of CORS."""
        names = [name for name in unusual if name != method]
        asks = {"Access-Control-Request-Method": method}
        if names:
            asks["Access-Control-Request-Headers"] = ",".join(names)
        sent = _fetch_headers(self.page, url, "OPTIONS", "cors")
        response = await self._ask("OPTIONS", url, {**sent, **asks}, b"", None)
        _check_sharing(self.page, response, with_cookies=False)
        methods = response.headers.get_list("access-control-allow-methods", split_commas=True)
        allowed = response.headers.get_list("access-control-allow-headers", split_commas=True)
        refused = set(names) - {name.lower() for name in allowed}
        if not response.is_success or refused or method not in {*methods, *_SIMPLE_METHODS}:
            raise Blocked(f"CORS: {url} takes no {method} with {', '.join(names)}")

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        context: Context | None,
    ) -> httpx2.Response:
        """Without a context, cookies are neither sent nor kept."""
        cookies = self.jar.header(url, context) if context else ""
        sent = httpx2.Headers({"User-Agent": _AGENT, **headers})
        if cookies:
            sent["Cookie"] = cookies
        response = await self._send(method, url, sent, body)
        visit = Visit(method, url, sent, body, response.status_code, response.headers)
        self.visits.append(visit)
        if context:
            for text in response.headers.get_list("set-cookie"):
                self.jar.take(text, url, context)
        return response

    async def _send(
        self, method: str, url: str, headers: httpx2.Headers, body: bytes
    ) -> httpx2.Response:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise Blocked(f"{url} is nowhere that this browser goes")
        host = parts.hostname or ""
        way = self.network.get(origin_of(url)) or self.network.get(host)
        if way is None and is_loopback(host):
            way = "127.0.0.1" if host.endswith("localhost") else host
        if way is None:
            raise Blocked(f"nobody answers for {origin_of(url)}")
        transport, address = (
            (self._wire, _address(url, way)) if isinstance(way, str) else (way, url)
        )
        request = httpx2.Request(
            method,
            address,
            headers={"Host": origin_of(url).partition("://")[2], **headers},
            content=body,
            extensions={"timeout": _TIMEOUT},
        )
        response = await transport.handle_async_request(request)
        await response.aread()
        await response.aclose()
        return response


def _address(url: str, way: str) -> str:
    """`way` is another origin, or the address of the host."""
    parts = urlsplit(url)
    if "://" in way:
        to = urlsplit(way)
        return parts._replace(scheme=to.scheme, netloc=to.netloc).geturl()
    return parts._replace(netloc=f"{way}:{parts.port}" if parts.port else way).geturl()


def _relation(initiator: Page | None, chain: tuple[str, ...]) -> str:
    """Sec-Fetch-Site: a redirect by somebody else is not forgotten."""
    if initiator is None:
        return "none"
    if any(not is_same_site(initiator.url, url) for url in chain):
        return "cross-site"
    is_own = all(origin_of(initiator.url) == origin_of(url) for url in chain)
    return "same-origin" if is_own else "same-site"


def _is_downgrade(page_url: str, url: str) -> bool:
    return is_trustworthy(page_url) and not is_trustworthy(url)


def _referrer(source: str | None, url: str, policy: str) -> str | None:
    if source is None or policy == "no-referrer":
        return None
    is_own = origin_of(source) == origin_of(url)
    if policy == "same-origin" and not is_own:
        return None
    is_strict = policy not in {"unsafe-url", "origin", "origin-when-cross-origin", "same-origin"}
    if is_strict and _is_downgrade(source, url):
        return None
    is_short = policy in {"origin", "strict-origin"} or (
        policy.endswith("when-cross-origin") and not is_own
    )
    return f"{origin_of(source)}/" if is_short else urldefrag(source).url


def _origin_by_policy(own: str, url: str, policy: str) -> str:
    is_hidden = {
        "no-referrer": True,
        "same-origin": own != origin_of(url),
        "strict-origin": _is_downgrade(own, url),
        "strict-origin-when-cross-origin": _is_downgrade(own, url),
        "no-referrer-when-downgrade": _is_downgrade(own, url),
    }
    return "null" if is_hidden.get(policy, False) else own


def _unusual(method: str, headers: httpx2.Headers) -> list[str]:
    """What a form could not send as well, the names of headers in lower case."""
    names = [name.lower() for name in headers if name.lower() not in _SIMPLE_HEADERS]
    if headers.get("content-type", "").partition(";")[0].strip().lower() in _SIMPLE_TYPES:
        names = [name for name in names if name != "content-type"]
    return [*([] if method in _SIMPLE_METHODS else [method]), *names]


def _fetch_headers(page: Page, url: str, method: str, mode: str) -> dict[str, str]:
    headers = {"Accept": "*/*"}
    own = origin_of(page.url)
    if is_trustworthy(url):
        headers |= {
            "Sec-Fetch-Site": _relation(page, (url,)),
            "Sec-Fetch-Mode": mode,
            "Sec-Fetch-Dest": "empty",
        }
    if mode == "cors" and own != origin_of(url):
        headers["Origin"] = own
    elif method not in _SAFE:
        headers["Origin"] = _origin_by_policy(own, url, page.referrer_policy)
    referrer = _referrer(page.url, url, page.referrer_policy)
    return {**headers, **({"Referer": referrer} if referrer else {})}


def _check_sharing(page: Page, response: httpx2.Response, *, with_cookies: bool) -> None:
    """Raises Blocked unless the answer says that scripts of this origin may read it."""
    allowed = response.headers.get("access-control-allow-origin")
    is_named = allowed == origin_of(page.url)
    may_cookies = response.headers.get("access-control-allow-credentials") == "true"
    if not (is_named or (allowed == "*" and not with_cookies)) or (
        with_cookies and not may_cookies
    ):
        raise Blocked(f"CORS: scripts of {origin_of(page.url)} may not read this")
