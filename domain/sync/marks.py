"""Marks: which planned changes a reason to wait is about."""

from collections.abc import Callable, Mapping

from domain.roster.records import RecordType
from domain.sync.context import RunContext
from domain.sync.decide import Reason
from domain.validation.codes import Code

Conditions = Mapping[RecordType, str]
"""By type, SQL for the rows `w` of its work table; `$1` is the tenant."""

_ARCHIVE = "w.action = 'ARCHIVE' AND w.origin = 'PROVIDER'"


def concerned(context: RunContext, reason: Reason) -> Conditions:
    """What waits for the reason. Nothing of its own, where all of a plan waits."""
    find = _CONCERNED.get(reason.code)
    return find(context, reason) if find else {}


def _of_type(_: RunContext, reason: Reason) -> Conditions:
    if reason.value is None:
        return {reason.record_type: _ARCHIVE}
    is_of_role = (
        "EXISTS (SELECT FROM users u WHERE u.tenant_id = $1 AND u.id = w.id"
        f" AND '{reason.value}' = ANY (u.roles))"
    )
    return {reason.record_type: f"{_ARCHIVE} AND {is_of_role}"}


def _of_limit(context: RunContext, reason: Reason) -> Conditions:
    """Only archives that count wait: see domain.sync.facts.watch."""
    school = f" AND v.school_id = '{reason.school_id}'" if reason.school_id else ""
    counts = (
        f"EXISTS (SELECT FROM {context.staging.table('watched')} v"
        f" WHERE v.record_type = '{reason.record_type.value}' AND v.id = w.id{school})"
    )
    return {reason.record_type: f"w.action = 'ARCHIVE' AND {counts}"}


def _of_schools(context: RunContext, _: Reason) -> Conditions:
    """The schools, their groups, and whoever has one as their first school.

    All that vanished, whichever the reason names: a hold names only so many.
    """
    vanished = (
        f"SELECT v.id FROM {context.staging.table('watched')} v"
        f" WHERE v.record_type = '{RecordType.SCHOOL.value}'"
    )
    return {
        RecordType.SCHOOL: f"{_ARCHIVE} AND w.id IN ({vanished})",
        RecordType.GROUP: (
            f"{_ARCHIVE} AND EXISTS (SELECT FROM groups g WHERE g.tenant_id = $1 AND g.id = w.id"
            f" AND g.school_id IN ({vanished}))"
        ),
        RecordType.USER: (
            f"{_ARCHIVE} AND EXISTS (SELECT FROM school_affiliations a WHERE a.tenant_id = $1"
            f" AND a.user_id = w.id AND a.position = 1 AND a.school_id IN ({vanished}))"
        ),
    }


def changes_role(context: RunContext) -> str:
    """SQL for whether a row `w` would make a student into somebody who is none."""
    staged = context.staging.of(RecordType.USER)
    return (
        "w.action IN ('UPDATE', 'RESTORE') AND EXISTS (SELECT FROM users u"
        f" JOIN {staged} s ON s.source_id = w.source_id"
        " WHERE u.tenant_id = $1 AND u.id = w.id AND 'STUDENT' = ANY (u.roles)"
        " AND u.origin = 'PROVIDER'"
        "  AND NOT 'STUDENT' = ANY (s.roles) AND s.roles <> '{}')"
    )


def _is_left_out(context: RunContext, record_type: RecordType) -> str:
    left_out = context.staging.left_out
    if record_type is RecordType.MEMBERSHIP:
        return (
            "(w.user_id IN (SELECT r.id FROM users r"
            f"  JOIN {left_out} l ON l.source_id = r.source_id"
            "   WHERE r.tenant_id = $1 AND l.record_type = 'USER')"
            " OR w.group_id IN (SELECT r.id FROM groups r"
            f"  JOIN {left_out} l ON l.source_id = r.source_id"
            "   WHERE r.tenant_id = $1 AND l.record_type = 'GROUP'))"
        )
    return (
        f"w.source_id IN (SELECT source_id FROM {left_out}"
        f" WHERE record_type = '{record_type.value}')"
    )


def _changed_roles(context: RunContext, reason: Reason) -> Conditions:
    return {reason.record_type: changes_role(context)}


def _of_rules(context: RunContext, _: Reason) -> Conditions:
    """All that the rules would archive, of whatever type: a school goes with its people."""
    types = (RecordType.SCHOOL, RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
    return {
        name: f"{_ARCHIVE} AND {_is_left_out(context, name)}"
        f" AND NOT {_was_previewed(context, name)}"
        for name in types
    }


def _was_previewed(context: RunContext, record_type: RecordType) -> str:
    """Whether the preview with which the rules were saved has shown it."""
    return (
        "EXISTS (SELECT FROM sync_changes c JOIN integrations i"
        "  ON i.tenant_id = c.tenant_id AND i.sharing_preview_run_id = c.run_id"
        f" WHERE c.tenant_id = $1 AND i.id = '{context.integration_id}' AND c.action = 'ARCHIVE'"
        f" AND c.record_type = '{record_type.value}' AND c.record_id = w.id)"
    )


def _unmatched(context: RunContext, reason: Reason) -> Conditions:
    is_one = f"w.id IN (SELECT id FROM {context.staging.unmatched})"
    return {reason.record_type: f"{_ARCHIVE} AND {is_one}"}


_CONCERNED: Mapping[Code, Callable[[RunContext, Reason], Conditions]] = {
    Code.HOLD_TYPE_EMPTY: _of_type,
    Code.HOLD_DELETES: _of_limit,
    Code.HOLD_UPDATES: lambda _, reason: {reason.record_type: "w.action = 'UPDATE'"},
    Code.SCHOOL_VANISHED: _of_schools,
    Code.USER_ROLE_CHANGED: _changed_roles,
    Code.HOLD_SHARING_CHANGE: _of_rules,
    Code.PROVIDER_SWITCH_UNMATCHED: _unmatched,
}
