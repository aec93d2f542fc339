"""What a fake is told to do wrong, to which of its collections and for which requests."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

GATES: Final = frozenset({"tokens", "tokeninfo", "applications", "server"})
"""What is asked for before any roster is read: goes wrong only where it is named."""


class Kind(StrEnum):
    """`amount` and `text` of a misbehaviour mean what is said here."""

    # Instead of the answer.
    STATUS = "STATUS"  # amount: the status; text: Retry-After
    HTML = "HTML"  # amount: the status
    REDIRECT = "REDIRECT"  # amount: the status; text: where to
    WRONG_SHAPE = "WRONG_SHAPE"  # JSON, without the array
    HUGE = "HUGE"  # amount: bytes, the length not said beforehand

    # The right answer, brought badly.
    SLOW = "SLOW"  # amount: seconds before each of many pieces
    RESET = "RESET"  # the connection is reset in the middle of the body
    TRUNCATED = "TRUNCATED"  # half the body, with the length of that half

    # The wrong page.
    SAME_PAGE = "SAME_PAGE"  # offset and cursor are not looked at
    OVERLAP = "OVERLAP"  # amount: rows of the page before that come again
    CLAMP = "CLAMP"  # amount: the most rows that a page gets, whatever is asked
    EMPTY = "EMPTY"  # no rows, as if there were none
    ROW_ADDED = "ROW_ADDED"  # a new row in front: one row comes on two pages
    ROW_REMOVED = "ROW_REMOVED"  # the front row is gone: one row comes on no page

    # The wrong total.
    TOTAL_SHIFTED = "TOTAL_SHIFTED"  # amount: how much too high, or too low
    TOTAL_OF_PAGE = "TOTAL_OF_PAGE"  # the rows of the page, not of the collection
    TOTAL_MISSING = "TOTAL_MISSING"

    # Something happens just before the request.
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105 - what was given out is refused; a new one can be had
    ROSTER_MOVED = "ROSTER_MOVED"  # what tells of changes (last_sync, x-perm-rev) changes


_AMOUNTS: Final[Mapping[Kind, float]] = {
    Kind.STATUS: 503,
    Kind.HTML: 200,
    Kind.REDIRECT: 302,
    Kind.HUGE: 64 * 1024 * 1024,
    Kind.SLOW: 0.05,
    Kind.OVERLAP: 1,
    Kind.CLAMP: 10,
    Kind.TOTAL_SHIFTED: 1,
}
_TEXTS: Final[Mapping[Kind, str]] = {Kind.REDIRECT: "https://elsewhere.example/roster"}


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """From the `first` request to a collection, for so many `times`; None means ever after.

    Without a collection it is every one of the roster's, counted together. Several may be told
    for one request: they come on top of each other.
    """

    kind: Kind
    collection: str | None = None
    first: int = 1
    times: int | None = None
    amount: float | None = None
    text: str | None = None

    def is_due(self, number: int) -> bool:
        return self.first <= number and (self.times is None or number < self.first + self.times)

    @property
    def number(self) -> float:
        return self.amount if self.amount is not None else _AMOUNTS.get(self.kind, 0)

    @property
    def words(self) -> str:
        return self.text if self.text is not None else _TEXTS.get(self.kind, "")


class Logged(NamedTuple):
    """A request as it came: the path's bytes are those that were sent."""

    method: str
    path: str
    query: str
    collection: str | None
    headers: Mapping[str, str]


class Faults:
    """What goes wrong with one request."""

    def __init__(self, due: Iterable[Misbehaviour] = ()) -> None:
        self._due = {item.kind: item for item in due}

    def __iter__(self) -> Iterator[Misbehaviour]:
        return iter(self._due.values())

    def __contains__(self, kind: Kind) -> bool:
        return kind in self._due

    def amount(self, kind: Kind, default: int = 0) -> int:
        return int(self._due[kind].number) if kind in self._due else default


NO_FAULTS: Final = Faults()


class Plan:
    """What goes wrong when, and what has been asked so far. May be changed while serving."""

    def __init__(self, misbehaviours: Iterable[Misbehaviour] = ()) -> None:
        self.misbehaviours = list(misbehaviours)
        self.log: list[Logged] = []
        self._counts: Counter[str | None] = Counter()

    def take(self, request: Logged) -> Faults:
        """Note a request, and say what goes wrong with it."""
        self.log.append(request)
        collection = request.collection
        if collection is None:
            return NO_FAULTS
        self._counts[collection] += 1
        if collection not in GATES:
            self._counts[None] += 1
        due = [item for item in self.misbehaviours if self._is_due(item, collection)]
        return Faults(due) if due else NO_FAULTS

    def _is_due(self, item: Misbehaviour, collection: str) -> bool:
        if item.collection is None:
            return collection not in GATES and item.is_due(self._counts[None])
        return item.collection == collection and item.is_due(self._counts[collection])

    def count(self, collection: str) -> int:
        """How often a collection was asked for."""
        return self._counts[collection]

    def forget(self) -> None:
        """Behave from now on, and count anew."""
        self.misbehaviours.clear()
        self.log.clear()
        self._counts.clear()


def faults_of(scope: Mapping[str, Any]) -> Faults:
    """What `Misbehaving` decided for a request."""
    found = scope.get("faults", NO_FAULTS)
    assert isinstance(found, Faults)
    return found
