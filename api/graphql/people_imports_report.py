"""What the API tells about an import of admins or staff: a preview, or what was done."""

from collections.abc import Mapping
from typing import Any

import strawberry

from api.graphql.described import describe
from domain.staffing.layouts import PeopleKind
from domain.staffing.planning import MOST_SHOWN, PeopleAction

describe(
    PeopleKind,
    "Whom a file has.",
    ADMINS="District and school admins.",
    STAFF="Staff who do not teach.",
)
describe(
    PeopleAction,
    "What an import does with one person.",
    CREATE="The person is new.",
    UPDATE="Something is another than what is stored.",
    RESTORE="The person was archived and comes back.",
    UNCHANGED="The file says what is stored.",
    ARCHIVE="The person is not in the file, and those were to be archived.",
)


@strawberry.type(description="How many people an import does what with.")
class PeopleImportCounts:
    create: int = strawberry.field(description="New people.")
    update: int = strawberry.field(description="People who are changed.")
    restore: int = strawberry.field(description="People who come back.")
    unchanged: int = strawberry.field(description="People whose row says what is stored.")
    archive: int = strawberry.field(
        description="People who are missing from the file; 0 unless they are to be archived."
    )


@strawberry.type(description="What an import does with one person.")
class PeopleImportRow:
    line: int | None = strawberry.field(
        description="The line on which the row begins; null for somebody who is not in the file."
    )
    username: str = strawberry.field(description="The username.")
    action: PeopleAction = strawberry.field(description="What is done.")
    fields: list[str] = strawberry.field(
        description="The columns in which somebody who is stored differs."
    )


@strawberry.type(description="One problem with one row.")
class PeopleImportError:
    line: int = strawberry.field(
        description="The line on which the row begins; 1, the header's, for the file as a whole."
    )
    column: str | None = strawberry.field(
        description="The column; null where no single one is to blame."
    )
    message: str = strawberry.field(
        description="The problem in a sentence, and how to mend it, to be shown."
    )


@strawberry.type(description="What an import of admins or staff would do, or has done.")
class PeopleImportReport:
    kind: PeopleKind = strawberry.field(description="Whom the file has.")
    rows: int = strawberry.field(description="The rows of the file, without its header.")
    wrong: int = strawberry.field(description="Rows that cannot be imported.")
    counts: PeopleImportCounts = strawberry.field(description="What becomes of the others.")
    people: list[PeopleImportRow] = strawberry.field(
        description=f"What becomes of whom: the first {MOST_SHOWN}, those with a change first."
    )
    errors: list[PeopleImportError] = strawberry.field(
        description="The first 100 problems, in the order of the lines."
    )
    error_count: int = strawberry.field(description="How many problems there are in all.")
    warnings: list[str] = strawberry.field(
        description="What is in the file and was not read, each in a sentence."
    )
    is_applied: bool = strawberry.field(
        description="Whether this was done; otherwise it is a preview."
    )

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "PeopleImportReport":
        values = dict(result)
        values["kind"] = PeopleKind(result["kind"])
        values["counts"] = PeopleImportCounts(**result["counts"])
        values["people"] = [
            PeopleImportRow(**row | {"action": PeopleAction(row["action"])})
            for row in result["people"]
        ]
        values["errors"] = [
            PeopleImportError(line=error["line"], column=error["column"], message=error["message"])
            for error in result["errors"]
        ]
        return cls(**values)
