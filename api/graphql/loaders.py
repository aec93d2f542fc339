"""Loaders: what the objects of one request want, fetched together.

A batch is a function of a session, a tenant and the ids wanted. Each tenant's batch is a
transaction of its own, because row-level security shows one tenant at a time.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from domain.database import Database

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Batch = Callable[[AsyncSession, UUID, Sequence[K]], Awaitable[Mapping[K, V]]]
"""What is found, by id. Ids without a row are left out."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[V]):
    """What a field with many objects gives instead of being `async`: one wait does for all."""

    found: Awaitable[Any]
    then: Callable[[Any], V] | None = None

    def __await__(self) -> Generator[Any, None, V]:
        found = yield from self.found.__await__()
        return self.then(found) if self.then else found


class Loaders:
    """A batch that is an equal value has the same loader, and so the same cache."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}

    def of(self, batch: Batch[K, V]) -> DataLoader[tuple[UUID, K], V | None]:
        """The loader of a batch; its keys are a tenant and an id."""

        async def load(keys: list[tuple[UUID, K]]) -> list[V | None]:
            wanted: defaultdict[UUID, list[K]] = defaultdict(list)
            for tenant_id, key in keys:
                wanted[tenant_id].append(key)
            found: dict[tuple[UUID, K], V] = {}
            for tenant_id, ids in wanted.items():
                async with self._database.read(tenant_id) as session:
                    rows = await batch(session, tenant_id, ids)
                found.update(((tenant_id, key), row) for key, row in rows.items())
            return [found.get(key) for key in keys]

        return self._remembered(batch, load)

    def across_tenants(
        self, batch: Callable[[AsyncSession, Sequence[UUID]], Awaitable[Mapping[UUID, V]]]
    ) -> DataLoader[UUID, V | None]:
        """For the few audited functions of the database that answer for several tenants."""

        async def load(tenant_ids: list[UUID]) -> list[V | None]:
            async with self._database.read() as session:
                rows = await batch(session, tenant_ids)
            return [rows.get(tenant_id) for tenant_id in tenant_ids]

        return self._remembered(batch, load)

    def forget(self) -> None:
        """What was read before a mutation may be wrong after it."""
        self._loaders.clear()

    def _remembered(
        self, batch: Hashable, load: Callable[[list[Any]], Awaitable[list[Any]]]
    ) -> DataLoader[Any, Any]:
        loader = self._loaders.get(batch)
        if loader is None:
            loader = self._loaders[batch] = DataLoader(load_fn=load)
        return loader
