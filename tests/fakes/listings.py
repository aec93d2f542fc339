"""Rows as JSON bytes, made once, and the windows on them that a page shows."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

from tests.fakes.misbehaviour import Faults, Kind

ADDED_ID: Final = "0" * 24
"""Of the row that is told to appear in front of all others."""

_NAMES = re.compile(rb'("(?:username|district_username|sis_id)":")[^"]*"')


class Collection:
    """Rows of one kind. `kinds` is what they are told apart by: role, type."""

    def __init__(self, ids: Sequence[str], rows: Sequence[bytes], kinds: Sequence[Any]) -> None:
        self.ids = ids
        self.rows = rows
        self.kinds = kinds

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, source_id: str) -> bytes | None:
        """Of rows with the same id the first."""
        number = self._numbers.get(source_id)
        return None if number is None else self.rows[number]

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        count = len(self.ids)
        return {source_id: count - 1 - at for at, source_id in enumerate(reversed(self.ids))}

    def picked(self, numbers: Iterable[int]) -> "Collection":
        kept = list(numbers)
        return Collection(
            [self.ids[number] for number in kept],
            [self.rows[number] for number in kept],
            [self.kinds[number] for number in kept],
        )

    def spoilt(self, faults: Faults) -> "Collection":
        """As it looks to a request: emptied, or with rows that have come or gone."""
        if Kind.EMPTY in faults:
            return self.picked(())
        if Kind.ROW_REMOVED in faults and self.rows:
            return self.picked(range(1, len(self)))
        if Kind.ROW_ADDED in faults and self.rows:
            row = _as_another(self.rows[0])
            ids, rows, kinds = [ADDED_ID, *self.ids], [row, *self.rows], [self.kinds[0]]
            return Collection(ids, rows, [*kinds, *self.kinds])
        return self


def _as_another(row: bytes) -> bytes:
    """A copy of the row that is another record: of its own id, and its own other ids."""
    item = msgspec.json.decode(row)
    found = item.get("data", item)
    found["id" if "id" in found else "sourcedId"] = ADDED_ID
    if "uri" in item:
        item["uri"] = f"{item['uri'].rpartition('/')[0]}/{ADDED_ID}"
    return _NAMES.sub(rb'\g<1>moved.person"', msgspec.json.encode(item))


class Window(NamedTuple):
    """The rows from `start` up to `stop`."""

    start: int
    stop: int


def window_by_offset(total: int, *, offset: int, limit: int, faults: Faults) -> Window:
    return _window(total, offset, limit, faults)


def window_by_cursor(
    ids: Sequence[str], *, after: str | None, before: str | None, limit: int, faults: Faults
) -> Window:
    """`ids` ascend. `before` shows the page that ends just before that id."""
    if before is not None:
        stop = bisect_left(ids, before)
        return Window(max(0, stop - limit), stop)
    return _window(len(ids), bisect_right(ids, after) if after else 0, limit, faults)


def _window(total: int, start: int, limit: int, faults: Faults) -> Window:
    if Kind.SAME_PAGE in faults:
        start = 0
    start = max(0, start - faults.amount(Kind.OVERLAP))
    size = min(limit, faults.amount(Kind.CLAMP, limit))
    return Window(min(start, total), min(start + size, total))


def total_of(total: int, shown: int, faults: Faults) -> int | None:
    """What the answer says how many rows there are; None is not said."""
    if Kind.TOTAL_MISSING in faults:
        return None
    if Kind.TOTAL_OF_PAGE in faults:
        return shown
    return max(0, total + faults.amount(Kind.TOTAL_SHIFTED))
