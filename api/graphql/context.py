"""What every resolver is given: who asks, the database, and this request's loaders."""

from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from api.graphql.cursors import CursorSigner
from api.graphql.loaders import Loaders
from domain.database import Database
from domain.people.callers import Caller
from domain.secrets import KeyRing


@dataclass(frozen=True, slots=True)
class Context:
    """Holds the database, never a session: resolvers of one request run side by side."""

    caller: Caller
    database: Database
    loaders: Loaders
    keys: KeyRing
    cursors: CursorSigner
    request_id: str


Info: TypeAlias = strawberry.Info[Context, None]
