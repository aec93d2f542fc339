"""OneRoster 1.2 keeps people's roles in a file of its own, in any order: joined on disk."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from operator import itemgetter
from typing import Final

import msgspec

from domain.providers.oneroster.people import RoleRow
from domain.providers.oneroster_csv.rows import Sheet, fits, numbered
from domain.roster.source import Problem
from domain.validation.codes import Code

PickCells = Callable[[list[str]], Sequence[str]]


class RoleStore:
    """The rows of roles.csv by person, in a temporary file: a million people need no memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._lost: dict[Code, tuple[int, int]] = {}
        database.execute(
            "CREATE TABLE roles (user_source_id TEXT, role_type TEXT, role TEXT,"
            " org_source_id TEXT, begins TEXT, ends TEXT, fault TEXT, line INTEGER)"
        )

    def add(self, sheet: Sheet, size: int) -> int:
        """Take at most so many rows; returns how many there were."""
        rows: list[tuple[object, ...]] = []
        pick: PickCells = itemgetter(*(sheet.table.columns[column] for column in _STORED))
        count = 0
        for line, row in numbered(sheet.table, size):
            count += 1
            if any(map(str.strip, row)) and (stored := self._stored(sheet, row, line, pick)):
                rows.append(stored)
        self._database.executemany("INSERT INTO roles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return count

    def index(self) -> None:
        """To be called between the last `add` and the first `of`."""
        self._database.execute("CREATE INDEX roles_user ON roles (user_source_id)")

    def of(self, user_source_ids: Sequence[str]) -> Mapping[str, Sequence[RoleRow]]:
        """The roles of these people, each person's in the order of the file."""
        found = self._database.execute(
            "SELECT user_source_id, role_type, role, org_source_id, begins, ends, fault, line"
            " FROM roles WHERE user_source_id IN (SELECT value FROM json_each(?)) ORDER BY line",
            (msgspec.json.encode(user_source_ids).decode(),),
        )
        roles: defaultdict[str, list[RoleRow]] = defaultdict(list)
        for row in found:
            roles[row[0]].append(RoleRow._make(row[1:]))
        return roles

    def problems(self, sheet: Sheet) -> Iterator[Problem]:
        """What is wrong with rows that can be given to nobody: one for each kind, not each row."""
        for code, (count, line) in self._lost.items():
            yield Problem(
                code,
                sheet.table.record_type,
                field=_FIELDS.get(code),
                found=f"{count} rows" if count > 1 else None,
                place=sheet.table.place(line),
            )

    def _stored(
        self, sheet: Sheet, row: list[str], line: int, pick: PickCells
    ) -> tuple[object, ...] | None:
        """The row for the database, unless there is nobody to whom it belongs, or it is deleted."""
        if not fits(row, sheet.table.width):
            self._lose(Code.FILE_ROW_WIDTH, line)
            user_at = sheet.table.columns["userSourcedId"]
            user = row[user_at].strip() if user_at < len(row) else ""
            return (user, "", "", "", "", "", Code.FILE_ROW_WIDTH.value, line) if user else None
        status, modified, user, *role = map(str.strip, pick(row))
        if status.lower() in {"tobedeleted", "inactive"}:
            if not sheet.is_delta:
                self._lose(Code.BULK_FIELD_FORBIDDEN, line)
            return None
        if not user:
            self._lose(Code.FIELD_REQUIRED, line)
            return None
        fault = _fault_of(status.lower(), modified, is_delta=sheet.is_delta)
        return (user, *role, fault, line)

    def _lose(self, code: Code, line: int) -> None:
        count, first_line = self._lost.get(code, (0, line))
        self._lost[code] = count + 1, first_line


_STORED: Final = (
    "status",
    "dateLastModified",
    "userSourcedId",
    "roleType",
    "role",
    "orgSourcedId",
    "beginDate",
    "endDate",
)
_FIELDS: Mapping[Code, str] = {
    Code.FIELD_REQUIRED: "userSourcedId",
    Code.BULK_FIELD_FORBIDDEN: "status",
}


def _fault_of(status: str, modified: str, *, is_delta: bool) -> str:
    if status not in {"", "active"}:
        return Code.STATUS_INVALID.value
    if is_delta and not (status and modified):
        return Code.DELTA_FIELD_REQUIRED.value
    return ""


@contextmanager
def open_role_store() -> Iterator[RoleStore]:
    """An empty store. SQLite's nameless database is a temporary file that nobody else can open."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        yield RoleStore(database)
