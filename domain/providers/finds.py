"""What is found of the records that are asked for by name: one page of each type."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from domain.roster.records import Record, RecordType
from domain.roster.source import Completeness, Ignored, Page, Problem, Unread


class Read(Protocol):
    """What a reading gives: a page, or one in the making."""

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def problems(self) -> Sequence[Problem]: ...

    @property
    def ignored(self) -> Sequence[Ignored]: ...

    @property
    def deleted(self) -> Sequence[str]: ...


class Finds:
    """Of one type. Whatever is named twice is there once."""

    def __init__(self, record_type: RecordType, wanted: Collection[str] = ()) -> None:
        self.record_type = record_type
        self.wanted = frozenset(wanted)
        self._records: list[Record] = []
        self._problems: list[Problem] = []
        self._ignored: dict[str, Ignored] = {}
        self._deleted: dict[str, None] = {}
        self._unread: dict[str, Unread] = {}
        self._seen: set[str] = set()

    def want(self, source_ids: Iterable[str]) -> None:
        self.wanted = self.wanted.union(source_ids)

    def take(self, read: Read) -> None:
        """What was asked for of a reading."""
        kept = [record for record in read.records if record.source_id in self.wanted]
        told = [problem for problem in read.problems if problem.source_id in self.wanted]
        ignored = [item for item in read.ignored if item.source_id in self.wanted]
        self._records += kept
        self._problems += told
        self._ignored |= {item.source_id: item for item in ignored}
        self._deleted |= dict.fromkeys(filter(self.wanted.__contains__, read.deleted))
        self._seen.update(record.source_id for record in kept)
        self._seen.update(problem.source_id or "" for problem in told if problem.rejects)

    def take_all(self, read: Read) -> None:
        """A reading that has nothing but what was asked for."""
        self.want(record.source_id for record in read.records)
        self.want(problem.source_id for problem in read.problems if problem.source_id)
        self.want(ignored.source_id for ignored in read.ignored)
        self.want(read.deleted)
        self.take(read)

    def miss(self, source_id: str) -> None:
        """The provider says that it is gone."""
        self._deleted[source_id] = None

    def give_up(self, source_id: str, reason: str) -> None:
        self._unread[source_id] = Unread(source_id, reason)

    @property
    def missing(self) -> list[str]:
        """What was asked for and is not accounted for yet."""
        found = self._seen.union(self._ignored, self._deleted, self._unread)
        return sorted(self.wanted - found)

    def page(self) -> Page:
        rejected = sum(problem.rejects for problem in self._problems)
        return Page(
            record_type=self.record_type,
            records=self._records,
            problems=self._problems,
            ignored=list(self._ignored.values()),
            deleted=[name for name in self._deleted if name not in self._seen],
            unread=list(self._unread.values()),
            read=len(self._records) + len(self._ignored) + len(self._deleted) + rejected,
            completeness=Completeness.DELTA,
            is_last=True,
        )
