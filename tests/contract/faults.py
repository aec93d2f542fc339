"""Everything that a provider may do wrong, and what comes of a night in which it does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from domain.validation.codes import Code
from tests.contract.providers import Opening
from tests.fakes.misbehaviour import Kind, Misbehaviour

GOOD: Final = "as on any night"
HELD: Final = "held, since a type is empty"

GATE: Final = "gate"
"""What is asked for before any roster is read: tokens, or who shares."""
MOST_BYTES: Final = 1 << 20
"""Of an answer, in these tests."""
_TOO_MANY_BYTES: Final = MOST_BYTES + (1 << 19)
_IMPATIENT: Final = 0.3


class Target(NamedTuple):
    """A provider with its collections, in the order in which they are asked for."""

    way: str
    gate: str
    collections: Sequence[str]

    def place_of(self, collection: str) -> str:
        return GATE if collection == self.gate else collection


_ONEROSTER: Final = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments")
TARGETS: Final[Mapping[str, Target]] = {
    "CLEVER": Target(
        "CLEVER",
        "tokens",
        ("tokens", "districts", "schools", "terms", "courses", "users", "sections"),
    ),
    "ONEROSTER": Target("ONEROSTER 1.2 by OAuth 2", "tokens", ("tokens", *_ONEROSTER)),
    "CLASSLINK": Target(
        "CLASSLINK by the partner's list", "applications", ("applications", *_ONEROSTER)
    ),
}


class Fault(NamedTuple):
    """From the `first` request to a collection, so many `times` (None: ever after).

    `outcome` is a code that the run fails with, or GOOD, or HELD. `unlike` are those that differ:
    by "PROVIDER place", by place, or by provider; the first of them counts. None: it cannot
    happen there.
    """

    kind: Kind
    outcome: str = GOOD
    first: int = 1
    times: int | None = None
    amount: float | None = None
    text: str | None = None
    unlike: Mapping[str, str | None] = {}

    @property
    def name(self) -> str:
        words = [self.kind.value]
        if self.amount is not None:
            words.append(f"{self.amount:g}")
        if self.text is not None:
            words.append(f"Retry-After {self.text}")
        if self.first > 1:
            words.append(f"from request {self.first}")
        words.append("always" if self.times is None else f"{self.times} times")
        return " ".join(words)

    def at(self, collection: str) -> Misbehaviour:
        return Misbehaviour(
            self.kind, collection, self.first, self.times, amount=self.amount, text=self.text
        )

    def outcome_at(self, provider: str, collection: str) -> str | None:
        place = TARGETS[provider].place_of(collection)
        for key in (f"{provider} {place}", place, provider):
            if key in self.unlike:
                return self.unlike[key]
        return self.outcome

    def cells(self, provider: str) -> Iterator[tuple[str, str]]:
        """Collections with their outcomes."""
        for collection in TARGETS[provider].collections:
            outcome = self.outcome_at(provider, collection)
            if outcome is not None:
                yield collection, outcome


def _status(status: int, code: Code, unlike: Mapping[str, str | None] | None = None) -> Fault:
    return Fault(Kind.STATUS, code, amount=status, unlike=unlike or {})


_NO_TOTALS: Final = {GATE: None, "CLEVER": None}
_NO_PAGES: Final = {GATE: None, "districts": None}
"""These lists have one page."""
_NOTHING_LESS: Final = {GATE: None, "districts": None}
_DOES_NOT_TELL: Final = {"ONEROSTER": None}

TRANSIENT: Final = tuple(
    Fault(kind, times=1 if kind is Kind.SLOW else 2, amount=amount, text=text)
    for kind, amount, text in (
        (Kind.STATUS, 408, None),
        (Kind.STATUS, 429, None),
        (Kind.STATUS, 429, "0.01"),
        (Kind.STATUS, 500, None),
        (Kind.STATUS, 502, None),
        (Kind.STATUS, 503, None),
        (Kind.STATUS, 504, None),
        (Kind.HTML, None, None),
        (Kind.HTML, 502, None),
        (Kind.WRONG_SHAPE, None, None),
        (Kind.RESET, None, None),
        (Kind.TRUNCATED, None, None),
        (Kind.SLOW, None, None),
    )
)
"""Each of them at every collection in the same night: what fails is asked for again."""

HARMLESS: Final = (
    Fault(Kind.OVERLAP, amount=1),
    Fault(Kind.CLAMP, amount=1),
    Fault(Kind.TOTAL_OF_PAGE),
    Fault(Kind.TOTAL_MISSING),
    Fault(Kind.TOTAL_SHIFTED, amount=-1),
    Fault(Kind.RESET, first=2, times=1),
    Fault(Kind.STATUS, first=2, times=2, amount=503),
    # Less is asked for, where there is anything to be asked for less of.
    Fault(Kind.HUGE, times=1, amount=_TOO_MANY_BYTES, unlike=_NOTHING_LESS),
    Fault(Kind.STATUS, times=1, amount=413, unlike=_NOTHING_LESS),
    # A token that is refused is exchanged for another one.
    Fault(Kind.TOKEN_REVOKED, times=1),
    Fault(Kind.TOKEN_REVOKED, first=2, times=1, unlike={GATE: None}),
)
"""At every collection in the same night, too, while many pages are read."""

PERMANENT: Final = (
    _status(400, Code.CONN_REQUEST_REFUSED, {
        f"CLEVER {GATE}": Code.CONN_AUTH_REJECTED, f"ONEROSTER {GATE}": Code.CONN_AUTH_REJECTED,
    }),
    _status(401, Code.CONN_AUTH_REJECTED),
    _status(403, Code.CONN_FORBIDDEN_SCOPE, {f"ONEROSTER {GATE}": Code.CONN_AUTH_REJECTED}),
    _status(404, Code.CONN_FORBIDDEN_SCOPE, {f"ONEROSTER {GATE}": Code.CONN_AUTH_REJECTED}),
    _status(413, Code.CONN_REQUEST_REFUSED),
    _status(429, Code.CONN_THROTTLED),
    _status(500, Code.CONN_SERVER_ERROR),
    _status(502, Code.CONN_SERVER_ERROR),
    _status(503, Code.CONN_SERVER_ERROR),
    _status(504, Code.CONN_SERVER_ERROR),
    # Once is enough: nobody waits for so long, and redirects are not followed to other hosts.
    Fault(Kind.STATUS, Code.CONN_THROTTLED, times=1, amount=429, text="3600"),
    Fault(Kind.REDIRECT, Code.CONN_ADDRESS_REFUSED, times=1),
    Fault(Kind.HTML, Code.CONN_BAD_PAYLOAD),
    Fault(Kind.WRONG_SHAPE, Code.CONN_BAD_PAYLOAD),
    Fault(Kind.RESET, Code.CONN_INTERRUPTED),
    Fault(Kind.TRUNCATED, Code.CONN_BAD_PAYLOAD),
    Fault(Kind.SLOW, Code.CONN_TIMEOUT),
    Fault(Kind.HUGE, Code.CONN_TOO_LARGE, amount=_TOO_MANY_BYTES),
    Fault(Kind.TOKEN_REVOKED, Code.CONN_AUTH_REJECTED, unlike={
        f"CLASSLINK {GATE}": Code.CONN_AUTH_REJECTED, GATE: GOOD,
    }),
    # Nothing, where there was something.
    Fault(Kind.EMPTY, HELD, unlike={
        f"CLASSLINK {GATE}": Code.CONN_DISCONNECTED, GATE: None,
        "districts": Code.CONN_DISCONNECTED,
    }),
)  # fmt: skip

MIDWAY: Final = (
    # Some rows have been read when it begins.
    Fault(Kind.STATUS, Code.CONN_SERVER_ERROR, first=2, amount=500, unlike=_NO_PAGES),
    Fault(Kind.STATUS, Code.CONN_FORBIDDEN_SCOPE, first=2, amount=403, unlike=_NO_PAGES),
    Fault(Kind.TRUNCATED, Code.CONN_BAD_PAYLOAD, first=2, unlike=_NO_PAGES),
    # A roster that moves is read anew, three times at most.
    Fault(Kind.ROSTER_MOVED, first=2, times=1, unlike=_DOES_NOT_TELL),
    Fault(Kind.ROSTER_MOVED, Code.CONN_MOVED, unlike={**_DOES_NOT_TELL, GATE: GOOD}),
    Fault(Kind.ROW_ADDED, first=2, times=1, unlike=_NO_PAGES),
    Fault(Kind.ROW_REMOVED, first=2, times=1, unlike=_NO_PAGES),
    Fault(Kind.EMPTY, first=2, times=1, unlike=_NO_PAGES),
    Fault(Kind.TOTAL_SHIFTED, first=2, times=1, unlike=_NO_TOTALS),
    Fault(Kind.TOTAL_SHIFTED, Code.CONN_INTERRUPTED, amount=1, unlike=_NO_TOTALS),
    # Pages that do not come to an end.
    Fault(Kind.SAME_PAGE, Code.CONN_PAGINATION_BROKEN, unlike={
        f"CLASSLINK {GATE}": Code.CONN_PAGINATION_BROKEN, **_NO_PAGES,
    }),
)  # fmt: skip
"""With pages so small that every collection has several."""


def impatient(opening: Opening, fault: Fault) -> Opening:
    """So that what is slow is given up in the time of a test."""
    if fault.kind is not Kind.SLOW:
        return opening
    patience = replace(opening.hosts.patience, request=_IMPATIENT)
    return replace(opening, hosts=replace(opening.hosts, patience=patience))
