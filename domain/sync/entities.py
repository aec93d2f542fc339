"""How each record type lies in staging and in its table: what the phases make their SQL from.

A membership is none of these: it is compared by its enrollments; see domain.sync.memberships.
"""

from typing import NamedTuple

from domain.roster.ownership import written_by_sync
from domain.roster.records import Course, Group, Record, RecordType, School, Term, User


class Entity(NamedTuple):
    """`compared` are the staged columns whose hash tells whether a record changed.

    `stored` selects rows `r` of the tenant `$1` in the record's shape; see `stored_rows`. What is
    from before rostering is referred to by its own id.
    `references` are joins, from the staged row `s`, that resolve source
    ids; `values` say where a column's value comes from if not from the staged column of its name.
    """

    record_type: RecordType
    table: str
    record: type[Record]
    compared: tuple[str, ...]
    stored: str
    references: str = ""
    values: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default is never changed

    def stored_rows(self, ids: str) -> str:
        """SQL for what is stored of the records whose ids the query `ids` selects."""
        return self.stored.format(
            of_r=f" AND r.id IN ({ids})", of_user=f" AND sa.user_id IN ({ids})"
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that a sync writes."""
        return written_by_sync(self.record_type)

    def value(self, column: str) -> str:
        return self.values.get(column, f"s.{column}")


def _plain(record_type: RecordType, table: str, record: type[Record]) -> Entity:
    fields = record._fields
    return Entity(
        record_type=record_type,
        table=table,
        record=record,
        compared=fields[1:],
        stored=(
            f"SELECT r.id, r.origin, {', '.join(f'r.{field}' for field in fields)}"
            f" FROM {table} r WHERE r.tenant_id = $1{{of_r}}"
        ),
    )


SCHOOLS = _plain(RecordType.SCHOOL, "schools", School)
TERMS = _plain(RecordType.TERM, "terms", Term)
COURSES = _plain(RecordType.COURSE, "courses", Course)
GROUPS = Entity(
    record_type=RecordType.GROUP,
    table="groups",
    record=Group,
    # The dates of its terms are compared with a group: a moved term moves its groups.
    compared=(*Group._fields[1:], "starts_on", "ends_on"),
    stored=(
        "SELECT r.id, r.origin, r.source_id, r.name,"
        " coalesce(sc.source_id, sc.id::text) AS school_source_id,"
        " coalesce(co.source_id, co.id::text) AS course_source_id,"
        " r.term_source_ids, r.code, r.kind, r.period,"
        " r.grades, r.subjects, r.keys, r.starts_on, r.ends_on"
        " FROM groups r"
        " JOIN schools sc ON sc.tenant_id = r.tenant_id AND sc.id = r.school_id"
        " LEFT JOIN courses co ON co.tenant_id = r.tenant_id AND co.id = r.course_id"
        " WHERE r.tenant_id = $1{of_r}"
    ),
    references=(
        "JOIN schools sc ON sc.tenant_id = $1 AND sc.source_id = s.school_source_id"
        " LEFT JOIN courses co ON co.tenant_id = $1 AND co.source_id = s.course_source_id"
    ),
    values={"school_id": "sc.id", "course_id": "co.id"},
)
USERS = Entity(
    record_type=RecordType.USER,
    table="users",
    record=User,
    compared=User._fields[1:],
    stored=(
        "SELECT r.id, r.origin, r.source_id, r.username, r.given_name, r.family_name, r.roles,"
        " coalesce(a.school_source_ids, '{{}}') AS school_source_ids,"
        " r.preferred_given_name, r.preferred_family_name, r.email, r.number, r.grades,"
        " r.is_enabled, r.keys, r.is_eligible"
        " FROM users r"
        " LEFT JOIN (SELECT sa.user_id,"
        "   array_agg(coalesce(sc.source_id, sc.id::text) ORDER BY sa.position)"
        "    AS school_source_ids"
        "   FROM school_affiliations sa"
        "   JOIN schools sc ON sc.tenant_id = sa.tenant_id AND sc.id = sa.school_id"
        "   WHERE sa.tenant_id = $1{of_user} GROUP BY sa.user_id) a ON a.user_id = r.id"
        " WHERE r.tenant_id = $1{of_r}"
    ),
)

ENTITIES = (SCHOOLS, TERMS, COURSES, GROUPS, USERS)
"""Parents before children."""
