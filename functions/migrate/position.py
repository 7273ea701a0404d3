"""The revision that a database is at, and whether this code knows it."""

from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from functions.migrate.contract import TABLES
from functions.migrate.errors import SchemaMismatchError

_ADVICE = "give this application a database of its own, or a schema that comes first in its role's search_path"


@dataclass(frozen=True)
class Position:
    """A revision, None before the first one; `is_ahead` marks one of a release newer than this code."""

    revision: str | None
    is_ahead: bool = False


def read_position(connection: Connection, scripts: ScriptDirectory) -> Position:
    """Return the position that the table `alembic_version` holds.

    An unknown revision counts as newer if every table and column of the contract exists. Otherwise another
    application wrote it: Alembic names that table the same in all of them.

    Raises:
        SchemaMismatchError: the revision is of another application.
    """
    found = MigrationContext.configure(connection).get_current_heads()
    known = {script.revision for script in scripts.walk_revisions()}
    unknown = [revision for revision in found if revision not in known]
    if len(found) > 1:
        raise SchemaMismatchError(f"alembic_version holds {len(found)} revisions ({', '.join(found)}); {_ADVICE}")
    if unknown and not _has_all_columns(connection):
        raise SchemaMismatchError(
            f"alembic_version holds revision {unknown[0]}, which is not of this application; {_ADVICE}"
        )
    return Position(next(iter(found), None), is_ahead=bool(unknown))


def _has_all_columns(connection: Connection) -> bool:
    inspector = inspect(connection)
    return all(
        inspector.has_table(name)
        and {*table.required, *table.optional} <= {column["name"] for column in inspector.get_columns(name)}
        for name, table in TABLES.items()
    )
