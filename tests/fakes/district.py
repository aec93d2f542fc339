"""A folder of OneRoster CSV files as the fakes see it: rows as they are, read when asked for."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

Row = Mapping[str, str]

SIDE_FILE: Final = "clever.json"
METADATA: Final = "metadata."
CHANGED_AT: Final = "2026-08-01T06:00:00.000Z"
"""What rows without a dateLastModified say, which bulk files never have."""

_ROLES = "roles"


class Stamp(NamedTuple):
    """One file's name, time of change in nanoseconds and size."""

    name: str
    changed: int
    size: int


class District:
    """One night of a district. Each file is read when it is first asked for."""

    def __init__(self, folder: Path, stamps: Sequence[Stamp]) -> None:
        self._folder = folder
        self.stamps = tuple(stamps)

    @property
    def revision(self) -> str:
        """Another for every change of a file."""
        return hashlib.sha256(repr(self.stamps).encode()).hexdigest()[:12]

    @property
    def written_at(self) -> datetime:
        newest = max((stamp.changed for stamp in self.stamps), default=0)
        return datetime.fromtimestamp(newest / 1e9, UTC)

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a file, whatever they are worth; none where there is no such file."""
        path = self._folder / f"{name}.csv"
        if not path.exists():
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [column.strip() for column in next(reader, [])]
            blank = [""] * len(header)
            for values in reader:
                if values:
                    yield dict(zip(header, values + blank[len(values) :], strict=False))

    @cached_property
    def org_types(self) -> Mapping[str, str]:
        return {row["sourcedId"]: row.get("type", "") for row in self.rows("orgs")}

    @cached_property
    def session_types(self) -> Mapping[str, str]:
        return {row["sourcedId"]: row.get("type", "") for row in self.rows("academicSessions")}

    @cached_property
    def roles(self) -> Mapping[str, Sequence[Row]]:
        """The rows of roles.csv by user: where the files are of OneRoster 1.2."""
        roles: dict[str, list[Row]] = {}
        for row in self.rows(_ROLES):
            roles.setdefault(row["userSourcedId"], []).append(row)
        return roles

    @cached_property
    def has_roles(self) -> bool:
        return (self._folder / f"{_ROLES}.csv").exists()

    @cached_property
    def side(self) -> Mapping[str, Any]:
        """What CSV files cannot say, for the Clever fake."""
        path = self._folder / SIDE_FILE
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    def is_school(self, org: str) -> bool:
        """Also of an organisation that no row describes: somebody named it as theirs."""
        return self.org_types.get(org, "school") == "school"


class Folder:
    """A folder that another night may be written into at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._district: District | None = None

    def current(self) -> District:
        stamps = list(self._stamps())
        if self._district is None or self._district.stamps != tuple(stamps):
            self._district = District(self._path, stamps)
        return self._district

    def _stamps(self) -> Iterator[Stamp]:
        for path in sorted(self._path.iterdir()):
            if path.suffix == ".csv" or path.name == SIDE_FILE:
                facts = path.stat()
                yield Stamp(path.name, facts.st_mtime_ns, facts.st_size)


class Standing(NamedTuple):
    """What a person is: one word of OneRoster's, and at which organisations, the main one first."""

    role: str
    orgs: tuple[str, ...]


def standing_of(district: District, row: Row) -> Standing:
    """From the row itself (1.1), or from the rows of roles.csv that are theirs (1.2)."""
    if not district.has_roles:
        return Standing(row.get("role", ""), tuple(listed(row.get("orgSourcedIds", ""))))
    main = row.get("primaryOrgSourcedId", "")
    roles = sorted(
        district.roles.get(row["sourcedId"], ()),
        key=lambda role: (role["roleType"] != "primary", role["orgSourcedId"] != main),
    )
    orgs = dict.fromkeys(filter(None, [main, *(role["orgSourcedId"] for role in roles)]))
    return Standing(roles[0]["role"] if roles else "", tuple(orgs))


def listed(text: str) -> list[str]:
    """The values of a comma list."""
    return [value for part in text.split(",") if (value := part.strip())]


def metadata_of(row: Row) -> dict[str, str]:
    return {
        name.removeprefix(METADATA): value
        for name, value in row.items()
        if name.startswith(METADATA)
    }


def clever_id(kind: str, sourced_id: str) -> str:
    """The same 24 hexadecimal digits for the same record, every night."""
    return hashlib.sha256(f"{kind}\0{sourced_id}".encode()).hexdigest()[:24]
