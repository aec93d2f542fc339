"""docs/ownership.md, made from the table of owners: `python -m domain.roster.page`."""

from collections.abc import Iterable, Iterator

from domain.roster.managed import (
    HERE,
    LOCAL_FIELDS,
    NAMES,
    NOWHERE,
    Rosterer,
    api_name,
    fields_of,
    where_to_change,
)
from domain.roster.ownership import LOCAL_TABLES, FieldOwner
from domain.roster.records import RecordType

_HEAD = """\
# Who owns which field

Made from `domain/roster/ownership.py` by `make docs`; a test keeps it current. The sync, the API's
refusals and `managedBy` follow the same table.

| owner | means |
| --- | --- |
| PROVIDER | what the provider shares; a sync compares and writes it, and it is read-only here |
| LOCAL | the training product's own; it is changed here, and no sync touches it |
| SYSTEM | Homerow's own; nobody changes it |

That holds for records of origin PROVIDER. Of records that were there before rostering (LEGACY) or
were imported (IMPORT) everything but the SYSTEM fields is changed here. Whether somebody is
eligible is the provider's until it is said here (`eligibilitySet`); then it is local, until that is
taken back.

A mutation that would change a provider's field answers `PROVIDER_MANAGED` with the provider
(`managedBy`), the fields, and where to change them. Adding by hand (`userCreate`, `groupCreate`,
`membershipCreate` into a provider's group) answers the same in a tenant that rosters: people who
are not in the roster come in by `adminsImport` and `staffImport`.
"""


def page() -> str:
    return "\n".join([_HEAD, *_fields(), *_tables(), *_places()])


def _fields() -> Iterator[str]:
    yield "## Fields of the roster, as the API names them\n"
    yield "| record | PROVIDER | LOCAL | SYSTEM |"
    yield "| --- | --- | --- | --- |"
    for record_type in RecordType:
        cells = (_listed(fields_of(record_type, owner)) for owner in FieldOwner)
        yield f"| {record_type.value} | {' | '.join(cells)} |"
    yield ""


def _tables() -> Iterator[str]:
    yield "## What is local beside the roster\n"
    yield "| table | columns | shown as |"
    yield "| --- | --- | --- |"
    for table, columns in LOCAL_TABLES.items():
        shown = (
            f"{record_type.value}: {_listed(names)}"
            for record_type, names in LOCAL_FIELDS[table].items()
        )
        yield f"| {table} | {_listed(map(api_name, columns))} | {'; '.join(shown)} |"
    yield ""


def _places() -> Iterator[str]:
    yield "## Where it is changed\n"
    yield "| whose | what is said |"
    yield "| --- | --- |"
    for provider, name in NAMES.items():
        yield f"| {name} | {where_to_change(Rosterer(provider, is_connected=True))} |"
    yield f"| LOCAL | {HERE} |"
    yield f"| SYSTEM | {NOWHERE} |"
    yield ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - this is what it is run for
