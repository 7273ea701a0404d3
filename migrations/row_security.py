"""Row-level security on PostgreSQL, as statements for revisions. Add here, and never change a statement in use.

Two roles without login run all transactions of the functions. `taskchat_app` reaches the rows of the person whose id is
in `taskchat.user_id`, and `taskchat_sweep` reaches the columns of turns that the sweep needs. The owner of the tables
stays free of policies: migrations, triggers and cascades run as the owner, and so does the release before.

Source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

from collections.abc import Sequence

from alembic import op

APP_ROLE = "taskchat_app"
SWEEP_ROLE = "taskchat_sweep"
PERSON = "(SELECT nullif(current_setting('taskchat.user_id', true), '')::uuid)"
"""The id of the person. The setting is absent in a new session, and empty after a transaction that set it.

As a subquery it is evaluated once for each statement, and not for each row."""
OWN_ROW = f"user_id = {PERSON}"

CREATE_ROLES = """
DO $$
DECLARE
    name text;
    is_usable boolean;
    commands text := '';
BEGIN
    FOREACH name IN ARRAY ARRAY['taskchat_app', 'taskchat_sweep'] LOOP
        BEGIN
            -- Roles belong to the cluster, so another database may have made them.
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION
            WHEN unique_violation OR duplicate_object THEN NULL;
            WHEN insufficient_privilege THEN
                commands := commands || format('CREATE ROLE %I NOLOGIN; GRANT %I TO %I; ', name, name, current_user);
                CONTINUE;
        END;
        BEGIN
            -- From version 16 on, a membership may be without the right to SET ROLE.
            IF current_setting('server_version_num')::int >= 160000 THEN
                EXECUTE 'SELECT pg_has_role($1, ''SET'')' INTO is_usable USING name;
                IF NOT is_usable THEN
                    EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', name, current_user);
                END IF;
            ELSIF NOT pg_has_role(name, 'MEMBER') THEN
                EXECUTE format('GRANT %I TO %I', name, current_user);
            END IF;
        EXCEPTION
            WHEN unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                commands := commands || format('GRANT %I TO %I; ', name, current_user);
        END;
    END LOOP;
    IF commands <> '' THEN
        RAISE EXCEPTION 'the role % lacks CREATEROLE. Run as a role that has it, and repeat the migration: %',
            current_user, commands USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO taskchat_app, taskchat_sweep', current_schema());
END
$$
"""
"""Make the roles, and let the role that migrates change to them."""
LEAVE_SCHEMA = """
DO $$
BEGIN
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM taskchat_app, taskchat_sweep', current_schema());
END
$$
"""


def is_supported() -> bool:
    """Tell whether the database has row-level security."""
    return op.get_context().dialect.name == "postgresql"


def protect(
    table: str, privileges: str, *, using: str = OWN_ROW, check: str | None = None, sequence: str | None = None
) -> None:
    """Let `taskchat_app` reach the rows that meet the condition `using`, and leave rows behind that meet `check`.

    `privileges` are those of GRANT, and `sequence` counts up the ids of the table.
    """
    with_check = "" if check is None else f" WITH CHECK ({check})"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {APP_ROLE} ON {table} TO {APP_ROLE} USING ({using}){with_check}")
    op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")
    if sequence is not None:
        op.execute(f"GRANT USAGE ON SEQUENCE {sequence} TO {APP_ROLE}")


def open_to_sweep(table: str, *privileges: str) -> None:
    """Let `taskchat_sweep` reach all rows of a table; each of `privileges` is one of GRANT, columns included."""
    op.execute(f"CREATE POLICY {SWEEP_ROLE} ON {table} TO {SWEEP_ROLE} USING (true)")
    op.execute(f"GRANT {', '.join(privileges)} ON {table} TO {SWEEP_ROLE}")


def unprotect(table: str, *, sequence: str | None = None, policies: Sequence[str] = (APP_ROLE,)) -> None:
    """Undo `protect` and, where `policies` name it, `open_to_sweep`."""
    for policy in policies:
        op.execute(f"DROP POLICY {policy} ON {table}")
        # This takes back the privileges on columns, too.
        op.execute(f"REVOKE ALL ON {table} FROM {policy}")
    op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    if sequence is not None:
        op.execute(f"REVOKE ALL ON SEQUENCE {sequence} FROM {APP_ROLE}")
