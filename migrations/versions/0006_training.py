"""What the training product owns: settings with versions, choices, eligibility, years."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CURRENT_TENANT = "(SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid)"
TENANT_TABLES = (
    "default_places",
    "eligibility_overrides",
    "progress_carries",
    "progress_events",
    "training_versions",
    "year_rollovers",
)
API_TABLES = (
    "default_places",
    "eligibility_overrides",
    "progress_carries",
    "progress_events",
    "year_rollovers",
)
LOCAL_TABLES = ("training_settings", "default_places", "eligibility_overrides")
AGE_GROUPS = "'EARLY', 'ELEMENTARY', 'MIDDLE', 'HIGH', 'ADULT'"
SETTINGS = ("speed_target", "accuracy_target", "keyboard_layout", "has_avatars", "age_group")
EARNED = (
    "lessons",
    "seconds",
    "speed_total",
    "speed_count",
    "accuracy_total",
    "accuracy_count",
)
# How much of each is a copy of what counts in another group.
COPIED = tuple(f"copied_{name}" for name in EARNED)
COUNTED = (*EARNED, *COPIED)
BEST = ("best_speed", "best_accuracy", "last_active_at")
NUMBERS = ", ".join((*COUNTED, *BEST))
JOINED = ", ".join(
    [f"{name} = k.{name} + excluded.{name}" for name in COUNTED]
    + [f"{name} = greatest(k.{name}, excluded.{name})" for name in BEST]
)
REFUSE_OTHERS = """
    IF p_tenant_id IS DISTINCT FROM
        nullif(current_setting('homerow.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'this is another tenant''s';
    END IF;"""
CHOSEN = {
    "default_places": (
        "group_id, group_set_at, group_set_by, school_id, school_set_at, school_set_by"
    ),
    "eligibility_overrides": "is_eligible, set_at, set_by",
}
"""What the one who is kept takes over whole, where nothing of it was said of them."""
SETTINGS_FILLED = "".join(f"\n        {name} = f.{name}," for name in SETTINGS)


def _taken(table: str) -> str:
    """PL/pgSQL: of the merged person, and remembered in `taken`."""
    return f"""
    INSERT INTO {table} (tenant_id, user_id, {CHOSEN[table]})
    SELECT p_tenant_id, merge.kept_id, {CHOSEN[table]} FROM {table}
    WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id
    ON CONFLICT (tenant_id, user_id) DO NOTHING;
    IF FOUND THEN taken := array_append(taken, '{table}'); END IF;"""  # noqa: S608 - our own names


def _given_back(table: str) -> str:
    """PL/pgSQL: what was said anew since stays."""
    return f"""
    DELETE FROM {table} k USING {table} m
    WHERE merge.undo -> 'taken' ? '{table}' AND k.tenant_id = p_tenant_id
      AND k.user_id = merge.kept_id AND m.tenant_id = p_tenant_id AND m.user_id = merge.merged_id
      AND to_jsonb(k) - 'user_id' = to_jsonb(m) - 'user_id';"""  # noqa: S608 - our own names


def _taken_back(row: str, gone: str, kept: str) -> str:
    """PL/pgSQL: what `gone` had brought to `row`, which was `kept` before that, is taken off."""
    counted = "".join(
        f"\n        {row}.{name} := {row}.{name} - ({gone}).{name};" for name in COUNTED
    )
    best = "".join(
        f"""
        IF {row}.{name} <= greatest(({kept}).{name}, ({gone}).{name}) THEN
            {row}.{name} := ({kept}).{name};
        END IF;"""
        for name in BEST
    )
    return counted + best


def _written(row: str) -> str:
    return ", ".join(f"{name} = {row}.{name}" for name in (*COUNTED, *BEST))


def _is_nothing(row: str) -> str:
    counted = [f"{row}.{name} = 0" for name in COUNTED]
    return " AND ".join([*counted, *(f"{row}.{name} IS NULL" for name in BEST)])


FUNCTIONS = (
    f"""
-- Of two people who are one: progress is joined group by group and year by year, and settings that
-- the kept one leaves open are taken from the other one, as are the choice of where to land and who
-- was said to be eligible. What was there before is in the undo.
CREATE OR REPLACE FUNCTION merge_training(p_tenant_id uuid, p_merge_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    merge people_merges;
    earned jsonb;
    own training_settings;
    others training_settings;
    filled jsonb;
    added uuid;
    taken text[] := '{{}}';
BEGIN{REFUSE_OTHERS}
    SELECT * INTO STRICT merge FROM people_merges
    WHERE tenant_id = p_tenant_id AND id = p_merge_id
      AND undone_at IS NULL AND NOT undo ? 'progress' FOR UPDATE;
    PERFORM FROM progress WHERE tenant_id = p_tenant_id
        AND user_id IN (merge.kept_id, merge.merged_id) FOR UPDATE;
    SELECT coalesce(jsonb_agg(jsonb_build_object('kept', to_jsonb(k), 'merged', to_jsonb(m))), '[]')
    INTO earned
    FROM progress m LEFT JOIN progress k ON k.tenant_id = m.tenant_id
        AND k.user_id = merge.kept_id AND k.group_id = m.group_id AND k.school_year = m.school_year
    WHERE m.tenant_id = p_tenant_id AND m.user_id = merge.merged_id;
    INSERT INTO progress AS k (tenant_id, user_id, group_id, school_year, {NUMBERS})
    SELECT tenant_id, merge.kept_id, group_id, school_year, {NUMBERS}
    FROM progress WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id
    ON CONFLICT (tenant_id, user_id, group_id, school_year) DO UPDATE SET {JOINED};
    DELETE FROM progress WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id;

    SELECT * INTO own FROM training_settings
    WHERE tenant_id = p_tenant_id AND user_id = merge.kept_id FOR UPDATE;
    SELECT * INTO others FROM training_settings
    WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id;
    SELECT coalesce(jsonb_object_agg(o.key, o.value), '{{}}') INTO filled
    FROM jsonb_each(jsonb_strip_nulls(to_jsonb(others))) o
    WHERE o.key = ANY ('{{{",".join(SETTINGS)}}}'::text[])
      AND NOT jsonb_strip_nulls(to_jsonb(own)) ? o.key;
    IF filled <> '{{}}' AND own.id IS NULL THEN
        INSERT INTO training_settings (tenant_id, user_id) VALUES (p_tenant_id, merge.kept_id)
        RETURNING id INTO added;
    END IF;
    UPDATE training_settings s SET{SETTINGS_FILLED}
        version = s.version + 1, updated_at = now()
    FROM (SELECT (jsonb_populate_record(t, filled)).* FROM training_settings t
          WHERE t.tenant_id = p_tenant_id AND t.user_id = merge.kept_id) f
    WHERE filled <> '{{}}' AND s.tenant_id = p_tenant_id AND s.id = f.id;
    {"".join(_taken(table) for table in CHOSEN)}
    UPDATE people_merges SET undo = undo || jsonb_build_object(
        'progress', earned, 'settings', jsonb_build_object('filled', filled, 'added', added),
        'taken', taken)
    WHERE tenant_id = p_tenant_id AND id = p_merge_id;
END $$
""",  # noqa: S608 - our own names
    f"""
-- Takes that back. What was earned since stays with the one who was kept: what is beyond the sum,
-- and a best or a moment beyond the best of both. So does a setting that was changed.
CREATE OR REPLACE FUNCTION unmerge_training(p_tenant_id uuid, p_merge_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    merge people_merges;
    part record;
    earned progress;
    filled jsonb;
    added uuid;
BEGIN{REFUSE_OTHERS}
    SELECT * INTO STRICT merge FROM people_merges
    WHERE tenant_id = p_tenant_id AND id = p_merge_id
      AND undone_at IS NULL AND undo ? 'progress' FOR UPDATE;
    FOR part IN
        SELECT jsonb_populate_record(NULL::progress, nullif(e -> 'kept', 'null')) AS kept,
            jsonb_populate_record(NULL::progress, e -> 'merged') AS merged
        FROM jsonb_array_elements(merge.undo -> 'progress') e
    LOOP
        SELECT * INTO earned FROM progress WHERE tenant_id = p_tenant_id
            AND user_id = merge.kept_id AND group_id = (part.merged).group_id
            AND school_year = (part.merged).school_year FOR UPDATE;
        {_taken_back("earned", "part.merged", "part.kept")}
        IF (part.kept).user_id IS NULL AND {_is_nothing("earned")} THEN
            DELETE FROM progress WHERE tenant_id = p_tenant_id
                AND user_id = merge.kept_id AND group_id = (part.merged).group_id
                AND school_year = (part.merged).school_year;
        ELSE
            UPDATE progress SET {_written("earned")}
            WHERE tenant_id = p_tenant_id
                AND user_id = merge.kept_id AND group_id = (part.merged).group_id
                AND school_year = (part.merged).school_year;
        END IF;
        INSERT INTO progress (tenant_id, user_id, group_id, school_year, {NUMBERS})
        SELECT p_tenant_id, merge.merged_id, (part.merged).group_id, (part.merged).school_year,
            {", ".join(f"(part.merged).{name}" for name in (*COUNTED, *BEST))};
    END LOOP;

    filled := merge.undo -> 'settings' -> 'filled';
    added := (merge.undo -> 'settings' ->> 'added')::uuid;
    UPDATE training_settings s SET{SETTINGS_FILLED}
        version = s.version + 1, updated_at = now()
    FROM (SELECT (jsonb_populate_record(t, (
              SELECT jsonb_object_agg(o.key, NULL) FROM jsonb_each(filled) o
              WHERE to_jsonb(t) -> o.key = o.value))).* FROM training_settings t
          WHERE t.tenant_id = p_tenant_id AND t.user_id = merge.kept_id) f
    WHERE filled <> '{{}}' AND s.tenant_id = p_tenant_id AND s.id = f.id;
    DELETE FROM training_settings WHERE tenant_id = p_tenant_id AND id = added
        AND num_nonnulls({", ".join(SETTINGS)}) = 0;
    {"".join(_given_back(table) for table in CHOSEN)}
END $$
""",  # noqa: S608 - our own names
    f"""
-- Joins what somebody has earned in one group to what they have in another. MOVE leaves nothing in
-- the first one; of a COPY is kept how much of it counts there already. For each carry once.
CREATE FUNCTION carry_progress(p_tenant_id uuid, p_carry_ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    carries uuid[];
BEGIN{REFUSE_OTHERS}
    -- In one order, whoever else writes the same rows.
    PERFORM FROM progress p WHERE p.tenant_id = p_tenant_id AND p.user_id IN (
        SELECT user_id FROM progress_carries
        WHERE tenant_id = p_tenant_id AND id = ANY (p_carry_ids))
    ORDER BY p.user_id, p.group_id, p.school_year FOR UPDATE;
    SELECT array_agg(id) INTO carries FROM (
        SELECT id FROM progress_carries WHERE tenant_id = p_tenant_id AND id = ANY (p_carry_ids)
          AND undone_at IS NULL AND carried IS NULL FOR UPDATE) c;
    UPDATE progress_carries c SET carried = (
        SELECT coalesce(
            jsonb_agg(jsonb_build_object('kept', to_jsonb(t), 'gone', to_jsonb(f))), '[]')
        FROM progress f LEFT JOIN progress t ON t.tenant_id = f.tenant_id
            AND t.user_id = f.user_id AND t.group_id = c.to_group_id
            AND t.school_year = f.school_year
        WHERE f.tenant_id = p_tenant_id AND f.user_id = c.user_id
          AND f.group_id = c.from_group_id)
    WHERE c.tenant_id = p_tenant_id AND c.id = ANY (carries);
    INSERT INTO progress AS k (tenant_id, user_id, group_id, school_year, {NUMBERS})
    SELECT f.tenant_id, f.user_id, c.to_group_id, f.school_year,
        {", ".join(f"f.{name}" for name in EARNED)},
        {
        ", ".join(
            f"CASE c.mode WHEN 'COPY' THEN f.{name} ELSE f.copied_{name} END" for name in EARNED
        )
    },
        {", ".join(f"f.{name}" for name in BEST)}
    FROM progress_carries c JOIN progress f ON f.tenant_id = c.tenant_id
        AND f.user_id = c.user_id AND f.group_id = c.from_group_id
    WHERE c.tenant_id = p_tenant_id AND c.id = ANY (carries)
    ORDER BY f.user_id, c.to_group_id, f.school_year
    ON CONFLICT (tenant_id, user_id, group_id, school_year) DO UPDATE SET {JOINED};
    DELETE FROM progress f USING progress_carries c
    WHERE c.tenant_id = p_tenant_id AND c.id = ANY (carries) AND c.mode = 'MOVE'
      AND f.tenant_id = p_tenant_id AND f.user_id = c.user_id AND f.group_id = c.from_group_id;
END $$
""",  # noqa: S608 - our own names
    f"""
-- Takes a carry back. What was earned since stays where it was earned.
CREATE FUNCTION undo_carry(p_tenant_id uuid, p_carry_id uuid, p_by text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    carry progress_carries;
    part record;
    earned progress;
    gone progress;
BEGIN{REFUSE_OTHERS}
    SELECT * INTO STRICT carry FROM progress_carries
    WHERE tenant_id = p_tenant_id AND id = p_carry_id
      AND undone_at IS NULL AND carried IS NOT NULL FOR UPDATE;
    FOR part IN
        SELECT jsonb_populate_record(NULL::progress, nullif(e -> 'kept', 'null')) AS kept,
            jsonb_populate_record(NULL::progress, e -> 'gone') AS gone
        FROM jsonb_array_elements(carry.carried) e
    LOOP
        SELECT * INTO earned FROM progress WHERE tenant_id = p_tenant_id
            AND user_id = carry.user_id AND group_id = carry.to_group_id
            AND school_year = (part.gone).school_year FOR UPDATE;
        gone := part.gone;
        IF carry.mode = 'COPY' THEN
            {" ".join(f"gone.copied_{name} := gone.{name};" for name in EARNED)}
        END IF;
        IF FOUND THEN
            {_taken_back("earned", "gone", "part.kept")}
            IF (part.kept).user_id IS NULL AND {_is_nothing("earned")} THEN
                DELETE FROM progress WHERE tenant_id = p_tenant_id
                    AND user_id = carry.user_id AND group_id = carry.to_group_id
                    AND school_year = (part.gone).school_year;
            ELSE
                UPDATE progress SET {_written("earned")}
                WHERE tenant_id = p_tenant_id
                    AND user_id = carry.user_id AND group_id = carry.to_group_id
                    AND school_year = (part.gone).school_year;
            END IF;
        END IF;
        IF carry.mode = 'MOVE' THEN
            INSERT INTO progress AS k (tenant_id, user_id, group_id, school_year, {NUMBERS})
            SELECT p_tenant_id, carry.user_id, carry.from_group_id, (part.gone).school_year,
                {", ".join(f"(part.gone).{name}" for name in (*COUNTED, *BEST))}
            ON CONFLICT (tenant_id, user_id, group_id, school_year) DO UPDATE SET {JOINED};
        END IF;
    END LOOP;
    UPDATE progress_carries SET undone_at = now(), undone_by = p_by
    WHERE tenant_id = p_tenant_id AND id = p_carry_id;
END $$
""",  # noqa: S608 - our own names
    f"""
-- Sets people's own settings to what an errand asks for: of `values` each key that is there, null
-- takes the setting away. A worker may write settings in no other way.
CREATE FUNCTION set_settings_in_bulk(p_tenant_id uuid, p_errand_id uuid, p_user_ids uuid[])
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    asked jsonb;
    asker text;
    changed bigint;
BEGIN{REFUSE_OTHERS}
    SELECT e.asked -> 'values', e.requested_by INTO STRICT asked, asker FROM errands e
    WHERE e.tenant_id = p_tenant_id AND e.id = p_errand_id AND e.kind = 'SETTINGS_BULK'
      AND e.state = 'RUNNING';
    INSERT INTO training_settings AS s (tenant_id, user_id, {", ".join(SETTINGS[:-1])}, updated_by)
    SELECT p_tenant_id, u.id, {", ".join(f"v.{name}" for name in SETTINGS[:-1])}, asker
    FROM unnest(p_user_ids) AS u (id)
    CROSS JOIN jsonb_populate_record(NULL::training_settings, asked) v
    -- To take a setting away from whoever has none is nothing to be written.
    WHERE jsonb_strip_nulls(asked) <> '{{}}' OR EXISTS (SELECT FROM training_settings o
        WHERE o.tenant_id = p_tenant_id AND o.user_id = u.id)
    ORDER BY u.id
    ON CONFLICT (tenant_id, school_id, group_id, user_id) DO UPDATE SET
        {
        ", ".join(
            f"{name} = CASE WHEN asked ? '{name}' THEN excluded.{name} ELSE s.{name} END"
            for name in SETTINGS[:-1]
        )
    },
        version = s.version + 1, updated_at = now(), updated_by = asker
    WHERE {
        " OR ".join(
            f"(asked ? '{name}' AND s.{name} IS DISTINCT FROM excluded.{name})"
            for name in SETTINGS[:-1]
        )
    };
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$
""",  # noqa: S608 - our own names
    """
-- Something that the training application reads of this tenant is another now.
CREATE FUNCTION note_training_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
BEGIN
    INSERT INTO training_versions AS v (tenant_id, version)
    SELECT nullif(current_setting('homerow.tenant_id', true), '')::uuid, 1
    WHERE nullif(current_setting('homerow.tenant_id', true), '') IS NOT NULL
    ON CONFLICT (tenant_id) DO UPDATE SET version = v.version + 1;
    RETURN NULL;
END $$
""",
    """
-- Ids of results that are too old to be told again. How many were dropped.
CREATE FUNCTION forget_progress_events(p_before timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ WITH gone AS (DELETE FROM progress_events WHERE occurred_at < p_before RETURNING 1)
   SELECT count(*) FROM gone $$
""",
)
FUNCTION_ROLES = {
    "carry_progress(uuid, uuid[])": "homerow_api",
    "undo_carry(uuid, uuid, text)": "homerow_api",
    "set_settings_in_bulk(uuid, uuid, uuid[])": "homerow_worker",
    "forget_progress_events(timestamptz)": "homerow_worker",
}

SUMMARISE = """
CREATE OR REPLACE FUNCTION summarise_tenants(p_ids uuid[])
RETURNS TABLE (
    tenant_id uuid, licence_limit int, licences_used bigint, go_live_on date, kind text,
    last_run_id uuid, last_successful_run_id uuid, next_sync_at timestamptz, open_errors bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS
$$ SELECT asked.id, s.licence_limit,
     (SELECT count(*) FROM users u{join}
        WHERE u.tenant_id = asked.id AND u.archived_at IS NULL
        AND u.is_enabled AND {eligible} AND 'STUDENT' = ANY (u.roles)),
     s.go_live_on, s.kind::text,
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.finished_at IS NOT NULL
        AND r.mode <> 'PREFLIGHT' ORDER BY r.id DESC LIMIT 1),
     (SELECT r.id FROM sync_runs r WHERE r.tenant_id = asked.id AND r.mode IN ('FULL', 'DELTA')
        AND r.state IN ('SUCCEEDED', 'SUCCEEDED_WITH_ERRORS', 'SUCCEEDED_WITH_HOLD')
        ORDER BY r.id DESC LIMIT 1),
     (SELECT min(d.next_due_at) FROM sync_schedules d
        JOIN integrations i ON i.tenant_id = d.tenant_id AND i.id = d.integration_id
        WHERE d.tenant_id = asked.id AND i.status = 'ACTIVE'),
     (SELECT count(*) FROM validation_errors e
        WHERE e.tenant_id = asked.id AND e.state = 'OPEN')
   FROM unnest(p_ids) AS asked (id)
   LEFT JOIN subscriptions s ON s.tenant_id = asked.id $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _widen_settings()
    _widen_progress()
    _create_tables()
    _raise_walls()
    for function in FUNCTIONS:
        op.execute(function)
    for name, roles in FUNCTION_ROLES.items():
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {roles}")
    op.execute("REVOKE ALL ON FUNCTION note_training_change() FROM PUBLIC")
    for table in LOCAL_TABLES:
        op.execute(
            f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION note_training_change()"
        )
    op.execute(
        SUMMARISE.format(
            join=" LEFT JOIN eligibility_overrides o ON o.tenant_id = u.tenant_id"
            " AND o.user_id = u.id",
            eligible="coalesce(o.is_eligible, u.is_eligible)",
        )
    )
    _pin_functions("pg_catalog, public, pg_temp")


def _widen_settings() -> None:
    op.add_column(
        "training_settings",
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
    )
    op.add_column(
        "training_settings",
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.add_column("training_settings", sa.Column("updated_by", sa.Text(), nullable=True))
    op.execute(
        "UPDATE training_settings SET age_group = CASE"  # noqa: S608 - our own names
        f" WHEN group_id IS NOT NULL AND upper(age_group) IN ({AGE_GROUPS}) THEN upper(age_group)"
        " END WHERE age_group IS NOT NULL"
    )
    op.alter_column("training_settings", "age_group", type_=sa.String(40))
    for name, condition in (
        ("speed_target", "speed_target BETWEEN 1 AND 250"),
        ("accuracy_target", "accuracy_target BETWEEN 0 AND 100"),
        ("age_group", f"age_group IN ({AGE_GROUPS})"),
        ("age_group_level", "age_group IS NULL OR group_id IS NOT NULL"),
    ):
        op.create_check_constraint(
            op.f(f"ck_training_settings_{name}"), "training_settings", condition
        )


def _widen_progress() -> None:
    op.add_column("progress", sa.Column("school_year", sa.Integer(), nullable=True))
    # Until a tenant declares another day, a year begins on the first of July.
    op.execute(
        "UPDATE progress SET school_year = extract(year FROM"
        " coalesce(last_active_at, now()) - interval '6 months')"
    )
    op.alter_column("progress", "school_year", nullable=False)
    op.drop_constraint(op.f("pk_progress"), "progress", type_="primary")
    op.create_primary_key(
        op.f("pk_progress"), "progress", ["tenant_id", "user_id", "group_id", "school_year"]
    )
    op.create_index("ix_progress_group", "progress", ["tenant_id", "group_id"])
    op.alter_column("progress", "best_speed", type_=sa.Numeric(6, 2))
    for name, kind in (
        ("speed_total", sa.Numeric(14, 2)),
        ("speed_count", sa.Integer()),
        ("accuracy_total", sa.Numeric(14, 2)),
        ("accuracy_count", sa.Integer()),
        ("copied_lessons", sa.Integer()),
        ("copied_seconds", sa.Integer()),
        ("copied_speed_total", sa.Numeric(14, 2)),
        ("copied_speed_count", sa.Integer()),
        ("copied_accuracy_total", sa.Numeric(14, 2)),
        ("copied_accuracy_count", sa.Integer()),
    ):
        op.add_column(
            "progress", sa.Column(name, kind, server_default=sa.text("0"), nullable=False)
        )
    op.add_column("progress", sa.Column("best_accuracy", sa.Numeric(5, 2), nullable=True))
    _widen_undo()


def _widen_undo() -> None:
    """What merges remember of progress is of the year of the row that it was joined into."""
    blank = ", ".join(f"'{name}', 0" for name in COUNTED)
    op.execute(
        "UPDATE people_merges m SET undo = jsonb_set(m.undo, '{progress}', ("  # noqa: S608 - our own names
        " SELECT coalesce(jsonb_agg(jsonb_build_object("
        "  'kept', CASE jsonb_typeof(e -> 'kept') WHEN 'object' THEN b.blank || (e -> 'kept') END,"
        "  'merged', b.blank || (e -> 'merged'))), '[]')"
        " FROM jsonb_array_elements(m.undo -> 'progress') e"
        " LEFT JOIN progress p ON p.tenant_id = m.tenant_id AND p.user_id = m.kept_id"
        "  AND p.group_id = (e -> 'merged' ->> 'group_id')::uuid"
        f" CROSS JOIN LATERAL (SELECT jsonb_build_object({blank}, 'school_year',"
        "  coalesce(p.school_year, extract(year FROM coalesce("
        "   (e -> 'merged' ->> 'last_active_at')::timestamptz, now()) - interval '6 months')))"
        "  AS blank) b"
        ")) WHERE m.undo ? 'progress'"
    )


def _pin_functions(path: str) -> None:
    """Temporary tables, which any role may make, stand for no table of ours when named last."""
    op.execute(
        "DO $$ DECLARE f regprocedure; BEGIN"  # noqa: S608 - our own names
        " FOR f IN SELECT oid FROM pg_proc"
        "  WHERE prosecdef AND pronamespace = 'public'::regnamespace LOOP"
        f"  EXECUTE format('ALTER FUNCTION %s SET search_path = {path}', f);"
        " END LOOP; END $$"
    )


def _moment(name: str, *, is_made: bool = False) -> "sa.Column[object]":
    made = {"server_default": sa.text("now()"), "nullable": False} if is_made else {}
    return sa.Column(name, sa.DateTime(timezone=True), **made)


def _tenant(*, is_key: bool = True) -> "sa.Column[object]":
    return sa.Column("tenant_id", sa.Uuid(), nullable=False, primary_key=is_key)


def _of(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"])


def _id() -> "sa.Column[object]":
    return sa.Column(
        "id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False, primary_key=True
    )


def _create_tables() -> None:
    op.add_column("errands", sa.Column("progress", postgresql.JSONB(), nullable=True))
    op.create_table(
        "default_places",
        _tenant(),
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        _moment("group_set_at"),
        sa.Column("group_set_by", sa.Text(), nullable=True),
        sa.Column("school_id", sa.Uuid(), nullable=True),
        _moment("school_set_at"),
        sa.Column("school_set_by", sa.Text(), nullable=True),
        _of("user_id", "users"),
        _of("group_id", "groups"),
        _of("school_id", "schools"),
    )
    op.create_table(
        "eligibility_overrides",
        _tenant(),
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("is_eligible", sa.Boolean(), nullable=False),
        _moment("set_at", is_made=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        _of("user_id", "users"),
    )
    op.create_table(
        "progress_events",
        _tenant(),
        sa.Column("event_id", sa.Text(), primary_key=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    )
    op.create_index("ix_progress_events_occurred_at", "progress_events", ["occurred_at"])
    op.create_table(
        "progress_carries",
        _tenant(),
        _id(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("from_group_id", sa.Uuid(), nullable=False),
        sa.Column("to_group_id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.String(40), nullable=False),
        sa.Column("carried", postgresql.JSONB(), nullable=True),
        _moment("created_at", is_made=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        _moment("undone_at"),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.CheckConstraint("mode IN ('COPY', 'MOVE')", name="mode"),
        sa.CheckConstraint("from_group_id <> to_group_id", name="groups"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        _of("user_id", "users"),
        _of("from_group_id", "groups"),
        _of("to_group_id", "groups"),
    )
    op.create_index("ix_progress_carries_user", "progress_carries", ["tenant_id", "user_id"])
    op.create_table(
        "training_versions",
        _tenant(),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    )
    op.create_table(
        "year_rollovers",
        _tenant(),
        _id(),
        sa.Column("rolls_on", sa.Date(), nullable=False),
        sa.Column("days_before", sa.Integer(), nullable=False),
        sa.Column("days_after", sa.Integer(), nullable=False),
        sa.Column("archive_percent", sa.Integer(), nullable=False),
        sa.Column("update_percent", sa.Integer(), nullable=False),
        _moment("declared_at", is_made=True),
        sa.Column("declared_by", sa.Text(), nullable=False),
        _moment("cancelled_at"),
        sa.Column("cancelled_by", sa.Text(), nullable=True),
        sa.CheckConstraint("days_before BETWEEN 0 AND 90", name="days_before"),
        sa.CheckConstraint("days_after BETWEEN 0 AND 90", name="days_after"),
        sa.CheckConstraint("archive_percent BETWEEN 0 AND 100", name="archive_percent"),
        sa.CheckConstraint("update_percent BETWEEN 0 AND 100", name="update_percent"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    )
    op.create_index(
        "uq_year_rollovers_day",
        "year_rollovers",
        ["tenant_id", "rolls_on"],
        unique=True,
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )


def _raise_walls() -> None:
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO homerow_owner USING (true)")
        condition = f"tenant_id = {CURRENT_TENANT}"
        op.execute(
            f"CREATE POLICY tenant ON {table} TO homerow_api, homerow_worker "
            f"USING ({condition}) WITH CHECK ({condition})"
        )
    op.execute(f"GRANT SELECT ON {', '.join(TENANT_TABLES)} TO homerow_api, homerow_worker")
    op.execute(f"GRANT INSERT, UPDATE ON {', '.join(API_TABLES)} TO homerow_api")
    op.execute("GRANT DELETE ON default_places, eligibility_overrides TO homerow_api")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(SUMMARISE.format(join="", eligible="u.is_eligible"))
    for table in LOCAL_TABLES:
        op.execute(f"DROP TRIGGER note_change ON {table}")
    for name in (*FUNCTION_ROLES, "note_training_change()"):
        op.execute(f"DROP FUNCTION {name}")
    for function in _former_functions():
        op.execute(function)
    _pin_functions("pg_catalog, public")
    for table in TENANT_TABLES:
        op.drop_table(table)
    op.drop_column("errands", "progress")
    _narrow_progress()
    for name in ("speed_target", "accuracy_target", "age_group", "age_group_level"):
        op.drop_constraint(op.f(f"ck_training_settings_{name}"), "training_settings")
    op.alter_column("training_settings", "age_group", type_=sa.Text())
    for name in ("version", "updated_at", "updated_by"):
        op.drop_column("training_settings", name)


def _former_functions() -> list[str]:
    """merge_training and unmerge_training as they were, for progress without years."""
    former = context.script.get_revision("0005").module.FUNCTIONS[:2]
    return [text.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION") for text in former]


def _narrow_progress() -> None:
    """Years are joined, since there is one row for each group then."""
    op.drop_index("ix_progress_group", "progress")
    op.drop_constraint(op.f("pk_progress"), "progress", type_="primary")
    op.execute(
        "WITH gone AS (DELETE FROM progress RETURNING *)"
        " INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons, seconds,"
        "  best_speed, last_active_at)"
        " SELECT tenant_id, user_id, group_id, max(school_year), sum(lessons), sum(seconds),"
        "  max(best_speed), max(last_active_at) FROM gone GROUP BY 1, 2, 3"
    )
    for name in (
        "school_year",
        "speed_total",
        "speed_count",
        "accuracy_total",
        "accuracy_count",
        *COPIED,
        "best_accuracy",
    ):
        op.drop_column("progress", name)
    op.alter_column("progress", "best_speed", type_=sa.Integer())
    op.create_primary_key(op.f("pk_progress"), "progress", ["tenant_id", "user_id", "group_id"])
