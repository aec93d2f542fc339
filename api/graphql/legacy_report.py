"""What the API tells about a legacy import: the same for a preview and for what was done."""

from collections.abc import Mapping
from typing import Any

import strawberry


@strawberry.type(description="One file of a legacy import, in numbers of rows.")
class LegacyImportFile:
    name: str = strawberry.field(description="The file, such as `people.csv`.")
    rows: int = strawberry.field(description="The rows of the file, without its header.")
    new: int = strawberry.field(description="Rows that are not stored yet.")
    existing: int = strawberry.field(description="Rows that are stored, whatever they say now.")
    changed: int = strawberry.field(
        description="Those of `existing` that say something else than what is stored. Schools, "
        "groups and people get the new values; memberships, settings and progress stay as they "
        "are."
    )
    errors: int = strawberry.field(description="Rows that cannot be imported.")
    samples: list[str] = strawberry.field(
        description="The first new rows as they were understood, to be looked at."
    )


@strawberry.type(description="One problem with one row.")
class LegacyImportError:
    file: str = strawberry.field(description="The file.")
    line: int = strawberry.field(description="The line on which the row begins.")
    column: str | None = strawberry.field(
        description="The column; null where no single one is to blame."
    )
    message: str = strawberry.field(description="The problem in a sentence, to be shown.")


@strawberry.type(description="What a legacy import would do, or has done.")
class LegacyImportReport:
    files: list[LegacyImportFile] = strawberry.field(description="The files that were read.")
    errors: list[LegacyImportError] = strawberry.field(
        description="The first 100 problems, in the order of the files and their lines."
    )
    error_count: int = strawberry.field(description="How many problems there are in all.")
    warnings: list[str] = strawberry.field(
        description="What is in the files and was not read, each in a sentence."
    )
    settings: int = strawberry.field(description="New settings of all levels.")
    progress: int = strawberry.field(description="New records of progress.")
    is_applied: bool = strawberry.field(
        description="Whether this was done; otherwise it is a preview."
    )

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "LegacyImportReport":
        values = dict(result)
        values["files"] = [LegacyImportFile(**file) for file in result["files"]]
        values["errors"] = [LegacyImportError(**error) for error in result["errors"]]
        return cls(**values)
