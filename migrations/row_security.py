"""Row-level security on PostgreSQL, as statements that may run again.

A revision names its statements `SECURITY` and executes them. The migrate function executes those of all revisions, in
their order, when it restores what is missing. Add here, and never change a statement in use.

Two roles without login run all transactions of the functions. `taskchat_app` reaches the rows of the person whose id is
in `taskchat.user_id`, and `taskchat_sweep` reaches the columns of turns that the sweep needs. The owner of the tables
stays free of policies: migrations, triggers and cascades run as the owner, and so does the release before.

Source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

from collections.abc import Iterable, Sequence

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


def execute(statements: Iterable[str]) -> None:
    """Execute statements of a revision, if the database has row-level security."""
    if op.get_context().dialect.name == "postgresql":
        for statement in statements:
            op.execute(statement)


def protect(
    table: str, privileges: str, *, using: str = OWN_ROW, check: str | None = None, sequence: str | None = None
) -> Sequence[str]:
    """Let `taskchat_app` reach the rows that meet the condition `using`, and leave rows behind that meet `check`.

    `privileges` are those of GRANT, and `sequence` counts up the ids of the table.
    """
    with_check = "" if check is None else f" WITH CHECK ({check})"
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
        # Revoking a privilege on the table revokes it on the columns, too.
        f"REVOKE ALL ON {table} FROM {APP_ROLE}, {SWEEP_ROLE}",
        *_replace_policy(APP_ROLE, table, f"USING ({using}){with_check}"),
        f"GRANT {privileges} ON {table} TO {APP_ROLE}",
        *(() if sequence is None else (f"GRANT USAGE ON SEQUENCE {sequence} TO {APP_ROLE}",)),
    )


def open_to_sweep(table: str, privileges: str) -> Sequence[str]:
    """Let `taskchat_sweep` reach all rows of a protected table; `privileges` are those of GRANT, columns included."""
    return (
        *_replace_policy(SWEEP_ROLE, table, "USING (true)"),
        f"GRANT {privileges} ON {table} TO {SWEEP_ROLE}",
    )


def unprotect(table: str, *, sequence: str | None = None, roles: Sequence[str] = (APP_ROLE,)) -> Sequence[str]:
    """Undo `protect`, and `open_to_sweep` if the roles include `taskchat_sweep`."""
    return (
        *(f"DROP POLICY {role} ON {table}" for role in roles),
        *(f"REVOKE ALL ON {table} FROM {role}" for role in roles),
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        *(() if sequence is None else (f"REVOKE ALL ON SEQUENCE {sequence} FROM {APP_ROLE}",)),
    )


def _replace_policy(role: str, table: str, conditions: str) -> Sequence[str]:
    return (f"DROP POLICY IF EXISTS {role} ON {table}", f"CREATE POLICY {role} ON {table} TO {role} {conditions}")
