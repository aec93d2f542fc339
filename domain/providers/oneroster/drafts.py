"""What both bindings read pages with: the tenant's rules, a page in the making, a short memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from domain.roster.records import Record, Role
from domain.roster.source import Eligibility, Ignored, Problem

_MEMO_SIZE: Final = 10_000

K = TypeVar("K")
V = TypeVar("V")


class OddError(Exception):
    """Not plain: this row goes the long way, where every cell is looked at."""


class Memo(dict[K, V]):
    """The answers of a pure function; all are forgotten rather than kept without end."""

    def __init__(self, answer: Callable[[K], V]) -> None:
        super().__init__()
        self._answer = answer

    def __missing__(self, key: K) -> V:
        if len(self) >= _MEMO_SIZE:
            self.clear()
        value = self[key] = self._answer(key)
        return value


@dataclass(frozen=True, slots=True)
class Rules:
    """What the tenant decided, and the types of the organisations once they are read."""

    role_map: Mapping[str, Role | None]
    with_student_email: bool
    today: date
    org_types: dict[str, str]
    eligibility: Eligibility | None = None


class Draft:
    """A page in the making."""

    __slots__ = ("blanks", "deleted", "ignored", "problems", "records", "rejected")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.problems: list[Problem] = []
        self.ignored: list[Ignored] = []
        self.deleted: list[str] = []
        self.rejected = 0
        self.blanks = 0

    @property
    def read(self) -> int:
        return len(self.records) + len(self.ignored) + len(self.deleted) + self.rejected

    @property
    def rows(self) -> int:
        """Rows taken from the provider, blank ones too."""
        return self.read + self.blanks

    def reject(self, problem: Problem) -> None:
        self.problems.append(problem)
        self.rejected += 1

    def keep(self, outcome: Record | Ignored) -> None:
        if isinstance(outcome, Ignored):
            self.ignored.append(outcome)
        else:
            self.records.append(outcome)
