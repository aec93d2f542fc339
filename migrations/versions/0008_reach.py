"""How far people see within their tenant: policies on top of the walls between tenants.

They bind the API's role alone, and only where a transaction says `homerow.reach`: for whoever
sees all of the tenant they cost one comparison. A table that is named nowhere here is not for
those who see a part: that is what a new table begins with.
"""

# ruff: noqa: S608 - every statement is made of our own names

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CURRENT_TENANT = "nullif(current_setting('homerow.tenant_id', true), '')::uuid"
SEES_ALL = "(SELECT current_setting('homerow.reach', true) IS DISTINCT FROM 'SOME')"
SELF = "(SELECT nullif(current_setting('homerow.reach_user', true), '')::uuid)"
ACTOR = "(SELECT current_setting('homerow.reach_actor', true))"


def _told(name: str) -> str:
    return f"coalesce(nullif(current_setting('homerow.reach_{name}', true), ''), '{{}}')::uuid[]"


def _function(name: str, body: str, *, returns: str = "uuid") -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS SETOF {returns} LANGUAGE sql STABLE SECURITY DEFINER"
        f" SET search_path = pg_catalog, public, pg_temp AS $$ {body} $$"
    )


_LIVE_IN = (
    "SELECT m.user_id FROM memberships m WHERE m.tenant_id = {tenant} AND m.archived_at IS NULL"
    # An array is looked up in the index; of a set the planner expects too much.
    " AND m.group_id = ANY (ARRAY(SELECT {groups}()))"
)
_OF_SCHOOLS = (
    "SELECT l.user_id FROM school_affiliations l"
    " WHERE l.tenant_id = {tenant} AND l.school_id = ANY ({schools})"
)
_GROUPS = (
    "SELECT g.id FROM groups g WHERE g.tenant_id = {tenant}"
    " AND (g.school_id = ANY ({schools}) OR g.id = ANY ({groups}))"
)

FUNCTIONS = {
    # Groups with all that is in them.
    "reach_groups": _GROUPS.format(
        tenant=CURRENT_TENANT, schools=_told("schools"), groups=_told("groups")
    ),
    # Those and one's own.
    "reach_seen_groups": (
        "SELECT reach_groups() UNION SELECT m.group_id FROM memberships m"
        f" WHERE m.tenant_id = {CURRENT_TENANT} AND m.user_id = {SELF} AND m.archived_at IS NULL"
    ),
    "reach_seen_schools": (
        f"SELECT unnest({_told('schools')}) UNION SELECT g.school_id FROM groups g"
        f" WHERE g.tenant_id = {CURRENT_TENANT} AND g.id = ANY (ARRAY(SELECT reach_seen_groups()))"
        " UNION SELECT l.school_id FROM school_affiliations l"
        f" WHERE l.tenant_id = {CURRENT_TENANT} AND l.user_id = {SELF}"
    ),
    "reach_users": " UNION ".join(
        (
            _OF_SCHOOLS.format(tenant=CURRENT_TENANT, schools=_told("schools")),
            _LIVE_IN.format(tenant=CURRENT_TENANT, groups="reach_groups"),
        )
    ),
    "reach_seen_users": f"SELECT reach_users() UNION SELECT {SELF}",
    # Where something may be set: in schools that one is an admin of and groups that one teaches.
    "reach_changed_groups": _GROUPS.format(
        tenant=CURRENT_TENANT, schools=_told("administered"), groups=_told("groups")
    ),
    "reach_students": (
        "SELECT u.id FROM users u"
        f" WHERE u.tenant_id = {CURRENT_TENANT} AND 'STUDENT' = ANY (u.roles) AND u.id IN ("
        + " UNION ".join(
            (
                _OF_SCHOOLS.format(tenant=CURRENT_TENANT, schools=_told("administered")),
                _LIVE_IN.format(tenant=CURRENT_TENANT, groups="reach_changed_groups"),
            )
        )
        + ")"
    ),
    "reach_school_keys": (
        "SELECT s.source_id FROM schools s"
        f" WHERE s.tenant_id = {CURRENT_TENANT} AND s.id = ANY ({_told('administered')})"
    ),
    "reach_group_keys": (
        "SELECT g.source_id FROM groups g"
        f" WHERE g.tenant_id = {CURRENT_TENANT} AND g.school_id = ANY ({_told('administered')})"
    ),
    "reach_user_keys": (
        "SELECT u.source_id FROM users u JOIN school_affiliations l"
        " ON l.tenant_id = u.tenant_id AND l.user_id = u.id"
        f" WHERE u.tenant_id = {CURRENT_TENANT} AND l.school_id = ANY ({_told('administered')})"
    ),
}
IS_SCHOOL_ADMIN = f"(SELECT {_told('administered')} <> '{{}}')"

