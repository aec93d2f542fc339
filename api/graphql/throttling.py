"""How much a caller may ask for in a while: points of a bucket of one's own, told in answers."""

import time
from typing import Any

import structlog

from api.graphql.documents import MAX_COST
from api.graphql.errors import ErrorCode, Refused
from domain.people.callers import Caller
from domain.throttle import Throttle, ThrottleUnavailable

CAPACITY = 10 * MAX_COST
PER_SECOND = MAX_COST
"""A caller can ask for the dearest operation every second, and for ten of them at once."""
LEAST = 1
"""What an operation costs that brings no objects, and a request to a door that is not GraphQL."""
REMARK_SECONDS = 60
REST_SECONDS = 5

log = structlog.get_logger()


class Throttling:
    """One for a process. Where Valkey is away it lets everybody pass: reading goes on.

    It then asks again after a while only, so that a server that hangs does not delay everyone.
    """

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._rests_until = 0.0
        self._remarks_again = 0.0

    async def spend(self, caller: Caller, cost: int) -> dict[str, Any]:
        """For an operation; the `extensions` of its answer. Raises Refused."""
        asked = max(cost, LEAST)
        left = await self._take(caller, asked)
        status = left if left is None else _status(left)
        return {"cost": {"requestedQueryCost": asked, "throttleStatus": status}}

    async def spend_least(self, caller: Caller) -> None:
        """For a request to a door that is not GraphQL. Raises Refused."""
        await self._take(caller, LEAST)

    async def _take(self, caller: Caller, cost: int) -> int | None:
        """What is left; None where nobody counts."""
        if time.monotonic() < self._rests_until:
            return None
        try:
            allowance = await self._throttle.take(
                f"points {caller.tenant_id} {caller.actor}",
                cost=cost,
                capacity=CAPACITY,
                per_second=PER_SECOND,
            )
        except ThrottleUnavailable:
            self._rest()
            return None
        if not allowance.is_allowed:
            raise Refused(
                429,
                ErrorCode.THROTTLED,
                f"This costs {cost} points and {allowance.available} are left; {PER_SECOND} come"
                " back in a second.",
                headers={"Retry-After": str(allowance.retry_after_seconds)},
            )
        return allowance.available

    def _rest(self) -> None:
        now = time.monotonic()
        self._rests_until = now + REST_SECONDS
        if now >= self._remarks_again:
            self._remarks_again = now + REMARK_SECONDS
            log.warning("throttle_unreachable")


def _status(left: int) -> dict[str, int]:
    return {
        "maximumAvailable": CAPACITY,
        "currentlyAvailable": left,
        "restoreRate": PER_SECOND,
    }
