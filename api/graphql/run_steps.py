"""Runs of what is named: one person, or the records of validation errors; and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import strawberry

from api.graphql.change_parts import TYPE_CODES
from api.graphql.node import find_id
from domain.errors import InvalidInput, NotFound
from domain.roster.records import RecordType
from domain.sync.steps import StepName, StepOutcome
from domain.sync.targets import PersonWanted


@strawberry.type(
    description="What a run that was asked for by name found out, step by step: a run of one "
    "person has all steps, one of validation errors those that concern it."
)
class SyncStep:
    name: StepName = strawberry.field(description="Which step it is.")
    outcome: StepOutcome = strawberry.field(description="How it ended.")
    message: str = strawberry.field(description="What was found, in plain words, to be shown.")

    @classmethod
    def list_of(cls, steps: Sequence[Mapping[str, Any]]) -> list["SyncStep"]:
        return [
            cls(
                name=StepName(step["name"]),
                outcome=StepOutcome(step["outcome"]),
                message=step["message"],
            )
            for step in steps
        ]


@strawberry.input(
    description="Whom a run of mode SINGLE_USER reads, stored already or not: exactly one of the "
    "fields says it."
)
class SyncRunUserInput:
    id: strawberry.ID | None = strawberry.field(default=None, description="The id of a user.")
    source_id: str | None = strawberry.field(
        default=None, description="The provider's id of the person."
    )
    number: str | None = strawberry.field(
        default=None,
        description="The student or staff number. Clever does not look people up by it: there it "
        "has to be that of somebody who is stored.",
    )

    def wanted(self, tenant_id: UUID) -> PersonWanted:
        """Raises InvalidInput and NotFound."""
        if self.id is None:
            return PersonWanted(source_id=self.source_id, number=self.number)
        found = find_id(self.id)
        if found is None or found.code != TYPE_CODES[RecordType.USER]:
            raise InvalidInput("user.id", "This is not the id of a user.")
        if found.tenant_id != tenant_id:
            raise NotFound("user", self.id)
        return PersonWanted(found.key, self.source_id, self.number)
