"""The address of a request: taken apart to be judged, and sent byte for byte as it was given."""

import re
from typing import Final, NamedTuple
from urllib.parse import urljoin

from domain.roster.source import CredentialsRejected
from domain.validation.codes import Code

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)")
# Strict, so that no two readers can take one text for two hosts.
_AUTHORITY: Final = re.compile(
    r"(?:(?P<name>(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?)|\[(?P<literal>[0-9A-Fa-f:.]+)\])(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)
_LONGEST_HOST: Final = 253
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_PORT: Final = 65535


class Origin(NamedTuple):
    scheme: str
    host: str  # in lower case, without brackets
    port: int


class Address(NamedTuple):
    """`target` is what stands in the request line: path and query as they were given."""

    origin: Origin
    authority: str
    target: str

    @property
    def url(self) -> str:
        return f"{self.origin.scheme}://{self.authority}{self.target}"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def place(self) -> str:
        """Host and path: what may be shown. Queries may hold more than that."""
        return f"{self.authority}{self.path}"


def parse_address(url: str, *, allow_private: bool) -> Address:
    """The parts of the URL; CredentialsRejected for one that must not be asked."""
    match = _URL.fullmatch(url) if _SENDABLE.fullmatch(url) else None
    if match is None:
        raise refused_address("It is no web address, or has characters that must be escaped.")
    scheme, authority, target = match[1].lower(), match[2], match[3]
    if scheme not in _DEFAULT_PORTS or (scheme == "http" and not allow_private):
        raise refused_address("It must begin with https://.")
    if "@" in authority:
        raise refused_address("It must not carry a user name or a password.")
    parts = _AUTHORITY.fullmatch(authority)
    port = int((parts and parts["port"]) or _DEFAULT_PORTS[scheme])
    if parts is None or len(authority) > _LONGEST_HOST or not 0 < port <= _LARGEST_PORT:
        raise refused_address("Its host or its port is not valid.")
    host = (parts["name"] or parts["literal"]).lower()
    return Address(
        Origin(scheme, host, port), authority, target if target.startswith("/") else f"/{target}"
    )


def redirected(address: Address, location: str, *, allow_private: bool) -> Address:
    """Where a redirect leads; refused if that is another host, port or scheme."""
    url = urljoin(address.url, location.partition("#")[0])
    there = parse_address(url, allow_private=allow_private)
    if there.origin != address.origin:
        raise refused_address(
            "It redirects to another host, port or scheme, where credentials must not go."
        )
    return there


def refused_address(reason: str, *, place: str | None = None) -> CredentialsRejected:
    return CredentialsRejected(
        Code.CONN_ADDRESS_REFUSED,
        f"The address of the provider is refused. {reason}",
        place=place,
    )
