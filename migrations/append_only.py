"""The triggers that make messages append-only, as statements that may run again.

Revisions use them, so never change what a name here stands for. A revision that replaces the triggers adds its own
statements and makes `CREATE` name them, because the migrate function uses `CREATE` to restore missing triggers.
"""

from collections.abc import Mapping, Sequence

# A cascade from a user reaches messages through conversations or through turns, in either order. So a message may go
# as soon as its conversation or that conversation's user is gone.
_CONVERSATION_EXISTS = (
    "EXISTS (SELECT 1 FROM conversations JOIN users ON users.id = conversations.user_id"
    " WHERE conversations.id = OLD.conversation_id)"
)

CREATE: Mapping[str, Sequence[str]] = {
    "postgresql": (
        # The search path is fixed at creation, so that the function finds its tables whatever a session has set.
        f"""
    CREATE OR REPLACE FUNCTION refuse_change_of_messages() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF NOT {_CONVERSATION_EXISTS} THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'messages are append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
        """
    CREATE OR REPLACE TRIGGER messages_append_only BEFORE UPDATE OR DELETE ON messages
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_messages()
    """,
        """
    CREATE OR REPLACE TRIGGER messages_append_only_truncate BEFORE TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_messages()
    """,
    ),
    "sqlite": (
        """
    CREATE TRIGGER IF NOT EXISTS messages_append_only_update BEFORE UPDATE ON messages
    BEGIN SELECT RAISE(ABORT, 'messages are append-only: UPDATE is refused'); END
    """,
        f"""
    CREATE TRIGGER IF NOT EXISTS messages_append_only_delete BEFORE DELETE ON messages WHEN {_CONVERSATION_EXISTS}
    BEGIN SELECT RAISE(ABORT, 'messages are append-only: DELETE is refused'); END
    """,
        # REPLACE deletes without the trigger for deletions, so the one for insertions stops it.
        """
    CREATE TRIGGER IF NOT EXISTS messages_append_only_replace BEFORE INSERT ON messages
    WHEN EXISTS (SELECT 1 FROM messages WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'messages are append-only: REPLACE is refused'); END
    """,
    ),
}
"""By the database's kind. Each statement creates one function or trigger, or replaces it."""
