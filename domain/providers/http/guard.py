"""Connections to public addresses only: a tenant's base URL must not open our own network.

The name is looked up once, every address that it has is judged, and the connection goes to one
of those very addresses. A second look-up (DNS rebinding) never happens; TLS is verified against
the name, since that is above the connection.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpcore2
from typing_extensions import override

from domain.providers.http.address import refused_address

IPAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]

# Special ranges that the ipaddress module of some Python versions takes for ordinary ones.
_SPECIAL_V4: Final = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
_SPECIAL_V6: Final = tuple(map(IPv6Network, ("2001::/23", "3fff::/20")))
_UNICAST_V6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: IPAddress) -> bool:
    """Whether it is an ordinary host of the Internet, also behind an address of transition."""
    if isinstance(address, IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not any(address in network for network in _SPECIAL_V4)
        )
    carried = _carried(address)
    if carried is not None:
        return is_public(carried)
    return (
        address in _UNICAST_V6
        and address.is_global
        and not any(address in network for network in _SPECIAL_V6)
    )


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one reach in the end, if there is one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


async def resolve(host: str, port: int) -> Sequence[IPAddress]:
    """Every address of the host, the system's favourite first."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """The network without everything that is not public."""

    def __init__(self, inner: httpcore2.AsyncNetworkBackend, resolve: Resolve = resolve) -> None:
        self._inner = inner
        self._resolve = resolve

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(error) from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(error) from error
        if not all(map(is_public, addresses)):
            raise refused_address("It is not on the public Internet.", place=host)
        return await self._connect_to_first(addresses, port, timeout)

    async def _connect_to_first(
        self, addresses: Sequence[IPAddress], port: int, seconds: float | None
    ) -> httpcore2.AsyncNetworkStream:
        failed: Exception = httpcore2.ConnectError("The name has no address.")
        # Shared, so that one address that swallows everything costs its part only.
        share = None if seconds is None else seconds / max(len(addresses), 1)
        for address in addresses:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout=share)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed

    @override
    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
