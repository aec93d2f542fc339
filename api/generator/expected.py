"""What a sync of the written files must count: known from the changes made, not from the files."""

import json
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

RecordT = TypeVar("RecordT")


class RecordType(StrEnum):
    SCHOOL = "SCHOOL"
    TERM = "TERM"
    COURSE = "COURSE"
    GROUP = "GROUP"
    USER = "USER"
    MEMBERSHIP = "MEMBERSHIP"


class Action(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    ARCHIVED = "archived"
    RESTORED = "restored"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    IGNORED = "ignored"


class Problem(StrEnum):
    """The codes of the problems that a night may hold."""

    ID_DUPLICATE = "ID_DUPLICATE"
    USER_ROLE_UNKNOWN = "USER_ROLE_UNKNOWN"
    USER_ID_CHANGED = "USER_ID_CHANGED"
    USER_NAME_MISSING = "USER_NAME_MISSING"
    USER_DISABLED = "USER_DISABLED"
    ENR_USER_MISSING = "ENR_USER_MISSING"
    ENR_CLASS_MISSING = "ENR_CLASS_MISSING"
    STUDENT_MULTI_SCHOOL = "STUDENT_MULTI_SCHOOL"
    STUDENT_MULTI_GROUP = "STUDENT_MULTI_GROUP"


class Entry(NamedTuple, Generic[RecordT]):
    """A record as the files have it (None where they no longer do) and what becomes of it."""

    action: Action
    record: RecordT | None
    problem: Problem | None = None


class Expected:
    """Counts by type and action, and problems by code.

    `crowded_schools` have students in several sections, which is one problem of the school.
    """

    def __init__(self) -> None:
        self.fetched: Counter[RecordType] = Counter()
        self.actions: Counter[tuple[RecordType, Action]] = Counter()
        self.problems: Counter[Problem] = Counter()
        self.crowded_schools: set[str] = set()

    def take(self, record_type: RecordType, entry: Entry[RecordT], *, rows: int = 1) -> None:
        """Count an entry; `rows` is how many lines its record takes in the file."""
        # Enrollments that are left out are counted one by one: they make no membership.
        is_row = record_type is RecordType.MEMBERSHIP and entry.action is Action.IGNORED
        self.actions[record_type, entry.action] += rows if is_row else 1
        if entry.record is not None:
            self.fetched[record_type] += rows
        if entry.problem is not None:
            self.problems[entry.problem] += 1

    def counts(self) -> dict[str, dict[str, int]]:
        return {
            record_type.value: {
                "fetched": self.fetched[record_type],
                **{action.value: self.actions[record_type, action] for action in Action},
            }
            for record_type in RecordType
        }

    def errors(self) -> dict[str, int]:
        problems = self.problems + Counter({Problem.STUDENT_MULTI_GROUP: len(self.crowded_schools)})
        return {problem.value: count for problem, count in sorted(problems.items())}

    def write(self, path: Path) -> None:
        document = {"counts": self.counts(), "errors": self.errors()}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
