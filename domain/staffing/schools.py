"""What a file calls schools: by their number, by the provider's id, or by our own."""

from typing import Final

_NAMES: Final = (
    "(SELECT n.name, (array_agg(n.school_id))[1] AS school_id, count(*) AS schools"
    " FROM (SELECT m.name, m.school_id,"
    "    rank() OVER (PARTITION BY m.name ORDER BY m.way) AS place"
    "   FROM (SELECT s.id AS school_id, w.name, w.way FROM schools s CROSS JOIN LATERAL"
    "     (VALUES (s.number, 1), (s.source_id, 2), (s.id::text, 3)) w (name, way)"
    "     WHERE s.tenant_id = {tenant} AND s.archived_at IS {archived} NULL"
    "     AND w.name IS NOT NULL) m) n"
    " WHERE n.place = 1 GROUP BY n.name)"
)
_WRITABLE: Final = r"{name} !~ '[;\u0001-\u001f\u007f-\u009f]|^\s|\s$' AND {name} <> ''"


def names_of_schools(tenant: str, *, archived: bool = False) -> str:
    """SQL for all names of schools that are here, or were: which is meant, and of how many.

    A number goes before a provider's id that is the same.
    """
    return _NAMES.format(tenant=tenant, archived="NOT" if archived else "")


def chosen_names(tenant: str) -> str:
    """SQL for the one name that each school is exported by: the shortest way that is its alone."""
    writable = _WRITABLE.format(name="k.name")
    return (
        "(SELECT DISTINCT ON (s.id) s.id AS school_id, k.name"
        f" FROM schools s JOIN {names_of_schools(tenant)} k"
        f"  ON k.school_id = s.id AND k.schools = 1 AND {writable}"
        f" WHERE s.tenant_id = {tenant}"
        " ORDER BY s.id, k.name = s.number DESC NULLS LAST,"
        "  k.name = s.source_id DESC NULLS LAST)"
    )
