"""The revisions of the migrations, oldest first."""

from pathlib import Path

from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCRIPTS = ScriptDirectory(str(MIGRATIONS).replace("%", "%%"))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions("base", "head")))]
PARENTS = dict(zip(REVISIONS, ["base", *REVISIONS], strict=False))
USERS, CONVERSATIONS, TURNS = REVISIONS[:3]
HEAD = REVISIONS[-1]