# Light references, and what everybody's pages need of the tenant.
FOR_EVERYBODY = (
    "tenants",
    "terms",
    "courses",
    "integrations",
    "subscriptions",
    "sign_in_methods",
    "training_versions",
    "year_rollovers",
)
READ = {
    "schools": "id IN (SELECT reach_seen_schools())",
    "groups": "id IN (SELECT reach_seen_groups())",
    "users": "id IN (SELECT reach_seen_users())",
    "school_affiliations": (
        "user_id IN (SELECT reach_seen_users()) AND school_id IN (SELECT reach_seen_schools())"
    ),
    "memberships": f"user_id = {SELF} OR group_id IN (SELECT reach_groups())",
    "membership_spans": (
        "EXISTS (SELECT FROM memberships m WHERE m.tenant_id = membership_spans.tenant_id"
        " AND m.id = membership_spans.membership_id)"
    ),
    "training_settings": (
        "(school_id IS NULL OR school_id IN (SELECT reach_seen_schools()))"
        " AND (group_id IS NULL OR group_id IN (SELECT reach_seen_groups()))"
        " AND (user_id IS NULL OR user_id IN (SELECT reach_seen_users()))"
    ),
    "progress": f"user_id = {SELF} OR group_id IN (SELECT reach_groups())",
    "progress_carries": (
        f"user_id = {SELF} OR (from_group_id IN (SELECT reach_groups())"
        " AND to_group_id IN (SELECT reach_groups()))"
    ),
    "default_places": "user_id IN (SELECT reach_seen_users())",
    "eligibility_overrides": "user_id IN (SELECT reach_seen_users())",
    "errands": f"requested_by = {ACTOR}",
    "exports": f"created_by = {ACTOR}",
    "sessions": f"user_id = {SELF}",
    "sign_in_attempts": f"user_id = {SELF}",
    "sync_runs": IS_SCHOOL_ADMIN,
    "sync_changes": (
        f"{IS_SCHOOL_ADMIN} AND CASE record_type"
        " WHEN 'SCHOOL' THEN record_id IN (SELECT reach_seen_schools())"
        " WHEN 'GROUP' THEN record_id IN (SELECT reach_groups())"
        " WHEN 'USER' THEN record_id IN (SELECT reach_users())"
        " WHEN 'MEMBERSHIP' THEN EXISTS (SELECT FROM memberships m"
        " WHERE m.tenant_id = sync_changes.tenant_id AND m.id = sync_changes.record_id)"
        " ELSE false END"
    ),
    # An enrollment is of the group's school; without a group that is known, of the person's.
    "validation_errors": (
        f"{IS_SCHOOL_ADMIN} AND CASE record_type"
        " WHEN 'SCHOOL' THEN source_id IN (SELECT reach_school_keys())"
        " WHEN 'GROUP' THEN source_id IN (SELECT reach_group_keys())"
        " OR record ->> 'school_source_id' IN (SELECT reach_school_keys())"
        " WHEN 'USER' THEN source_id IN (SELECT reach_user_keys())"
        " OR coalesce(record -> 'school_source_ids', '[]')"
        " ?| ARRAY(SELECT reach_school_keys())"
        " WHEN 'MEMBERSHIP' THEN record ->> 'group_source_id' IN (SELECT reach_group_keys())"
        " OR (record ->> 'user_source_id' IN (SELECT reach_user_keys()) AND NOT EXISTS ("
        "SELECT FROM reach_known_group(record ->> 'group_source_id')))"
        " ELSE false END"
    ),
}
CHANGE = {
    "training_settings": (
        "user_id IN (SELECT reach_students()) OR group_id IN (SELECT reach_changed_groups())"
        f" OR school_id = ANY ((SELECT {_told('administered')})::uuid[])"
    ),
    "default_places": f"user_id = {SELF} OR user_id IN (SELECT reach_students())",
    "errands": f"requested_by = {ACTOR}",
    "exports": f"created_by = {ACTOR}",
    "sessions": f"user_id = {SELF}",
    "audit_log": f"actor = {ACTOR}",
}
TENANT_TABLES = (
    "account_links",
    "accounts",
    "api_tokens",
    "audit_log",
    "contacts",
    "courses",
    "default_places",
    "eligibility_overrides",
    "errands",
    "exports",
    "external_keys",
    "groups",
    "hold_limits",
    "holds",
    "identities",
    "identity_links",
    "integration_checks",
    "integration_credentials",
    "integrations",
    "mail_outbox",
    "match_candidates",
    "membership_spans",
    "memberships",
    "onboarding_steps",
    "people_merges",
    "preflight_items",
    "progress",
    "progress_carries",
    "progress_events",
    "removals",
    "requirements",
    "role_maps",
    "school_affiliations",
    "schools",
    "sessions",
    "sharing_rules",
    "sign_in_attempts",
    "sign_in_methods",
    "subscriptions",
    "sync_changes",
    "sync_leases",
    "sync_runs",
    "sync_schedules",
    "tenants",
    "terms",
    "training_settings",
    "training_versions",
    "uploads",
    "users",
    "validation_errors",
    "year_rollovers",
)
KNOWN_GROUP = (
    "CREATE FUNCTION reach_known_group(p_source_id text) RETURNS SETOF boolean LANGUAGE sql STABLE"
    " SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS"
    f" $$ SELECT true FROM groups g WHERE g.tenant_id = {CURRENT_TENANT}"
    " AND g.source_id = p_source_id $$"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name, body in FUNCTIONS.items():
        op.execute(_function(name, body, returns="text" if name.endswith("_keys") else "uuid"))
    op.execute(KNOWN_GROUP)
    for name in (*(f"{name}()" for name in FUNCTIONS), "reach_known_group(text)"):
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO homerow_api, homerow_worker")
    for table in TENANT_TABLES:
        if table not in FOR_EVERYBODY:
            _restrict(table, "SELECT", READ.get(table))
        for command in ("INSERT", "UPDATE", "DELETE"):
            _restrict(table, command, CHANGE.get(table))


def _restrict(table: str, command: str, condition: str | None) -> None:
    allowed = f"{SEES_ALL} OR ({condition})" if condition else SEES_ALL
    clauses = {
        "INSERT": f"WITH CHECK ({allowed})",
        "UPDATE": f"USING ({allowed}) WITH CHECK ({allowed})",
    }
    op.execute(
        f"CREATE POLICY reach_{command.lower()} ON {table} AS RESTRICTIVE FOR {command}"
        f" TO homerow_api {clauses.get(command, f'USING ({allowed})')}"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in TENANT_TABLES:
        for command in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            op.execute(f"DROP POLICY IF EXISTS reach_{command.lower()} ON {table}")
    op.execute("DROP FUNCTION reach_known_group(text)")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}()")
