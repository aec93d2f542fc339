"""A preflight's first two questions: the schools and the classes, beside what was expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.roster.records import RecordType
from domain.sync.preflight_items import Items, PreflightOutcome, PreflightTopic
from domain.sync.sharing import folded
from domain.sync.stored import Stored
from domain.validation.codes import Code


@dataclass(frozen=True, slots=True)
class Shares:
    """`expected` is {schools, classes}: what the district says that it shares; not said is None.

    A value is matched as a sharing rule's is: by id, number and name, or id, code and name.
    """

    items: Items
    stored: Stored
    expected: Mapping[str, Any]

    async def schools(self) -> dict[str, int | None]:
        """Every school is listed, with the numbers of its classes and people."""
        wanted: Sequence[str] | None = self.expected.get("schools")
        staging = self.items.context.staging
        shared = (
            f"SELECT source_id, number, name, false AS is_left_out"
            f" FROM {staging.of(RecordType.SCHOOL)}"
            f" UNION ALL SELECT source_id, number, name, true FROM {staging.left_out}"
            "  WHERE record_type = 'SCHOOL'"
        )
        await self.items.add(
            PreflightTopic.SCHOOLS,
            f"SELECT {self._outcome('s.number')} AS outcome, 'SCHOOL' AS record_type,"
            "  r.id AS record_id, s.source_id, s.name,"
            "  jsonb_build_object('number', s.number) || CASE WHEN s.is_left_out THEN '{}' ELSE"
            "   jsonb_build_object('classes', coalesce(c.classes, 0),"
            "    'students', coalesce(p.students, 0), 'teachers', coalesce(p.teachers, 0)) END"
            "   AS details"
            f" FROM ({shared}) s"
            f" LEFT JOIN ({self.stored.records(RecordType.SCHOOL)}) r USING (source_id)"
            f" LEFT JOIN ({self._classes_of_schools()}) c ON c.id = s.source_id"
            f" LEFT JOIN ({self._people_of_schools()}) p ON p.id = s.source_id"
            " ORDER BY outcome, s.name, s.source_id",
            wanted,
        )
        await self._add_missing(PreflightTopic.SCHOOLS, RecordType.SCHOOL, wanted, shared, "number")
        counted = await self.items.counted(PreflightTopic.SCHOOLS)
        return _numbers(counted, wanted) | {
            "left_out": counted.get(PreflightOutcome.LEFT_OUT, 0),
            "shared": sum(
                counted.get(outcome, 0)
                for outcome in (
                    PreflightOutcome.SHARED,
                    PreflightOutcome.SHARED_AND_EXPECTED,
                    PreflightOutcome.SHARED_NOT_EXPECTED,
                )
            ),
        }

    async def classes(self) -> dict[str, int | None]:
        """Those are listed that differ from what was expected, or lack somebody."""
        wanted: Sequence[str] | None = self.expected.get("classes")
        staging = self.items.context.staging
        groups = staging.of(RecordType.GROUP)
        shared = (
            f"SELECT source_id, code, name, school_source_id FROM {groups}"
            f" UNION ALL SELECT source_id, number, name, NULL FROM {staging.left_out}"
            "  WHERE record_type = 'GROUP'"
        )
        if wanted is not None:
            await self.items.add(
                PreflightTopic.CLASSES,
                "SELECT 'SHARED_NOT_EXPECTED' AS outcome, 'GROUP' AS record_type,"
                f"  r.id AS record_id, s.source_id, s.name, {_CLASS_DETAILS} AS details"
                f" FROM {groups} s"
                f" LEFT JOIN ({self.stored.records(RecordType.GROUP)}) r USING (source_id)"
                f" LEFT JOIN {staging.of(RecordType.SCHOOL)} sc"
                "  ON sc.source_id = s.school_source_id"
                f" WHERE NOT ({_is_expected('s.code')}) ORDER BY sc.name, s.name, s.source_id",
                wanted,
            )
            await self._add_missing(
                PreflightTopic.CLASSES, RecordType.GROUP, wanted, shared, "code"
            )
        await self._add_lacking()
        return await self._count_classes(wanted)

    async def _count_classes(self, wanted: Sequence[str] | None) -> dict[str, int | None]:
        staging, connection = self.items.context.staging, self.items.connection
        counted = await self.items.counted(PreflightTopic.CLASSES)
        shared = await connection.fetchval(f"SELECT count(*) FROM {staging.of(RecordType.GROUP)}")
        numbers = _numbers(counted, wanted)
        if wanted is not None:
            numbers["shared_and_expected"] = shared - counted.get(
                PreflightOutcome.SHARED_NOT_EXPECTED, 0
            )
        return numbers | {
            "shared": shared,
            "left_out": await connection.fetchval(
                f"SELECT count(*) FROM {staging.left_out} WHERE record_type = 'GROUP'"
            ),
            "without_teacher": counted.get(PreflightOutcome.WITHOUT_TEACHER, 0),
            "empty": counted.get(PreflightOutcome.EMPTY, 0),
        }

    def _outcome(self, number: str) -> str:
        return (
            "CASE WHEN s.is_left_out THEN 'LEFT_OUT' WHEN $4::text[] IS NULL THEN 'SHARED'"
            f" WHEN {_is_expected(number)} THEN 'SHARED_AND_EXPECTED'"
            " ELSE 'SHARED_NOT_EXPECTED' END"
        )

    def _classes_of_schools(self) -> str:
        groups = self.items.context.staging.of(RecordType.GROUP)
        return f"SELECT school_source_id AS id, count(*) AS classes FROM {groups} GROUP BY 1"

    def _people_of_schools(self) -> str:
        users = self.items.context.staging.of(RecordType.USER)
        return (
            "SELECT i.id, count(*) FILTER (WHERE 'STUDENT' = ANY (u.roles)) AS students,"
            " count(*) FILTER (WHERE 'TEACHER' = ANY (u.roles)) AS teachers"
            f" FROM {users} u CROSS JOIN unnest(u.school_source_ids) AS i (id) GROUP BY 1"
        )

    async def _add_missing(
        self,
        topic: PreflightTopic,
        record_type: RecordType,
        wanted: Sequence[str] | None,
        shared: str,
        number: str,
    ) -> None:
        """What was expected and names nothing that is shared; the value stands for a name."""
        names = " UNION ".join(
            f"SELECT {folded(column)} FROM ({shared}) n WHERE {column} IS NOT NULL"
            for column in ("source_id", number, "name")
        )
        await self.items.add(
            topic,
            "SELECT 'EXPECTED_NOT_SHARED' AS outcome, $5::text AS record_type,"
            "  NULL::uuid AS record_id, NULL::text AS source_id, v.value AS name,"
            "  '{}'::jsonb AS details"
            " FROM unnest($4::text[]) WITH ORDINALITY AS v (value, n)"
            f" WHERE {folded('v.value')} NOT IN ({names}) ORDER BY v.n",
            wanted,
            record_type.value,
        )

    async def _add_lacking(self) -> None:
        """As the validation has found them."""
        staging = self.items.context.staging
        await self.items.add(
            PreflightTopic.CLASSES,
            "SELECT p.outcome, 'GROUP' AS record_type, r.id AS record_id, s.source_id, s.name,"
            f"  {_CLASS_DETAILS} AS details"
            " FROM (SELECT DISTINCT source_id,"
            "   CASE code WHEN $4 THEN 'WITHOUT_TEACHER' ELSE 'EMPTY' END AS outcome"
            f"   FROM {staging.problems} WHERE record_type = 'GROUP' AND code IN ($4, $5)) p"
            f" JOIN {staging.of(RecordType.GROUP)} s USING (source_id)"
            f" LEFT JOIN ({self.stored.records(RecordType.GROUP)}) r USING (source_id)"
            f" LEFT JOIN {staging.of(RecordType.SCHOOL)} sc ON sc.source_id = s.school_source_id"
            " ORDER BY p.outcome, sc.name, s.name, s.source_id",
            Code.CLASS_NO_TEACHER.value,
            Code.CLASS_EMPTY.value,
        )


_CLASS_DETAILS = "jsonb_build_object('school', sc.name, 'code', s.code)"


def _is_expected(number: str) -> str:
    """SQL for whether a shared record `s` is among the values `$4`."""
    values = f"(SELECT {folded('v')} FROM unnest($4::text[]) AS v)"
    return " OR ".join(
        f"coalesce({folded(column)} IN {values}, false)"
        for column in ("s.source_id", number, "s.name")
    )


def _numbers(counted: Mapping[str, int], wanted: Sequence[str] | None) -> dict[str, int | None]:
    """None where nothing was said: then nothing is expected or unexpected."""
    outcomes = (
        PreflightOutcome.SHARED_AND_EXPECTED,
        PreflightOutcome.SHARED_NOT_EXPECTED,
        PreflightOutcome.EXPECTED_NOT_SHARED,
    )
    return {
        "expected": None if wanted is None else len(wanted),
        **{
            outcome.value.lower(): None if wanted is None else counted.get(outcome, 0)
            for outcome in outcomes
        },
    }
