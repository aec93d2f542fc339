"""Linking: which stored record a record of the feed is, where their ids do not tell.

What is found is noted in staging (`links`, `settled`, `churn`, `unmatched`) and becomes part of
the plan. Nothing that is stored is changed before a plan is applied, so that a preflight shows
the same, and a run that waits or is cancelled leaves everything as it was.
"""

from domain.roster.records import RecordType
from domain.sync.entities import GROUPS, SCHOOLS, USERS
from domain.sync.legacy_accounts import (
    find_policy,
    keep_eligibility,
    match_legacy,
    settle,
)
from domain.sync.models import SyncMode
from domain.sync.rekeying import find_rekeyed, find_switch, recall_links, tell_unmatched
from domain.sync.rules import Rules
from domain.sync.waiting import Match, carry_out_decisions, recall, store, take_out


async def link_records(rules: Rules) -> None:
    """Parents first: where a group or a person is says who they are.

    Only a full pull shows all who have vanished; a delta says who is deleted, and keeps those out
    who wait already.
    """
    is_delta = RecordType.USER in rules.deltas
    await carry_out_decisions(rules)
    if is_delta:
        await take_out(rules, await recall(rules))
    switch, policy = await find_switch(rules), await find_policy(rules)
    matches: list[Match] = []
    for entity in (SCHOOLS, GROUPS, USERS):
        matches += await find_rekeyed(rules, entity, switch)
        await recall_links(rules, entity, switch)
        if policy is not None:
            matches += await match_legacy(rules, entity, policy)
    if switch is not None and not is_delta:
        await tell_unmatched(rules, switch, matches)
    if policy is not None:
        await settle(rules, matches)
        await keep_eligibility(rules)
    await _rename(rules)
    if rules.context.mode is not SyncMode.PREFLIGHT:
        await store(rules, matches, is_whole=not is_delta)


async def _rename(rules: Rules) -> None:
    """What was put into staging from what is stored is called there as the feed calls it.

    Of the two records of one person the one that came with the feed is taken.
    """
    staging = rules.context.staging
    if not await rules.connection.fetchval(f"SELECT EXISTS (SELECT FROM {staging.links})"):
        return
    enrollments = staging.of(RecordType.MEMBERSHIP)
    for entity, column in (
        (SCHOOLS, None),
        (GROUPS, "group_source_id"),
        (USERS, "user_source_id"),
    ):
        linked = (
            f"SELECT r.source_id AS former, l.source_id FROM {staging.links} l"
            f" JOIN {entity.table} r ON r.tenant_id = $1 AND r.id = l.id"
            f" WHERE l.record_type = '{entity.record_type.value}'"
        )
        await rules.execute(
            f"DELETE FROM {rules.table(entity)} s USING ({linked}) n"
            " WHERE s.is_stored AND s.source_id = n.former",
            rules.context.tenant_id,
        )
        if column is not None:
            await rules.execute(
                f"UPDATE {enrollments} e SET {column} = n.source_id FROM ({linked}) n"
                f" WHERE e.is_stored AND e.{column} = n.former",
                rules.context.tenant_id,
            )
