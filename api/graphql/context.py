"""What every resolver is given: who asks, the database, and this request's loaders."""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from api.graphql.cursors import CursorSigner
from api.graphql.listening import Listener
from api.graphql.loaders import Loaders
from domain.database import Database
from domain.integrations.connections import Platform
from domain.news import News
from domain.people.callers import Caller
from domain.secrets import KeyRing


@dataclass(frozen=True, slots=True)
class Context:
    """Holds the database, never a session: resolvers of one request run side by side.

    `database` and `loaders` see of a tenant what the caller sees. `public_url` is where people
    reach us: the beginning of links in mails. `listener` is there for subscriptions alone.
    """

    caller: Caller
    database: Database
    loaders: Loaders
    keys: KeyRing
    cursors: CursorSigner
    platform: Platform
    public_url: str
    deadline: asyncio.Timeout
    request_id: str
    news: News
    listener: Listener | None = None

    def allow(self, seconds: float) -> None:
        """For what takes long by its nature: the request may last so long from now on."""
        self.deadline.reschedule(asyncio.get_running_loop().time() + seconds)


Info: TypeAlias = strawberry.Info[Context, None]
