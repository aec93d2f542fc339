"""ClassLink's word for "what the district shares is as it was": the header x-perm-rev."""

from collections.abc import Mapping
from typing import Final

from domain.roster.source import RosterMoved
from domain.validation.codes import Code

HEADER: Final = "x-perm-rev"


class Revision:
    """Of one reading. A page without the header says nothing."""

    def __init__(self, value: str | None = None) -> None:
        """`value` is what the pages before had, where a reading is gone on with."""
        self.value = value

    def watch(self, headers: Mapping[str, str]) -> None:
        """Raises RosterMoved if what the district shares has changed since the first page."""
        found = headers.get(HEADER) or None
        if found is None:
            return
        if self.value is None:
            self.value = found
        if found != self.value:
            raise RosterMoved(
                Code.CONN_MOVED,
                "What the district shares was changed at ClassLink while the roster was read.",
            )
