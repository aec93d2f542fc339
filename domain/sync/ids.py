"""Ids for many new rows: UUIDv7 of one moment, told apart by a counter.

PostgreSQL's uuidv7() asks for strong randomness at every call, which costs more than inserting
the row. RFC 9562 (section 6.2) allows a counter in its place: one strong random prefix for a run,
then 26 bits that count and 36 that nobody can guess without the run's seed.
"""

from dataclasses import dataclass
from typing import Self

import asyncpg


@dataclass(frozen=True, slots=True)
class NewIds:
    """`sql` is the id of the row that it is evaluated for, in the order of the rows."""

    prefix: str
    seed: int

    @classmethod
    async def begin(cls, connection: asyncpg.Connection) -> Self:
        base, noise = await connection.fetchrow("SELECT uuidv7(), uuidv4()")
        return cls(prefix=base.hex[:16], seed=int.from_bytes(noise.bytes[:7], "big"))

    @property
    def sql(self) -> str:
        return f"counted_uuid('{self.prefix}', row_number() OVER (), {self.seed})"
