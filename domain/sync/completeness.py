"""Whether a collection was read to its end, by what the provider says of its size.

Records may come twice, and then fewer are found than the provider counts. Either the district's
own data has them twice, or the pages overlapped, and what was on none of them was missed. If a
second reading gives the same records in the same order, it is the former: the pages hold still.
"""

import asyncpg

from domain.roster.source import Page, RosterMoved
from domain.sync.staging import Staging
from domain.validation.codes import Code

Orders = dict[str, str]
"""The order in which collections with copies were read by the reading before, as a digest."""


async def require_all(
    connection: asyncpg.Connection, staging: Staging, page: Page, *, read: int, orders: Orders
) -> None:
    """For the last page of a collection of which `read` rows were read. Raises RosterMoved."""
    if page.expected is None:
        return
    table, name = staging.of(page.record_type), page.record_type.value
    copies = await connection.fetchval(
        f"SELECT (SELECT count(*) FROM {table})"
        f" - (SELECT count(*) FROM (SELECT DISTINCT source_id FROM {table}) s)"
    )
    if read - copies >= page.expected:
        return
    if read >= page.expected and await _is_in_the_same_order(connection, table, name, orders):
        return
    raise RosterMoved(
        Code.CONN_INTERRUPTED,
        f"The provider says that there are {page.expected} records of type {name},"
        f" and {read - copies} different ones could be read.",
    )


async def _is_in_the_same_order(
    connection: asyncpg.Connection, table: str, name: str, orders: Orders
) -> bool:
    """Rows of a fresh COPY lie in the order of reading."""
    order = await connection.fetchval(
        f"SELECT md5(string_agg(source_id, E'\\n' ORDER BY ctid)) FROM {table}"
    )
    before, orders[name] = orders.get(name), order
    return bool(before == order)
