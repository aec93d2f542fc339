"""Who listens to a subscription: looked up again and again for as long as it is open."""

from collections.abc import Awaitable, Callable

from domain.people.callers import Caller
from domain.tally import Place

LOOK_SECONDS = 3.0
"""A subscription looks for itself so often, whatever news there are: at who listens, and at what
they follow."""
LEAST_SECONDS = 0.25
"""Between two looks."""

Know = Callable[[], Awaitable[Caller]]
"""Whose credential it is by now. Raises Refused."""


class Listener:
    """`caller` is who they were found to be at the last look."""

    def __init__(self, caller: Caller, know: Know, place: Place) -> None:
        self.caller = caller
        self._know = know
        self._place = place

    async def look(self) -> Caller:
        """Raises Refused for whoever may not listen any more."""
        self.caller = await self._know()
        await self._place.keep()
        return self.caller
