"""The report of a preflight: six questions, answered in numbers with lists behind them.

Typing products ask these before they switch a district on (product.md S5). Whatever is asked is
counted by the database, from what is staged, stored and planned; a list holds what somebody would
look at, never what stays as it is.
"""

import json
from typing import Any, Final

import asyncpg

from domain.sync.basis import note_basis
from domain.sync.context import RunContext
from domain.sync.preflight_accounts import Accounts
from domain.sync.preflight_items import Items
from domain.sync.preflight_shares import Shares
from domain.sync.stored import Stored
from domain.sync.year_limits import find_year_limits

_HELD: Final = "held"


async def report(context: RunContext, connection: asyncpg.Connection) -> None:
    """At the end of planning, when the plan is stored and what would wait is marked in it."""
    await note_basis(context, connection)
    items = await Items.begin(context, connection)
    stored = await Stored.of(context, connection)
    expected = await _expectations(context, connection)
    shares = Shares(items, stored, expected)
    accounts = Accounts(items)
    year = await find_year_limits(context, connection)
    numbers = {
        "schools": await shares.schools(),
        "classes": await shares.classes(),
        "users": await accounts.users(),
        "licences": await accounts.licences() | {"expected": expected.get("licences")},
        "usernames": await accounts.usernames(),
        "local_data": await accounts.local_data(),
        "rollover": year and year.as_dict(),
        "would_hold": context.would_hold,
        "held": {
            name: numbers[_HELD] for name, numbers in context.counts.items() if numbers.get(_HELD)
        },
    }
    await connection.execute(
        "UPDATE sync_runs SET report = $3 WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
        json.dumps(numbers),
    )


async def _expectations(context: RunContext, connection: asyncpg.Connection) -> dict[str, Any]:
    """What the district said that it shares; see domain.integrations.expectations."""
    found = await connection.fetchval(
        "SELECT expectations FROM integrations WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.integration_id,
    )
    return json.loads(found or "null") or {}
