"""The parts of a sync run: where it is, what it did, why it waits and why it failed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import strawberry

from api.graphql.described import describe
from domain.integrations.models import SharingSubject
from domain.roster.records import RecordType
from domain.sync.progress import RunProgress
from domain.validation.codes import RULES, Code, Owner


class ActorKind(StrEnum):
    SYSTEM = "SYSTEM"
    COMMAND_LINE = "COMMAND_LINE"
    TOKEN = "TOKEN"  # noqa: S105 - a kind of actor
    USER = "USER"
    SUPER_ADMIN = "SUPER_ADMIN"
    OTHER = "OTHER"


describe(
    ActorKind,
    "What kind of somebody did something. More kinds may come.",
    SYSTEM="Homerow itself, by its schedule.",
    COMMAND_LINE="Somebody with the command line.",
    TOKEN="A machine with an API token.",  # noqa: S106 - a kind of actor
    USER="A person of the roster.",
    SUPER_ADMIN="A super admin.",
    OTHER="Somebody else.",
)
_KINDS = {"system": ActorKind.SYSTEM, "command line": ActorKind.COMMAND_LINE}
_PREFIXES = {"token": ActorKind.TOKEN, "user": ActorKind.USER, "account": ActorKind.SUPER_ADMIN}


@strawberry.type(description="Who did something.")
class Actor:
    kind: ActorKind = strawberry.field(description="What kind of somebody.")
    label: str = strawberry.field(description="As it is written in the audit log.")

    @classmethod
    def of(cls, label: str) -> "Actor":
        word, _, key = label.partition(" ")
        kind = _PREFIXES.get(word, ActorKind.OTHER) if key else ActorKind.OTHER
        return cls(kind=_KINDS.get(label, kind), label=label)


class SyncPhase(StrEnum):
    FETCHING = "FETCHING"
    VALIDATING = "VALIDATING"
    PLANNING = "PLANNING"
    APPLYING = "APPLYING"
    SUMMARISING = "SUMMARISING"


describe(
    SyncPhase,
    "The phases of a run, in their order.",
    FETCHING="Reading the roster.",
    VALIDATING="Checking what was read.",
    PLANNING="Comparing it with what is stored.",
    APPLYING="Storing the changes.",
    SUMMARISING="Making the summary.",
)


@strawberry.type(description="How far a run has come.")
class SyncProgress:
    phase: SyncPhase | None = strawberry.field(
        description="The phase that it is in, or ended in; null before it starts."
    )
    read: int = strawberry.field(description="How many records were read so far.")
    expected: int | None = strawberry.field(
        description="How many the tenant's last run read; null before the first."
    )
    percent: int | None = strawberry.field(
        description="What part of the expected records was read; null where none are expected."
    )
    rate: float | None = strawberry.field(
        description="How many records a second are read; once they are, how many were. Null before "
        "the first ones."
    )
    estimated_finish_at: datetime | None = strawberry.field(
        description="When the run should be over, going by the tenant's last one; null where "
        "nothing is known of one, where the run lasts longer than that, and once it has ended."
    )

    @classmethod
    def of(cls, progress: RunProgress) -> "SyncProgress":
        return cls(
            phase=SyncPhase(progress.phase.value) if progress.phase else None,
            read=progress.read,
            expected=progress.expected,
            percent=progress.percent,
            rate=progress.rate,
            estimated_finish_at=progress.estimated_finish_at,
        )


_WHOLE: Final = "Null for who sees a part of the tenant."


@strawberry.type(description="What a run did with the records of one kind.")
class SyncCount:
    record_type: RecordType = strawberry.field(description="The kind of record.")
    fetched: int | None = strawberry.field(description=f"Records that were read. {_WHOLE}")
    created: int = strawberry.field(description="Records that were not there before.")
    updated: int = strawberry.field(description="Records with another value than before.")
    archived: int = strawberry.field(description="Records that are no longer shared.")
    restored: int = strawberry.field(description="Archived records that are shared again.")
    unchanged: int | None = strawberry.field(description=f"Records that are as they were. {_WHOLE}")
    rejected: int = strawberry.field(
        description="Records that failed validation; for who sees a part of the tenant, those of "
        "the run's `validationErrors`."
    )
    ignored: int | None = strawberry.field(
        description=f"Records that are left out on purpose. {_WHOLE}"
    )
    held: int = strawberry.field(
        description="Records whose change waits for an administrator: they are as they were."
    )

    @classmethod
    def list_of(cls, counts: Mapping[str, Mapping[str, int]]) -> "list[SyncCount]":
        names = [name for name in cls.__annotations__ if name != "record_type"]
        return [
            cls(record_type=kind, **{name: counts[kind].get(name, 0) for name in names})
            for kind in RecordType
            if kind in counts
        ]

    @classmethod
    def visible(cls, kind: RecordType, counts: Mapping[str, int]) -> "SyncCount":
        """Of records that the caller sees. What was only read has left no trace of whose it was."""
        names = ("created", "updated", "archived", "restored", "rejected", "held")
        return cls(
            record_type=kind,
            fetched=None,
            unchanged=None,
            ignored=None,
            **{name: counts.get(name, 0) for name in names},
        )


@strawberry.type(description="What a sharing rule left out of what the provider shares.")
class SyncLeftOut:
    subject: SharingSubject = strawberry.field(description="What the rule speaks of.")
    record_type: RecordType = strawberry.field(description="The kind of record.")
    count: int = strawberry.field(description="How many records it left out.")
    unmatched: list[str] = strawberry.field(
        description="Values of the rule that name nothing that the provider shares: a school that "
        "is called otherwise, say. They are told once for each rule."
    )

    @classmethod
    def list_of(cls, left_out: Sequence[Mapping[str, Any]]) -> "list[SyncLeftOut]":
        return [
            cls(
                subject=SharingSubject(each["subject"]),
                record_type=RecordType(each["record_type"]),
                count=each["count"],
                unmatched=each.get("unmatched", []),
            )
            for each in left_out
        ]


@strawberry.type(description="Why a run failed.")
class SyncFailure:
    code: str = strawberry.field(description="A validation code, or a code of the run's own.")
    message: str = strawberry.field(description="What happened.")
    title: str | None = strawberry.field(description="What is wrong, in a few words.")
    owner: Owner | None = strawberry.field(description="Who can mend it.")
    remedy: str | None = strawberry.field(description="What to do, and where.")

    @classmethod
    def of(cls, code: str, message: str) -> "SyncFailure":
        known = Code.__members__.get(code)
        rule = RULES[known] if known else None
        return cls(
            code=code,
            message=message,
            title=rule.title if rule else None,
            owner=rule.owner if rule else None,
            remedy=rule.remedy if rule else None,
        )
