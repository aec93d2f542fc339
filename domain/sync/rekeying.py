"""Stored records that the feed seems to call by other ids than before.

A provider may give a person a new id (Clever: after 300 days away, or with a changed address):
then an administrator decides in the list of matches. When many records of a type are gone and
nearly all have come back under another id, the ids were made anew, not the people: then all of
them are linked, and the whole run waits for approval. After a switch of provider every id is
another one, and whoever is recognised is linked.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from domain.roster.source import Provider
from domain.sync.entities import USERS, Entity
from domain.sync.lookalikes import (
    FITS,
    KEY,
    LOOKS,
    Comparison,
    find_pairs,
    fresh,
    has_vanished,
    is_gone,
    keys_beside,
    may_be_meant,
)
from domain.sync.rules import Rules
from domain.sync.waiting import Match, take_out
from domain.validation.codes import Code

FEWEST = 3
"""Fewer records that are gone are a matter of each of them."""
GONE_PERCENT = 20
"""More than so many of the live records of a type have to be gone,"""
ALIKE_PERCENT = 80
"""and at least so many of those must have exactly one look-alike, to be taken for re-keyed."""

_CALLED_BY_SYSTEM = frozenset({Provider.ONEROSTER, Provider.CLASSLINK, Provider.ONEROSTER_CSV})
"""Their ids are what the student information system calls a record; Clever makes its own."""
_IS_LIVE = "r.archived_at IS NULL"


class Switch(NamedTuple):
    """From one provider to another. `is_done`: a run of the new one was applied."""

    provider: Provider
    former: Provider
    is_done: bool


class _Gone(NamedTuple):
    gone: int
    live: int

    @property
    def is_much(self) -> bool:
        return self.gone >= FEWEST and self.gone * 100 > GONE_PERCENT * self.live


async def find_switch(rules: Rules) -> Switch | None:
    row = await rules.connection.fetchrow(
        "SELECT provider, former_provider, rostered_at IS NOT NULL AS is_done FROM integrations"
        " WHERE tenant_id = $1 AND id = $2 AND former_provider IS NOT NULL",
        rules.context.tenant_id,
        rules.context.integration_id,
    )
    if row is None:
        return None
    return Switch(Provider(row["provider"]), Provider(row["former_provider"]), row["is_done"])


async def find_rekeyed(rules: Rules, entity: Entity, switch: Switch | None) -> list[Match]:
    """Link what is recognised, and take out who waits for a decision: those."""
    is_switching = switch is not None and not switch.is_done
    if not await _has_fresh(rules, entity):
        return []
    size = await _count_gone(rules, entity)
    is_mass = is_switching or size.is_much
    if not is_mass and entity is not USERS:
        return []
    await _find_pairs(rules, entity, switch if is_switching else None, is_mass=is_mass)
    ambiguous: list[Match] = []
    if is_mass:
        await _find_couples(rules)
        if is_switching:
            await _link(rules, entity, _REASONS_OF_SWITCH)
            ambiguous = await _find_ambiguous(rules) if entity is USERS else []
        else:
            await _link_if_rekeyed(rules, entity, size)
    if entity is not USERS:
        return []
    await take_out(rules, ambiguous)
    single = await _find_single(rules)
    await take_out(rules, single)
    return [*ambiguous, *single]


async def _has_fresh(rules: Rules, entity: Entity) -> bool:
    """A first sync has nothing to compare with; most nights bring nothing new."""
    return bool(
        await rules.connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {entity.table}"
            "  WHERE tenant_id = $1 AND origin = 'PROVIDER')",
            rules.context.tenant_id,
        )
        and await rules.connection.fetchval(f"SELECT EXISTS ({fresh(rules, entity)})")
    )


async def _count_gone(rules: Rules, entity: Entity) -> _Gone:
    row = await rules.connection.fetchrow(
        f"SELECT (SELECT count(*) FROM {entity.table} r"
        f"  WHERE {_IS_LIVE} AND {is_gone(rules, entity)}) AS gone,"
        f" (SELECT count(*) FROM {entity.table} r WHERE {_IS_LIVE}"
        "   AND r.tenant_id = $1 AND r.origin = 'PROVIDER') AS live",
        rules.context.tenant_id,
    )
    return _Gone(*row)


async def _find_pairs(
    rules: Rules, entity: Entity, switch: Switch | None, *, is_mass: bool
) -> None:
    """Where a few are gone, people are compared by keys; who is archived, always."""
    name = entity.record_type
    condition = is_gone(rules, entity)
    if entity is USERS:
        condition += " AND r.merged_into_id IS NULL"
        condition += "" if is_mass else f" AND {may_be_meant(rules, entity)}"
    else:
        condition += f" AND {_IS_LIVE}"
    sides = (switch.provider, switch.former) if switch is not None else ()
    ours = [provider in _CALLED_BY_SYSTEM for provider in sides]
    are_ours, were_ours = ours if len(set(ours)) > 1 else (False, False)
    compared = Comparison(
        traits=[trait for trait in LOOKS[name] if is_mass or trait.rank == KEY],
        condition=condition,
        keys=keys_beside(rules, entity, are_ours=are_ours, were_ours=were_ours),
        fits=f"{FITS[name]} AND (f.rank = {KEY} OR v.archived_at IS NULL)",
    )
    await find_pairs(rules, entity, compared)


async def _find_couples(rules: Rules) -> None:
    """Pairs of which neither has a better one; `alikes` is how many as good ones there are.

    A couple is the only one of both.
    """
    await rules.execute("DROP TABLE IF EXISTS pg_temp.couples")
    await rules.execute(
        "CREATE TEMPORARY TABLE couples ON COMMIT DROP AS"
        " SELECT b.*, count(*) OVER (PARTITION BY source_id) AS of_fresh,"
        "  count(*) OVER (PARTITION BY id) AS of_stored"
        " FROM (SELECT p.*, min(rank) OVER (PARTITION BY source_id) AS best_of_fresh,"
        "   min(rank) OVER (PARTITION BY id) AS best_of_stored"
        "   FROM pg_temp.pairs p WHERE p.is_live) b"
        " WHERE rank = best_of_fresh AND rank = best_of_stored"
    )


_REASONS_OF_SWITCH = f"CASE rank WHEN {KEY} THEN 'KEYS' ELSE 'CONTENT' END"
_IS_COUPLE = "of_fresh = 1 AND of_stored = 1"


async def _link(rules: Rules, entity: Entity, reason: str) -> None:
    await rules.execute(
        f"INSERT INTO {rules.context.staging.links} (record_type, source_id, id, reason)"
        f" SELECT $1, source_id, id, {reason} FROM pg_temp.couples WHERE {_IS_COUPLE}",
        entity.record_type.value,
    )


async def _link_if_rekeyed(rules: Rules, entity: Entity, size: _Gone) -> None:
    alike = await rules.connection.fetchval(
        f"SELECT count(*) FROM pg_temp.couples WHERE {_IS_COUPLE}"
    )
    if alike * 100 >= ALIKE_PERCENT * size.gone:
        await _link(rules, entity, "'REKEYING'")
        await rules.execute(
            f"INSERT INTO {rules.context.staging.churn} (record_type, gone, alike)"
            " VALUES ($1, $2, $3)",
            entity.record_type.value,
            size.gone,
            alike,
        )


_WAS_NOT_DONE = "(h.ended_at IS NULL OR h.ended_by NOT LIKE 'run %')"
"""No run has looked at the whole roster since: the hold is open, or was discarded."""


async def recall_links(rules: Rules, entity: Entity, switch: Switch | None) -> None:
    """Link again what was shown and waits: one that came too late for the others, or in a delta.

    Alone it is no mass any more, and would be taken for somebody new. It waits for approval too,
    and so it does when what waited was set aside: it is still the same person.
    """
    is_switching = switch is not None and not switch.is_done
    if is_switching or not await rules.connection.fetchval(
        f"SELECT EXISTS (SELECT FROM holds h WHERE h.tenant_id = $1 AND {_WAS_NOT_DONE})",
        rules.context.tenant_id,
    ):
        return
    name, links = entity.record_type.value, rules.context.staging.links
    linked = await rules.connection.fetch(
        f"INSERT INTO {links} (record_type, source_id, id, reason)"
        " SELECT DISTINCT ON (w.source_id) $2::text, w.source_id, w.id, 'REKEYING' FROM ("
        "  SELECT DISTINCT ON (r.id) r.id, f.source_id, c.created_at"
        "  FROM holds h JOIN sync_changes c ON c.tenant_id = h.tenant_id AND c.run_id = h.run_id"
        f"  JOIN ({fresh(rules, entity)}) f ON f.source_id = c.new_values ->> 'source_id'"
        f"  JOIN {entity.table} r ON r.tenant_id = $1 AND r.id = c.record_id"
        f"  WHERE h.tenant_id = $1 AND {_WAS_NOT_DONE} AND c.record_type = $2::text"
        "   AND c.action = 'UPDATE' AND c.held_by IS NOT NULL"
        f"   AND {_IS_LIVE} AND {has_vanished(rules, entity)}"
        "  ORDER BY r.id, c.created_at DESC) w ORDER BY w.source_id, w.created_at DESC"
        " RETURNING id",
        rules.context.tenant_id,
        name,
    )
    if linked:
        await rules.execute(
            f"INSERT INTO {rules.context.staging.churn} (record_type, gone, alike)"
            " VALUES ($1, $2, $2)",
            name,
            len(linked),
        )


async def _find_ambiguous(rules: Rules) -> list[Match]:
    """People of a new provider who are like several of the former one, or several like one."""
    rows = await rules.connection.fetch(
        "SELECT c.source_id, array_agg(DISTINCT c.id) AS ids,"
        "  array_agg(DISTINCT c.former) AS former, array_agg(DISTINCT k.key) AS keys,"
        "  max(c.of_fresh) > 1 AS is_ambiguous, true AS are_live"
        " FROM pg_temp.couples c CROSS JOIN unnest(c.shown) AS k (key)"
        f" WHERE NOT ({_IS_COUPLE}) GROUP BY 1 ORDER BY 1"
    )
    return [
        _match(
            row, Code.USER_MATCH_AMBIGUOUS if row["is_ambiguous"] else Code.USER_SOURCE_DUPLICATE
        )
        for row in rows
    ]


async def _find_single(rules: Rules) -> list[Match]:
    """New ids that share a key with people who have vanished.

    Who is live is asked about first: archived people are candidates only where nobody is live.
    """
    links = rules.context.staging.links
    rows = await rules.connection.fetch(
        "SELECT a.source_id, array_agg(DISTINCT a.id) AS ids,"
        "  array_agg(DISTINCT a.former) AS former, array_agg(DISTINCT k.key) AS keys, a.are_live"
        " FROM (SELECT p.*, bool_or(p.is_live) OVER (PARTITION BY p.source_id) AS are_live"
        f"   FROM pg_temp.pairs p WHERE p.rank = {KEY}"
        f"   AND EXISTS (SELECT FROM {rules.table(USERS)} s WHERE s.source_id = p.source_id)"
        f"   AND NOT EXISTS (SELECT FROM {links} l WHERE l.record_type = 'USER'"
        "     AND l.source_id = p.source_id)"
        f"   AND NOT EXISTS (SELECT FROM {links} l WHERE l.record_type = 'USER' AND l.id = p.id)"
        "  ) a CROSS JOIN unnest(a.shown) AS k (key)"
        " WHERE a.is_live = a.are_live GROUP BY a.source_id, a.are_live ORDER BY 1"
    )
    return [_match(row, Code.USER_ID_CHANGED) for row in rows]


def _match(row: Mapping[str, Sequence[str]], code: Code) -> Match:
    ids: Sequence[UUID] = [UUID(str(one)) for one in row["ids"]]
    return Match(
        source_id=str(row["source_id"]),
        code=code,
        ids=ids,
        expected=f"the id {' or '.join(row['former'])}",
        found=f"another id, with the same {' and '.join(row['keys'])}",
        stays=row["former"] if row["are_live"] else (),
    )


async def tell_unmatched(rules: Rules, switch: Switch, matches: Sequence[Match]) -> None:
    """Who was not found at the new provider; later too, until an administrator has decided."""
    was_told = (
        " AND EXISTS (SELECT FROM sync_changes c WHERE c.tenant_id = r.tenant_id"
        f"  AND c.record_id = r.id AND c.held_by = '{Code.PROVIDER_SWITCH_UNMATCHED.value}')"
        if switch.is_done
        else ""
    )
    await rules.execute(
        f"INSERT INTO {rules.context.staging.unmatched} (record_type, id)"
        f" SELECT 'USER', r.id FROM users r WHERE {_IS_LIVE} AND {has_vanished(rules, USERS)}"
        f" AND r.id <> ALL ($1::uuid[]){was_told}",
        [one for match in matches for one in match.ids],
    )
