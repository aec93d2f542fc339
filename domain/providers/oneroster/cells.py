"""One row of OneRoster by the names of its CSV columns, and what is wrong with it.

The names of the CSV binding are the ones that both bindings are mapped and reported by.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NoReturn

from domain.providers.vocabulary import ID_LENGTH, TEXT_LENGTH, is_usable_id, parse_date
from domain.roster.records import RecordType
from domain.roster.source import Problem
from domain.validation.codes import Code

_SHOWN_LENGTH: Final = 200
_NOT_SHOWN: Final = frozenset({"status", "dateLastModified", "email", "userIds"})
_LENGTH: Final = f"at most {TEXT_LENGTH} characters"


class RowRejected(Exception):
    """The row is no record. Its problem says why, and nothing else of the row counts."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class Cells(ABC):
    """Collects the values that had to be left out."""

    __slots__ = ("_hidden", "_record_type", "problems", "source_id")

    def __init__(self, record_type: RecordType) -> None:
        self._record_type = record_type
        self._hidden = _NOT_SHOWN
        self.problems: list[Problem] = []
        self.source_id = ""

    @abstractmethod
    def text(self, column: str) -> str:
        """What stands there, trimmed; nothing where nothing stands."""

    @abstractmethod
    def listed(self, column: str) -> tuple[str, ...]:
        """The values of a list, trimmed, each once, in the order given."""

    @abstractmethod
    def pairs(self, column: str) -> Iterable[tuple[str, str]]:
        """The types and values of a list of typed ids."""

    @property
    @abstractmethod
    def mapped(self) -> Sequence[str]:
        """The columns that a problem may show."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the row was read."""

    @abstractmethod
    def place_of_role(self, line: int) -> str:
        """Where one of a user's roles was read."""

    def reference(self, column: str) -> str | None:
        return self.text(column) or None

    def required(self, column: str, code: Code = Code.FIELD_REQUIRED) -> str:
        text = self.short(column)
        if not text:
            self.reject(code, column, expected="a value", found="")
        return text

    def short(self, column: str) -> str:
        """A text that the record cannot be without: rejected rather than cut."""
        text = self.text(column)
        if len(text) > TEXT_LENGTH:
            self.reject(Code.FIELD_TOO_LONG, column, _LENGTH, _length_of(text))
        return text

    def optional(self, column: str) -> str | None:
        text = self.text(column)
        if len(text) > TEXT_LENGTH:
            self.warn(Code.FIELD_TOO_LONG, column, _LENGTH, _length_of(text))
            return None
        return text or None

    def span(self, begin: str, end: str) -> tuple[date | None, date | None]:
        begins_on, ends_on = self.day(begin), self.day(end)
        if begins_on and ends_on and ends_on <= begins_on:
            expected = f"a day after {begin} {begins_on}"
            self.warn(Code.DATES_REVERSED, end, expected, ends_on.isoformat())
            return None, None
        return begins_on, ends_on

    def day(self, column: str) -> date | None:
        text = self.text(column)
        day = parse_date(text)
        if text and day is None:
            self.warn(Code.FIELD_TYPE, column, "a date as YYYY-MM-DD", text)
        return day

    def show_email(self) -> None:
        """From here on problems may show the email, which is taken over for this person."""
        self._hidden = _NOT_SHOWN - {"email"}

    def warn(self, code: Code, column: str, expected: str | None, found: str) -> None:
        self.problems.append(self.problem(code, column, expected, found))

    def reject(self, code: Code, column: str | None, expected: str | None, found: str) -> NoReturn:
        raise RowRejected(self.problem(code, column, expected, found)._replace(rejects=True))

    def problem(self, code: Code, column: str | None, expected: str | None, found: str) -> Problem:
        return Problem(
            code,
            self._record_type,
            source_id=self.source_id[:ID_LENGTH] or None,
            field=column,
            expected=expected,
            found=_shown(found),
            place=self.place,
            record=self._shown_cells(),
        )

    def _shown_cells(self) -> dict[str, object]:
        return {
            column: _shown(self.text(column))
            for column in self.mapped
            if column not in self._hidden
        }

    def _require_usable_id(self) -> None:
        if not self.source_id:
            self.reject(Code.ID_MISSING, "sourcedId", "an id", "")
        if not is_usable_id(self.source_id):
            expected = f"at most {ID_LENGTH} characters, none of them control characters"
            self.reject(Code.ID_INVALID, "sourcedId", expected, self.source_id)


def _length_of(text: str) -> str:
    return f"{len(text)} characters"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
