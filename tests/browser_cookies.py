"""Origins, sites and cookies as browsers see them (RFC 6265bis, and Chromium where it differs)."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_MOST_SECONDS: Final = 400 * 86400
_YOUNG_SECONDS: Final = 120


def origin_of(url: str) -> str:
    """Without the scheme's own port."""
    parts = urlsplit(url)
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"


def site_of(url: str) -> tuple[str, str]:
    """Scheme and registrable domain: ports do not count, an address is a site of its own.

    All top-level domains of tests are as `.example`: the registrable domain has two labels.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme, host if _is_address(host) else ".".join(host.split(".")[-2:])


def is_same_site(one: str, other: str) -> bool:
    return site_of(one) == site_of(other)


def is_trustworthy(url: str) -> bool:
    """Encrypted, or this machine itself, which cookies that are Secure do not tell apart."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Cookie:
    """`is_host_only`: it was set without a Domain. `expires_at` None: it ends with the browser.

    `same_site` is empty where nothing was said: Lax, but for its first two minutes weaker.
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    is_host_only: bool = True
    is_secure: bool = False
    is_http_only: bool = False
    same_site: str = ""
    set_at: float = 0.0
    expires_at: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.domain, self.path

    def is_of(self, parts: SplitResult) -> bool:
        host, path = parts.hostname or "", parts.path or "/"
        is_below = path.startswith(self.path if self.path.endswith("/") else f"{self.path}/")
        is_host = host == self.domain or (
            not self.is_host_only and host.endswith(f".{self.domain}")
        )
        return is_host and (path == self.path or is_below)


@dataclass(frozen=True, slots=True)
class Context:
    """`is_same_site`: whoever asks is of the site that is asked, or it is the person themselves."""

    is_same_site: bool
    is_navigation: bool
    method: str

    def brings(self, cookie: Cookie, now: float) -> bool:
        if self.is_same_site or cookie.same_site == "none":
            return True
        if not self.is_navigation or cookie.same_site == "strict":
            return False
        is_young = not cookie.same_site and now - cookie.set_at <= _YOUNG_SECONDS
        return self.method in {"GET", "HEAD"} or is_young

    def may_set(self, cookie: Cookie) -> bool:
        return self.is_same_site or self.is_navigation or cookie.same_site == "none"


class Jar:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def all(self) -> list[Cookie]:
        now = self._clock()
        return [
            cookie
            for cookie in self._cookies.values()
            if cookie.expires_at is None or cookie.expires_at > now
        ]

    def find(self, name: str, url: str) -> Cookie | None:
        """The cookie that the address would get first."""
        return next((one for one in self._for(url) if one.name == name), None)

    def header(self, url: str, context: Context) -> str:
        """Empty where nothing is sent."""
        sent = [cookie for cookie in self._for(url) if context.brings(cookie, self._clock())]
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sent)

    def for_script(self, url: str) -> str:
        """What `document.cookie` says on a page there."""
        seen = [cookie for cookie in self._for(url) if not cookie.is_http_only]
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in seen)

    def _for(self, url: str) -> list[Cookie]:
        parts, may_be_secure = urlsplit(url), is_trustworthy(url)
        found = [
            cookie
            for cookie in self.all()
            if cookie.is_of(parts) and (may_be_secure or not cookie.is_secure)
        ]
        return sorted(found, key=lambda cookie: -len(cookie.path))

    def take(self, text: str, url: str, context: Context) -> bool:
        """Keep a Set-Cookie, or forget what it says is over; False where it is refused."""
        cookie = _parsed(text, url, self._clock())
        if cookie is None or not context.may_set(cookie) or self._harms(cookie, url):
            return False
        self._cookies[cookie.key] = cookie
        return True

    def put(self, cookie: Cookie) -> None:
        """As somebody with the browser in their hands can."""
        self._cookies[cookie.key] = cookie

    def forget(self, name: str) -> None:
        """Every cookie of the name, wherever it is from."""
        self._cookies = {key: one for key, one in self._cookies.items() if one.name != name}

    def restart(self) -> None:
        """The browser was closed, and is opened again."""
        self._cookies = {
            key: one for key, one in self._cookies.items() if one.expires_at is not None
        }

    def _harms(self, cookie: Cookie, url: str) -> bool:
        """An unencrypted page cannot put its cookie in the place of a Secure one."""
        return not is_trustworthy(url) and any(
            one.is_secure and one.name == cookie.name and one.is_of(urlsplit(url))
            for one in self.all()
        )


def _parsed(text: str, url: str, now: float) -> Cookie | None:
    """None where the rules refuse it."""
    pair, *rest = text.split(";")
    name, is_pair, value = (part.strip() for part in pair.partition("="))
    said = {key.strip().lower(): to.strip() for key, _, to in (one.partition("=") for one in rest)}
    parts = urlsplit(url)
    host, domain = parts.hostname or "", said.get("domain", "").lower().removeprefix(".")
    path = said.get("path", "")
    cookie = Cookie(
        name,
        value,
        domain or host,
        path if path.startswith("/") else parts.path[: parts.path.rfind("/")] or "/",
        is_host_only=not domain or (domain == host and _is_address(host)),
        is_secure="secure" in said,
        is_http_only="httponly" in said,
        same_site=_same_site(said.get("samesite", "")),
        set_at=now,
    )
    if not is_pair or not name or not _is_allowed(cookie, host, url, has_path="path" in said):
        return None
    return replace(cookie, expires_at=_expiry(said, now))


def _same_site(said: str) -> str:
    return said.lower() if said.lower() in {"strict", "lax", "none"} else ""


def _is_allowed(cookie: Cookie, host: str, url: str, *, has_path: bool) -> bool:
    is_own = cookie.is_host_only or (
        (host == cookie.domain or host.endswith(f".{cookie.domain}"))
        and ("." in cookie.domain or cookie.domain == host)
        and not _is_address(host)
    )
    needs_secure = cookie.same_site == "none" or cookie.name.lower().startswith(
        ("__secure-", "__host-")
    )
    for_host = has_path and cookie.path == "/" and cookie.is_host_only
    return (
        is_own
        and (not cookie.is_secure or is_trustworthy(url))
        and (not needs_secure or cookie.is_secure)
        and (not cookie.name.lower().startswith("__host-") or for_host)
    )


def _expiry(said: dict[str, str], now: float) -> float | None:
    if "max-age" in said:
        return now + min(int(said["max-age"]), _MOST_SECONDS)
    if "expires" in said:
        return parsedate_to_datetime(said["expires"]).timestamp()
    return None
