"""Row-level security: a transaction of a function reaches one person's rows.

Revises: f5b81e94d0a2
"""

from migrations.row_security import (
    APP_ROLE,
    CREATE_ROLES,
    LEAVE_SCHEMA,
    OWN_ROW,
    PERSON,
    SWEEP_ROLE,
    execute,
    open_to_sweep,
    protect,
    unprotect,
)

revision: str = "b6d20f83e4c1"
down_revision: str | None = "f5b81e94d0a2"
branch_labels: None = None
depends_on: None = None
LOSSES: tuple[str, ...] = ()

TABLES = ("users", "tasks", "conversations", "turns", "messages")
CHANGES = "SELECT, INSERT, UPDATE, DELETE"
# OFFSET 0 makes PostgreSQL look one conversation up by its primary key for each row. Without it, PostgreSQL may read
# all of the person's conversations for a page of messages. A comparison in place of EXISTS would be expected to keep
# few rows, and PostgreSQL would then read a whole conversation for its last page.
OWN_CONVERSATION = (
    "EXISTS (SELECT FROM conversations WHERE conversations.id = {table}.conversation_id"
    " AND conversations." + OWN_ROW + " OFFSET 0)"
)
OWN_MESSAGE = OWN_CONVERSATION.format(table="messages")
# References are checked by the owner of the tables, who sees other people's conversations.
OWN_TURN = f"{OWN_ROW} AND (conversation_id IS NULL OR {OWN_CONVERSATION.format(table='turns')})"
# A body in SQL's own syntax is bound to its table when it is made, whatever search path a caller sets.
TURN_USER = """
CREATE OR REPLACE FUNCTION taskchat_turn_user(turn_id uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT turns.user_id FROM turns WHERE turns.id = turn_id)
"""
SECURITY = (
    CREATE_ROLES,
    *protect("users", CHANGES, using=f"id = {PERSON}"),
    *protect("tasks", CHANGES, sequence="tasks_id_seq"),
    *protect("conversations", CHANGES, sequence="conversations_id_seq"),
    *protect("turns", "SELECT, INSERT, UPDATE", check=OWN_TURN),
    # Messages are never changed, and cascades delete them as the owner of the table.
    *protect("messages", "SELECT, INSERT", using=OWN_MESSAGE, sequence="messages_id_seq"),
    *open_to_sweep(
        "turns",
        "SELECT (id, user_id, conversation_id, status, error, lease_expires_at, created_at),"
        " UPDATE (status, error, lease_expires_at), DELETE",
    ),
    TURN_USER,
    "REVOKE ALL ON FUNCTION taskchat_turn_user(uuid) FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION taskchat_turn_user(uuid) TO {APP_ROLE}",
)
"""Statements that may run again; the migrate function restores row-level security with them."""
GRANTED_BEFORE = """
DO $$
DECLARE
    name text;
    grantees text;
BEGIN
    FOREACH name IN ARRAY ARRAY['users', 'tasks', 'conversations', 'turns', 'messages'] LOOP
        SELECT string_agg(DISTINCT grantee::regrole::text, ', ') INTO grantees
        FROM pg_class, aclexplode(relacl)
        WHERE oid = to_regclass(name)
        AND grantee NOT IN (0, relowner, 'taskchat_app'::regrole, 'taskchat_sweep'::regrole);
        IF grantees IS NOT NULL THEN
            EXECUTE format('CREATE POLICY granted_before ON %I TO %s USING (true)', name, grantees);
        END IF;
    END LOOP;
END
$$
"""
"""Leave other roles the rows that they had privileges on. The release before may log in as one of them."""


def upgrade() -> None:
    """Make the roles, and a policy for each table."""
    execute((*SECURITY, GRANTED_BEFORE))


def downgrade() -> None:
    """Drop the policies and the privileges. The roles stay, because they belong to the cluster."""
    execute(
        (
            "DROP FUNCTION taskchat_turn_user(uuid)",
            *(f"DROP POLICY IF EXISTS granted_before ON {table}" for table in TABLES),
            *unprotect("turns", roles=(APP_ROLE, SWEEP_ROLE)),
            *unprotect("messages", sequence="messages_id_seq"),
            *unprotect("conversations", sequence="conversations_id_seq"),
            *unprotect("tasks", sequence="tasks_id_seq"),
            *unprotect("users"),
            LEAVE_SCHEMA,
        )
    )
