"""The floor of a page: what the API answers as JSON, made by one statement of PostgreSQL.

It is written for this one page: no schema, no arguments, no cursor but the last, no cost limits.
"""

from collections.abc import Sequence
from typing import Final

ORDERS: Final = {
    "NAME": "lower(u.family_name), lower(u.given_name), u.id",
    "CREATED": "u.id",
}
_FIELDS: Final = """
    id username givenName familyName email number roles grades isEnabled archivedAt
    school { id name number }
    groups { id name code startsOn endsOn grades subjects school { id name } }
    trainingSettings {
      speedTarget { value level } accuracyTarget { value level } keyboardLayout { value level }
      hasAvatars { value level } ageGroup { value level }
    }
"""
QUERY: Final = f"""query ($slug: String, $order: UserOrderField!) {{ tenant(slug: $slug) {{
  users(first: 100, orderBy: {{field: $order}}) {{ nodes {{ {_FIELDS} }} }} }} }}"""


def _id(code: str, row: str) -> str:
    """SQL for a global id."""
    raw = f"'{code}'::bytea || uuid_send({row}.tenant_id) || uuid_send({row}.id)"
    return f"translate(encode({raw}, 'base64'), '+/', '-_')"


_SCHOOL: Final = f"""(
  SELECT json_build_object('id', {_id("S", "s")}, 'name', s.name, 'number', s.number)
  FROM school_affiliations a JOIN schools s ON s.tenant_id = a.tenant_id AND s.id = a.school_id
  WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id ORDER BY a.position, s.id LIMIT 1)"""  # noqa: S608 - our own SQL
_GROUPS: Final = f"""(
  SELECT coalesce(json_agg(json_build_object(
    'id', {_id("G", "g")}, 'name', g.name, 'code', g.code, 'startsOn', g.starts_on,
    'endsOn', g.ends_on, 'grades', g.grades, 'subjects', g.subjects,
    'school', json_build_object('id', {_id("S", "s")}, 'name', s.name)
  ) ORDER BY g.name, g.id), '[]')
  FROM groups g JOIN schools s ON s.tenant_id = g.tenant_id AND s.id = g.school_id
  WHERE g.tenant_id = u.tenant_id AND g.archived_at IS NULL AND g.id IN (
    SELECT m.group_id FROM memberships m
    WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id AND m.archived_at IS NULL))"""  # noqa: S608 - our own SQL


_LEVELS: Final = {"USER": "su", "GROUP": "sg", "SCHOOL": "ss", "TENANT": "st"}


def _setting(column: str, levels: Sequence[str] = tuple(_LEVELS)) -> str:
    """SQL for the nearest value and its level."""
    cells = {level: f"{_LEVELS[level]}.{column}" for level in levels}
    cases = " ".join(f"WHEN {cell} IS NOT NULL THEN '{level}'" for level, cell in cells.items())
    value = f"coalesce({', '.join(cells.values())})"
    return f"json_build_object('value', {value}, 'level', CASE {cases} ELSE 'DEFAULT' END)"


_SETTINGS: Final = f"""(
  SELECT json_build_object(
    'speedTarget', {_setting("speed_target")}, 'accuracyTarget', {_setting("accuracy_target")},
    'keyboardLayout', {_setting("keyboard_layout")}, 'hasAvatars', {_setting("has_avatars")},
    'ageGroup', {_setting("age_group", ["GROUP"])})
  FROM (
    SELECT CASE WHEN bool_or(m.group_id = d.group_id) THEN d.group_id
      WHEN count(DISTINCT m.group_id) = 1 THEN (array_agg(m.group_id))[1] END AS group_id
    FROM memberships m JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
    WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id
      AND m.archived_at IS NULL AND g.archived_at IS NULL) l
  LEFT JOIN groups g ON g.tenant_id = u.tenant_id AND g.id = l.group_id
  LEFT JOIN training_settings su ON su.tenant_id = u.tenant_id
    AND su.school_id IS NULL AND su.group_id IS NULL AND su.user_id = u.id
  LEFT JOIN training_settings sg ON sg.tenant_id = u.tenant_id
    AND sg.school_id IS NULL AND sg.group_id = g.id AND sg.user_id IS NULL
  LEFT JOIN of_schools ss ON ss.school_id = coalesce(g.school_id, (
    SELECT a.school_id FROM school_affiliations a
    WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id ORDER BY a.position LIMIT 1))
  LEFT JOIN of_tenant st ON true)"""  # noqa: S608 - our own SQL


def floor_sql(order: str) -> str:
    """$1 is the tenant's id."""
    return f"""
WITH of_tenant AS MATERIALIZED (
  SELECT * FROM training_settings
  WHERE tenant_id = $1 AND school_id IS NULL AND group_id IS NULL AND user_id IS NULL),
of_schools AS MATERIALIZED (
  SELECT * FROM training_settings WHERE tenant_id = $1 AND school_id IS NOT NULL)
SELECT json_build_object('data', json_build_object('tenant', json_build_object('users',
  json_build_object('nodes', json_agg(p.node ORDER BY p.place)))))::text
FROM (
  SELECT json_build_object(
    'id', {_id("U", "u")}, 'username', u.username, 'givenName', u.given_name,
    'familyName', u.family_name, 'email', u.email, 'number', u.number, 'roles', u.roles,
    'grades', u.grades, 'isEnabled', u.is_enabled, 'archivedAt', u.archived_at,
    'school', {_SCHOOL}, 'groups', {_GROUPS},
    'trainingSettings', {_SETTINGS}) AS node, u.place
  FROM (
    SELECT u.*, row_number() OVER (ORDER BY {ORDERS[order]}) AS place FROM users u
    WHERE u.tenant_id = $1 AND u.archived_at IS NULL ORDER BY {ORDERS[order]} LIMIT 100) u
  LEFT JOIN default_places d ON d.tenant_id = u.tenant_id AND d.user_id = u.id) p"""  # noqa: S608 - our own SQL
