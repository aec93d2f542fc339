"""The manifest: which version of OneRoster a package is, and what each of its files means."""

from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from domain.providers.oneroster_csv.layouts import (
    COLLECTIONS,
    MANIFEST,
    MANIFEST_LAYOUT,
    ROLES,
    files_of,
)
from domain.providers.oneroster_csv.package import Package
from domain.providers.oneroster_csv.table import open_table
from domain.roster.records import RecordType
from domain.roster.source import Completeness, RosterUnreadable
from domain.validation.codes import Code

_MOST_ROWS: Final = 1_000
_VERSIONS: Final = ("1.1", "1.2")
_MODES: Final = {
    "": None,
    "absent": None,
    "bulk": Completeness.FULL,
    "delta": Completeness.DELTA,
}
_ONLY_IN_1_0: Final = {
    RecordType.USER: {"userid", "agents"},
    RecordType.GROUP: {"grade", "termsourcedid"},
}


class Manifest(NamedTuple):
    """`modes` of the rostering files that are there, by their names."""

    version: str
    modes: Mapping[str, Completeness]


def read_manifest(package: Package) -> Manifest:
    """The manifest, if the package holds exactly the rostering files that it names."""
    if MANIFEST not in package.sizes:
        raise _no_manifest(package)
    properties = _read_properties(package)
    version = properties.get("oneroster.version", "")
    if version not in _VERSIONS:
        raise _refusal(
            Code.MANIFEST_VERSION,
            f"oneroster.version is {version!r}; 1.1 and 1.2 are read, 1.0 is not",
        )
    modes = {name: _mode_of(name, properties) for name in files_of(version)}
    named = {name: mode for name, mode in modes.items() if mode is not None}
    _require_agreement(package, named, version)
    return Manifest(version, named)


def _read_properties(package: Package) -> dict[str, str]:
    """Values by property name in lower case. A value that is missing is blank."""
    properties: dict[str, str] = {}
    with open_table(package, MANIFEST_LAYOUT) as table:
        name_at, value_at = table.columns["propertyName"], table.columns["value"]
        for row in islice(table.rows, _MOST_ROWS):
            if len(row) <= name_at or not row[name_at].strip():
                continue
            name = row[name_at].strip().lower()
            value = row[value_at].strip() if len(row) > value_at else ""
            if properties.setdefault(name, value) != value:
                raise _refusal(
                    Code.MANIFEST_MISMATCH, f"it gives {name} two values", line=table.line
                )
    return properties


def _mode_of(file: str, properties: Mapping[str, str]) -> Completeness | None:
    key = f"file.{file.removesuffix('.csv')}"
    value = properties.get(key.lower(), "")
    if value.lower() not in _MODES:
        raise _refusal(Code.MANIFEST_MODE, f"{key} is {value!r}, not absent, bulk or delta")
    return _MODES[value.lower()]


def _require_agreement(package: Package, named: Mapping[str, Completeness], version: str) -> None:
    for name in files_of(version):
        key = f"file.{name.removesuffix('.csv')}"
        if name in named and name not in package.sizes:
            raise RosterUnreadable(
                Code.FILE_MISSING,
                f"{name} is missing: {MANIFEST} names it in {key}. Add the file, or set {key} to "
                "absent.",
                place=name,
            )
        if name in package.sizes and name not in named:
            raise _refusal(
                Code.MANIFEST_MISMATCH,
                f"it does not name {name}, which is in the package. Set {key} to bulk or delta, "
                "or remove the file",
            )
    if version != "1.1" and "users.csv" in named and ROLES not in named:
        raise RosterUnreadable(
            Code.FILE_MISSING,
            f"{ROLES} is missing: in OneRoster {version} it says what the people of users.csv are.",
            place=ROLES,
        )


def _no_manifest(package: Package) -> RosterUnreadable:
    if _looks_like_1_0(package):
        return RosterUnreadable(
            Code.MANIFEST_VERSION,
            f"The package has no {MANIFEST}, and its columns are those of OneRoster 1.0, which is "
            "not read. Export it as 1.1 or 1.2.",
            place=MANIFEST,
        )
    return RosterUnreadable(
        Code.FILE_MISSING, f"{MANIFEST} is missing from the package.", place=MANIFEST
    )


def _looks_like_1_0(package: Package) -> bool:
    return any(
        not words.isdisjoint(_header_words(package, record_type))
        for record_type, words in _ONLY_IN_1_0.items()
        if COLLECTIONS[record_type].file in package.sizes
    )


def _header_words(package: Package, record_type: RecordType) -> set[str]:
    """The column names of a file in lower case, whatever they are."""
    anything = COLLECTIONS[record_type]._replace(mapped=(), required=frozenset())
    with open_table(package, anything) as table:
        return {problem.field.lower() for problem in table.problems if problem.field}


def _refusal(code: Code, why: str, *, line: int | None = None) -> RosterUnreadable:
    place = f"{MANIFEST} line {line}" if line else MANIFEST
    return RosterUnreadable(code, f"{place}: {why}.", place=place)
