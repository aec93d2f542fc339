"""The port to the providers: what a source yields, and how it says that it cannot.

A source yields pages. A page is checkpointed as soon as it is stored, so a source must be able
to go on after any checkpoint that it gave out. It ends normally only if every collection was
read to its end; anything else raises a SourceError, and nothing is compared.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from domain.errors import DomainError
from domain.roster.records import Record, RecordType, Role
from domain.validation.codes import Code


class Provider(StrEnum):
    CLEVER = "CLEVER"
    CLASSLINK = "CLASSLINK"
    ONEROSTER = "ONEROSTER"
    ONEROSTER_CSV = "ONEROSTER_CSV"


class Completeness(StrEnum):
    """What the absence of a record from a collection means."""

    FULL = "FULL"  # it is gone
    DELTA = "DELTA"  # nothing: only what is named has changed


class Problem(NamedTuple):
    """Something wrong with one record or one file, found while reading.

    One that `rejects` stands in for its record: the record itself is not in the page, but it is
    present, so what is stored of it stays. Otherwise the record was taken without that value.
    `record` holds mapped fields only. `place` says where it was read ("users.csv line 12").
    """

    code: Code
    record_type: RecordType
    source_id: str | None = None
    field: str | None = None
    expected: str | None = None
    found: str | None = None
    place: str | None = None
    record: Mapping[str, object] | None = None
    rejects: bool = False


class Ignored(NamedTuple):
    """A record that is left out on purpose (a guardian, say): counted, not staged, no error."""

    source_id: str
    reason: str


class Unread(NamedTuple):
    """A record that was asked for by name and that the provider cannot give by name, and why.

    It may be there or gone: nothing is known of it, so nothing of it changes.
    """

    source_id: str
    reason: str


Checkpoint = dict[str, str | int]
"""Where a source can go on. Its meaning is the source's own; it is stored as JSON."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of one type, in the order in which the provider gave them.

    `read` is the number of the provider's rows that went into this page: records, problems that
    stand in for a record, ignored ones, deletions. `deleted` are source ids that the provider
    names as deleted. `is_last` marks the last page of its record type; every type has one, even
    if it is empty, and `completeness` is the collection's. Pages of several types may take turns.

    A record may come twice where pages overlap: copies that are alike count once, and of those
    that differ the first is taken.
    `expected`, on a last page, is how many records the provider says the collection has: fewer
    is a collection that was not read to its end. `modified` is the latest time of change on the
    page, as the provider writes it: where a later delta begins. `unread` is what was asked for by
    name in vain.
    """

    record_type: RecordType
    records: Sequence[Record] = ()
    problems: Sequence[Problem] = ()
    ignored: Sequence[Ignored] = ()
    deleted: Sequence[str] = ()
    unread: Sequence[Unread] = ()
    read: int = 0
    completeness: Completeness = Completeness.FULL
    is_last: bool = False
    checkpoint: Checkpoint = field(default_factory=dict)
    expected: int | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Picks:
    """Records that are asked for by name: at most some thousands.

    `ids` are source ids by type. `numbers` are student or staff numbers of people whose ids are
    not known. `memberships_of` are the ids of users and groups, by type, of whom every enrollment
    is wanted.
    """

    ids: Mapping[RecordType, Collection[str]] = field(default_factory=dict)
    numbers: Collection[str] = ()
    memberships_of: Mapping[RecordType, Collection[str]] = field(default_factory=dict)

    def of(self, record_type: RecordType) -> Collection[str]:
        return self.ids.get(record_type, ())

    def wants(self, record_type: RecordType) -> bool:
        """Whether anything of a type is asked for."""
        match record_type:
            case RecordType.USER if self.numbers:
                return True
            case RecordType.MEMBERSHIP if any(self.memberships_of.values()):
                return True
        return bool(self.of(record_type))


class CheckStep(NamedTuple):
    """One line of the answer to "does this integration work?"."""

    name: str
    is_ok: bool
    message: str
    advice: str | None = None


class Eligibility(NamedTuple):
    """Which metadata or extension field of a student says that they may use the product (P9).

    `values` are those that mean yes, case folded.
    """

    field: str
    values: frozenset[str]

    def means_yes(self, value: object) -> bool:
        return str("" if value is None else value).strip().casefold() in self.values


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Everything that a source is opened with: how to reach it, and what the tenant decided.

    `role_map` is what the tenant changed of the provider's own. `since` asks for a delta: the
    latest time of change seen of each collection, as the provider writes it. `version` is another
    one after each change of any of this: a fetch that was begun with another begins again.
    """

    provider: Provider
    settings: Mapping[str, Any]
    today: date
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    role_map: Mapping[str, Role | None] = field(default_factory=dict)
    with_student_email: bool = False
    eligibility: Eligibility | None = None
    since: Mapping[RecordType, str] = field(default_factory=dict)
    version: str = ""


class RosterSource(Protocol):
    async def check(self) -> Sequence[CheckStep]:
        """Try the connection step by step. Stops at the first step that fails; never raises."""
        ...

    async def fingerprint(self) -> str:
        """Changes when a fetch that is under way must begin again instead of going on."""
        ...

    def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
        """Every collection, parents first; after a checkpoint, what comes behind it.

        Raises a SourceError if a collection cannot be read to its end.
        """
        ...

    def pick(self, picks: Picks) -> AsyncIterator[Page]:
        """What is asked for by name and nothing else: one page of each type, all of them deltas.

        Each record is as `pages` would give it. Every id that is asked for is on its page: as a
        record, a problem that stands in for one, ignored, `deleted` if the provider says that it
        is gone, or `unread`. Of numbers, and of those whose memberships are wanted, only what
        was found is.
        """
        ...


SourceOpener = Callable[[SourceConfig], RosterSource]
"""Opens nothing yet: that is what reading a source does."""


class SourceError(DomainError):
    """The roster cannot be read to its end. Nothing that was read is compared."""

    def __init__(self, code: Code, message: str, *, place: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.place = place


class SourceUnavailable(SourceError):
    """Heals by itself: worth another try (network, 429, 5xx)."""


class CredentialsRejected(SourceError):
    """An administrator must act: key, secret or sharing were refused."""


class RosterUnreadable(SourceError):
    """What the provider sent is broken or incomplete; the provider or the district must act."""


class RosterMoved(SourceError):
    """The roster changed while it was read: what was read is of two nights, and is read again."""
