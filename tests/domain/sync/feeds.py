"""A provider of the network that keeps its roster in memory: what it shares is what a test says."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from domain.roster.records import (
    RECORD_CLASSES,
    Course,
    Enrollment,
    Group,
    Record,
    RecordType,
    School,
    Term,
    User,
)
from domain.roster.source import (
    Checkpoint,
    CheckStep,
    Completeness,
    Page,
    Picks,
    Problem,
    RosterSource,
    SourceConfig,
)
from domain.validation.codes import Code


@dataclass
class Feed(RosterSource):
    """`records` are given out in their order; `deltas` are collections of what changed only."""

    records: list[Record] = field(default_factory=list)
    deltas: set[RecordType] = field(default_factory=set)
    deleted: dict[RecordType, list[str]] = field(default_factory=dict)
    modified: dict[RecordType, str] = field(default_factory=dict)
    picked: list[Picks] = field(default_factory=list)

    def open(self, config: SourceConfig) -> RosterSource:
        return self

    def without(self, *source_ids: str) -> "Feed":
        return Feed([record for record in self.records if record.source_id not in source_ids])

    def change(self, source_id: str, **values: Any) -> None:
        """Change the first record of this id."""
        found = next(n for n, record in enumerate(self.records) if record.source_id == source_id)
        self.records[found] = self.records[found]._replace(**values)

    @override
    async def check(self) -> Sequence[CheckStep]:
        return []

    @override
    async def fingerprint(self) -> str:
        return "feed"

    @override
    async def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
        assert after is None
        for record_type, kind in RECORD_CLASSES.items():
            records = [record for record in self.records if isinstance(record, kind)]
            deleted = self.deleted.get(record_type, [])
            is_delta = record_type in self.deltas
            is_empty = not records and not is_delta
            yield Page(
                record_type=record_type,
                records=records,
                problems=[Problem(Code.CONN_EMPTY, record_type)] if is_empty else [],
                deleted=deleted,
                read=len(records) + len(deleted),
                completeness=Completeness.DELTA if is_delta else Completeness.FULL,
                is_last=True,
                modified=self.modified.get(record_type),
            )

    @override
    async def pick(self, picks: Picks) -> AsyncIterator[Page]:
        """Who is not there is gone. `picked` is what was asked for, call by call."""
        self.picked.append(picks)
        for record_type, kind in RECORD_CLASSES.items():
            of_type = [record for record in self.records if isinstance(record, kind)]
            records = [record for record in of_type if _is_picked(record, record_type, picks)]
            present = {record.source_id for record in of_type}
            gone = sorted(set(picks.of(record_type)) - present)
            yield Page(
                record_type=record_type,
                records=records,
                deleted=gone,
                read=len(records) + len(gone),
                completeness=Completeness.DELTA,
                is_last=True,
            )


def _is_picked(record: Record, record_type: RecordType, picks: Picks) -> bool:
    match record:
        case User() if record.number in picks.numbers:
            return True
        case Enrollment() if record.user_source_id in picks.memberships_of.get(
            RecordType.USER, ()
        ) or record.group_source_id in picks.memberships_of.get(RecordType.GROUP, ()):
            return True
    return record.source_id in picks.of(record_type)


def student(source_id: str, **values: Any) -> User:
    standard = {"roles": ("STUDENT",), "school_source_ids": ("s1",), "grades": ("09",)}
    return User(**{
        "source_id": source_id, "username": source_id, "given_name": source_id.title(),
        "family_name": "Archer", **standard, **values,
    })  # fmt: skip


def small_feed() -> Feed:
    """Two schools, three groups, a teacher of all three, and three students.

    ann and cid are in g1 of s1, dee in g2 of s2; nobody but the teacher in g3 of s2.
    """
    groups = [
        Group("g1", "Algebra", "s1", "c1", ("t1",)),
        Group("g2", "Biology", "s2", "c2", ("t1",)),
        Group("g3", "Choir", "s2", None, ("t2",)),
    ]
    return Feed([
        School("s1", "North"), School("s2", "South"),
        Term("t1", "Fall", "term"), Term("t2", "Spring", "term"),
        Course("c1", "Mathematics"), Course("c2", "Science"),
        *groups,
        student("bob", roles=("TEACHER",), school_source_ids=("s1", "s2"), grades=()),
        student("ann", keys=("sis_id:1", "student_number:1")),
        student("cid", keys=("sis_id:2",)),
        student("dee", keys=("sis_id:3",), school_source_ids=("s2",)),
        *(Enrollment(f"b{n}", "bob", group.source_id, "TEACHER") for n, group in enumerate(groups)),
        Enrollment("e1", "ann", "g1", "STUDENT"),
        Enrollment("e2", "cid", "g1", "STUDENT"),
        Enrollment("e3", "dee", "g2", "STUDENT"),
    ])  # fmt: skip
