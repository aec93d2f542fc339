"""A rule over the staged enrollments: which of them are not of today."""

from domain.roster.records import RecordType
from domain.sync.entities import GROUPS
from domain.sync.rules import SAID, Rules, tell_number
from domain.validation.codes import Code


async def note_stays_of_other_days(rules: Rules) -> None:
    """One note for each school, since at a term's turn it concerns most people of some.

    Of classes that are under way only: an enrollment of a class that has ended ends with it. It
    is a query of its own because PostgreSQL shares only those among its processes.
    """
    rows = await rules.connection.fetch(
        "SELECT g.school_source_id AS id, sum(e.later) AS later, sum(e.ended) AS ended"
        f" FROM {rules.table(GROUPS)} g"
        " JOIN (SELECT m.group_source_id, count(*) FILTER (WHERE m.begins_on > t.today) AS later,"
        "   count(*) FILTER (WHERE m.ends_on <= t.today) AS ended"
        f"  FROM {rules.context.staging.of(RecordType.MEMBERSHIP)} m, (SELECT $1::date AS today) t"
        "   WHERE m.begins_on > t.today OR m.ends_on <= t.today GROUP BY 1) e"
        "  ON e.group_source_id = g.source_id"
        " WHERE (g.starts_on > $1) IS NOT TRUE AND (g.ends_on <= $1) IS NOT TRUE"
        " GROUP BY 1 ORDER BY 1",
        await _today(rules),
    )
    await rules.execute(
        f"INSERT INTO {rules.context.staging.problems} {SAID}"
        " SELECT $1, $2, n.id, NULL, 'enrollments of today', n.found, $2 || ' ' || n.id,"
        f"  {tell_number('n.number')}, false"
        " FROM unnest($3::text[], $4::text[], $5::bigint[]) n (id, found, number)",
        Code.ENR_OUTSIDE_DATES.value,
        RecordType.SCHOOL.value,
        [row["id"] for row in rows],
        [f"{row['ended']} have ended, {row['later']} begin later" for row in rows],
        [row["ended"] + row["later"] for row in rows],
    )


async def _today(rules: Rules) -> object:
    return await rules.connection.fetchval(
        "SELECT (now() AT TIME ZONE time_zone)::date FROM tenants WHERE id = $1",
        rules.context.tenant_id,
    )
