"""What two people have earned and set, when they turn out to be one, or one turns out to be two."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FUNCTIONS = (
    """
-- Of two people who are one: progress is joined group by group, and settings that the kept one
-- leaves open are taken from the other one. What was there before is put into the merge's undo.
CREATE FUNCTION merge_training(p_tenant_id uuid, p_merge_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    merge people_merges;
    earned jsonb;
    own training_settings;
    others training_settings;
    filled jsonb;
    added uuid;
BEGIN
    IF p_tenant_id IS DISTINCT FROM
        nullif(current_setting('homerow.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'this is another tenant''s';
    END IF;
    SELECT * INTO STRICT merge FROM people_merges
    WHERE tenant_id = p_tenant_id AND id = p_merge_id
      AND undone_at IS NULL AND NOT undo ? 'progress' FOR UPDATE;
    PERFORM FROM progress WHERE tenant_id = p_tenant_id
        AND user_id IN (merge.kept_id, merge.merged_id) FOR UPDATE;
    SELECT coalesce(jsonb_agg(jsonb_build_object('kept', to_jsonb(k), 'merged', to_jsonb(m))), '[]')
    INTO earned
    FROM progress m LEFT JOIN progress k ON k.tenant_id = m.tenant_id
        AND k.user_id = merge.kept_id AND k.group_id = m.group_id
    WHERE m.tenant_id = p_tenant_id AND m.user_id = merge.merged_id;
    INSERT INTO progress AS k
        (tenant_id, user_id, group_id, lessons, seconds, best_speed, last_active_at)
    SELECT tenant_id, merge.kept_id, group_id, lessons, seconds, best_speed, last_active_at
    FROM progress WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id
    ON CONFLICT (tenant_id, user_id, group_id) DO UPDATE SET
        lessons = k.lessons + excluded.lessons,
        seconds = k.seconds + excluded.seconds,
        best_speed = greatest(k.best_speed, excluded.best_speed),
        last_active_at = greatest(k.last_active_at, excluded.last_active_at);
    DELETE FROM progress WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id;

    SELECT * INTO own FROM training_settings
    WHERE tenant_id = p_tenant_id AND user_id = merge.kept_id FOR UPDATE;
    SELECT * INTO others FROM training_settings
    WHERE tenant_id = p_tenant_id AND user_id = merge.merged_id;
    SELECT coalesce(jsonb_object_agg(o.key, o.value), '{}') INTO filled
    FROM jsonb_each(jsonb_strip_nulls(to_jsonb(others))) o
    WHERE o.key NOT IN ('tenant_id', 'id', 'user_id')
      AND NOT jsonb_strip_nulls(to_jsonb(own)) ? o.key;
    IF filled <> '{}' AND own.id IS NULL THEN
        INSERT INTO training_settings (tenant_id, user_id) VALUES (p_tenant_id, merge.kept_id)
        RETURNING id INTO added;
    END IF;
    UPDATE training_settings s SET
        speed_target = f.speed_target, accuracy_target = f.accuracy_target,
        keyboard_layout = f.keyboard_layout, has_avatars = f.has_avatars, age_group = f.age_group
    FROM (SELECT (jsonb_populate_record(t, filled)).* FROM training_settings t
          WHERE t.tenant_id = p_tenant_id AND t.user_id = merge.kept_id) f
    WHERE filled <> '{}' AND s.tenant_id = p_tenant_id AND s.id = f.id;
    UPDATE people_merges SET undo = undo || jsonb_build_object(
        'progress', earned, 'settings', jsonb_build_object('filled', filled, 'added', added))
    WHERE tenant_id = p_tenant_id AND id = p_merge_id;
END $$
""",
    """
-- Takes that back. What was earned since stays with the one who was kept: lessons and seconds
-- beyond the sum, a speed or a moment beyond the best of both. So does a setting that was changed.
CREATE FUNCTION unmerge_training(p_tenant_id uuid, p_merge_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
DECLARE
    merge people_merges;
    part record;
    earned progress;
    filled jsonb;
    added uuid;
BEGIN
    IF p_tenant_id IS DISTINCT FROM
        nullif(current_setting('homerow.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'this is another tenant''s';
    END IF;
    SELECT * INTO STRICT merge FROM people_merges
    WHERE tenant_id = p_tenant_id AND id = p_merge_id
      AND undone_at IS NULL AND undo ? 'progress' FOR UPDATE;
    FOR part IN
        SELECT jsonb_populate_record(NULL::progress, nullif(e -> 'kept', 'null')) AS kept,
            jsonb_populate_record(NULL::progress, e -> 'merged') AS merged
        FROM jsonb_array_elements(merge.undo -> 'progress') e
    LOOP
        SELECT * INTO earned FROM progress WHERE tenant_id = p_tenant_id
            AND user_id = merge.kept_id AND group_id = (part.merged).group_id FOR UPDATE;
        earned.lessons := earned.lessons - (part.merged).lessons;
        earned.seconds := earned.seconds - (part.merged).seconds;
        IF earned.best_speed <= greatest((part.kept).best_speed, (part.merged).best_speed) THEN
            earned.best_speed := (part.kept).best_speed;
        END IF;
        IF earned.last_active_at
            <= greatest((part.kept).last_active_at, (part.merged).last_active_at) THEN
            earned.last_active_at := (part.kept).last_active_at;
        END IF;
        IF (part.kept).user_id IS NULL AND earned.lessons = 0 AND earned.seconds = 0
            AND earned.best_speed IS NULL AND earned.last_active_at IS NULL THEN
            DELETE FROM progress WHERE tenant_id = p_tenant_id
                AND user_id = merge.kept_id AND group_id = (part.merged).group_id;
        ELSE
            UPDATE progress SET lessons = earned.lessons, seconds = earned.seconds,
                best_speed = earned.best_speed, last_active_at = earned.last_active_at
            WHERE tenant_id = p_tenant_id
                AND user_id = merge.kept_id AND group_id = (part.merged).group_id;
        END IF;
        INSERT INTO progress
            (tenant_id, user_id, group_id, lessons, seconds, best_speed, last_active_at)
        VALUES (p_tenant_id, merge.merged_id, (part.merged).group_id, (part.merged).lessons,
            (part.merged).seconds, (part.merged).best_speed, (part.merged).last_active_at);
    END LOOP;

    filled := merge.undo -> 'settings' -> 'filled';
    added := (merge.undo -> 'settings' ->> 'added')::uuid;
    UPDATE training_settings s SET
        speed_target = f.speed_target, accuracy_target = f.accuracy_target,
        keyboard_layout = f.keyboard_layout, has_avatars = f.has_avatars, age_group = f.age_group
    FROM (SELECT (jsonb_populate_record(t, (
              SELECT jsonb_object_agg(o.key, NULL) FROM jsonb_each(filled) o
              WHERE to_jsonb(t) -> o.key = o.value))).* FROM training_settings t
          WHERE t.tenant_id = p_tenant_id AND t.user_id = merge.kept_id) f
    WHERE filled <> '{}' AND s.tenant_id = p_tenant_id AND s.id = f.id;
    DELETE FROM training_settings WHERE tenant_id = p_tenant_id AND id = added
        AND num_nonnulls(speed_target, accuracy_target, keyboard_layout, has_avatars, age_group)
            = 0;
END $$
""",
    """
-- Of one person who is two: what was earned in these groups goes to the new one.
CREATE FUNCTION move_progress(
    p_tenant_id uuid, p_link_id uuid, p_to_id uuid, p_group_ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS
$$
BEGIN
    IF p_tenant_id IS DISTINCT FROM
        nullif(current_setting('homerow.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'this is another tenant''s';
    END IF;
    UPDATE progress p SET user_id = p_to_id FROM identity_links l
    WHERE l.tenant_id = p_tenant_id AND l.id = p_link_id AND l.ended_at IS NULL
      AND l.record_type = 'USER' AND p.tenant_id = p_tenant_id AND p.user_id = l.record_id
      AND p.group_id = ANY (p_group_ids);
END $$
""",
)
FUNCTION_NAMES = (
    "merge_training(uuid, uuid)",
    "unmerge_training(uuid, uuid)",
    "move_progress(uuid, uuid, uuid, uuid[])",
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for function in FUNCTIONS:
        op.execute(function)
    for name in FUNCTION_NAMES:
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO homerow_worker")
    # Ids that a merge has added are taken away by its undo; sessions of who is no more end.
    op.execute("GRANT DELETE ON external_keys TO homerow_worker")
    op.execute("GRANT UPDATE (ended_at) ON sessions TO homerow_worker")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in FUNCTION_NAMES:
        op.execute(f"DROP FUNCTION {name}")
    op.execute("REVOKE DELETE ON external_keys FROM homerow_worker")
    op.execute("REVOKE UPDATE (ended_at) ON sessions FROM homerow_worker")
