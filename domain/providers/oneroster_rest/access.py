"""How a OneRoster server is reached. Whoever knows another way reuses the source with it.

`OneRosterSource.at(access, config, hosts)` reads from whatever `access.open` leads to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.providers.http.client import Authorizer, Client


def watch_nothing(headers: Mapping[str, str]) -> None:
    """What most servers need: their headers say nothing about the roster as a whole."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that is ready to be asked.

    `base_url` is sent as it stands, byte for byte, with "/orgs?…" and the like behind it: it ends
    in the version ("…/ims/oneroster/v1p1"), without a slash. `watch` is called with the headers
    (names in lower case) of every page before its rows are used, also of those that are read
    again after a resume; it may raise a RosterMoved.
    """

    base_url: str
    authorizer: Authorizer
    watch: Callable[[Mapping[str, str]], None] = watch_nothing


class Access(Protocol):
    async def fingerprint(self, client: Client) -> str:
        """Changes when a reading that is under way must begin again. May ask the server."""
        ...

    async def open(self, client: Client) -> Endpoint:
        """Called once for each reading and each check; raises SourceErrors.

        The client stays open as long as the endpoint is used, so an authorizer may keep it to
        ask for tokens.
        """
        ...
