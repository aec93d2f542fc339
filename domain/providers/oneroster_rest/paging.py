"""Where a collection ends. Servers clamp limits, lie about totals, and move rows about.

Nothing that one page says is believed alone: short pages are no end, totals are evidence only
where they cannot be the page's own length, and links say at most that there is no next page.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from domain.roster.source import Checkpoint, RosterMoved, RosterUnreadable
from domain.validation.codes import Code

_MOST_ROWS: Final = 20_000_000
_MOST_TOTALS: Final = 10
"""So many times the total may be read before it is a loop."""
_DIGITS: Final = 12
_NONE: Final = -1
_NUMBERS: Final = (
    "size",
    "offset",
    "pages",
    "first_total",
    "last_total",
    "largest_total",
    "told_total",
    "longest_page",
    "copies",
)
_FLAGS: Final = ("is_sorted", "is_filtered", "is_over", "has_field", "is_ascending")
_RELATION: Final = re.compile(r";\s*rel\s*=\s*\"?([^\";,]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of one page.

    `ids` are those of its rows, as far as they have one; so many are `copies` of rows before them
    on the page. `mark` is what the page is recognised by.
    `has_next` is what its links say; None if they say nothing. `ends` are its first and its last
    id if every id is greater than the one before it.
    """

    count: int
    ids: AbstractSet[object] = frozenset()
    mark: str = ""
    total: int | None = None
    has_next: bool | None = None
    copies: int = 0
    ends: tuple[str, str] | None = None


@dataclass(slots=True)
class Walk:
    """How far a collection has been read. Is a checkpoint, and made of one.

    `offset` counts the rows that came, without those that came on the page before as well. A total
    that is the page's own length says nothing while more pages come: it is only in `told_total`.
    `is_ascending`: every id was greater than the one before it, up to `last_id`; then all are
    different. `kept_mark` is that of an earlier page.
    `has_field` is whether anybody had the field that says who is eligible.
    """

    collection: str
    size: int
    offset: int = 0
    pages: int = 0
    is_sorted: bool = True
    is_filtered: bool = False
    is_over: bool = False
    has_field: bool = False
    is_ascending: bool = True
    last_id: str = ""
    kept_mark: str = ""
    first_total: int = _NONE
    last_total: int = _NONE
    largest_total: int = _NONE
    told_total: int = _NONE
    longest_page: int = 0
    copies: int = 0
    last_ids: AbstractSet[object] = field(default=frozenset(), compare=False, repr=False)

    def take(self, sight: Sight) -> None:
        """Note a page. Raises a SourceError where pages go in circles or the roster moved."""
        known = len(self.last_ids & sight.ids) if self.last_ids else 0
        said = sight.total if sight.total != sight.count else None
        self._note_totals(sight.total, said)
        is_new = known < sight.count
        if is_new:
            self._look_for_circles(sight)
        elif sight.count:
            self._look_for_standstill(sight)
        self.pages += 1
        self.offset += sight.count - known
        self.longest_page = max(self.longest_page, sight.count)
        self.copies += sight.copies
        self._look_at_order(sight)
        self.last_ids = sight.ids
        self._look_for_endlessness()
        self.is_over = not is_new or self._is_end(sight, said)
        if self.is_over:
            self._require_same_totals()

    @property
    def expected(self) -> int | None:
        """How many different records there are at least, as far as that is known.

        Copies within one page are the district's own: no overlap of pages makes them. None also
        where it is known that all are here: nobody has to count them then.
        """
        is_whole = self.is_ascending and self.offset >= self.largest_total
        return None if is_whole or self.largest_total == _NONE else self.largest_total - self.copies

    @property
    def is_all_told(self) -> bool:
        """Whether nothing is left by what the server said: then it need not answer once more."""
        return _NONE < self.told_total <= self.offset

    def _note_totals(self, told: int | None, said: int | None) -> None:
        self.last_total = _NONE if said is None else said
        if not self.offset:
            self.first_total = self.last_total
        self.largest_total = max(self.largest_total, self.last_total)
        if told is not None or not self.offset:
            self.told_total = _NONE if told is None else told

    def _is_end(self, sight: Sight, said: int | None) -> bool:
        if sight.has_next is False:
            return said is None or self.offset >= said
        # Short of what the server can give, which may be less than it was asked for.
        return said == self.offset and sight.count < self.longest_page

    def _look_at_order(self, sight: Sight) -> None:
        if not sight.count:
            return
        first, last = sight.ends or ("", "")
        self.is_ascending = self.is_ascending and first > self.last_id
        self.last_id = last

    def _look_for_circles(self, sight: Sight) -> None:
        """However long: the mark that is compared is renewed ever less often (R. P. Brent)."""
        if sight.mark == self.kept_mark:
            raise self._broken("gave the same page again")
        if self.pages & (self.pages + 1) == 0:
            self.kept_mark = sight.mark

    def _look_for_standstill(self, sight: Sight) -> None:
        """All of it came on the page before: at the end it may, or where rows have moved."""
        self._require_same_totals()
        is_limited = self.told_total == sight.count >= self.size
        if sight.ids == self.last_ids and (is_limited or not self.is_all_told):
            raise self._broken("gave the same page twice")

    def _look_for_endlessness(self) -> None:
        most = _MOST_TOTALS * self.largest_total if self.largest_total > 0 else _MOST_ROWS
        if self.offset > min(most, _MOST_ROWS):
            raise self._broken(f"gave {self.offset} rows and no end")

    def _require_same_totals(self) -> None:
        if _NONE not in {self.first_total, self.last_total} and self.first_total != self.last_total:
            raise RosterMoved(
                Code.CONN_MOVED,
                f"{self.collection} had {self.first_total} records when its reading began, and"
                f" {self.last_total} when it ended.",
                place=self.collection,
            )

    def _broken(self, what: str) -> RosterUnreadable:
        return RosterUnreadable(
            Code.CONN_PAGINATION_BROKEN,
            f"The server {what} of {self.collection}.",
            place=self.collection,
        )

    def checkpoint(self) -> Checkpoint:
        texts = {
            "collection": self.collection,
            "kept_mark": self.kept_mark,
            "last_id": self.last_id,
        }
        return {**texts, **{name: int(getattr(self, name)) for name in (*_NUMBERS, *_FLAGS)}}

    @classmethod
    def at(cls, checkpoint: Checkpoint) -> "Walk":
        walk = cls(str(checkpoint["collection"]), size=int(checkpoint["size"]))
        walk.kept_mark = str(checkpoint["kept_mark"])
        walk.last_id = str(checkpoint["last_id"])
        for name in _NUMBERS:
            setattr(walk, name, int(checkpoint[name]))
        for name in _FLAGS:
            setattr(walk, name, bool(checkpoint[name]))
        return walk


def total_of(headers: Mapping[str, str]) -> int | None:
    """The total that a server says, if it says one."""
    text = headers.get("x-total-count", "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def has_next_link(headers: Mapping[str, str]) -> bool | None:
    """Whether the links name a next page; None if they are not about pages. Never followed."""
    found = " ".join(_RELATION.findall(headers.get("link", ""))).lower().split()
    if "next" in found:
        return True
    return False if {"first", "prev", "previous", "last"} & set(found) else None
