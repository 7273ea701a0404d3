"""Read the revision of a database, and refuse a database of another application."""

from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from functions.migrate.contract import TABLES
from functions.migrate.errors import SchemaMismatchError

_OWN_PLACE = "give this application a database of its own, or a schema that comes first in its role's search_path"


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
        raise SchemaMismatchError(f"alembic_version holds {len(found)} revisions ({', '.join(found)}); {_OWN_PLACE}")
    if unknown and not _has_all_columns(connection):
        raise SchemaMismatchError(
            f"alembic_version holds revision {unknown[0]}, which is not of this application; {_OWN_PLACE}"
        )
    return Position(next(iter(found), None), is_ahead=bool(unknown))


def refuse_foreign_tables(connection: Connection) -> None:
    """Refuse a database without a revision that has tables of the contract's names.

    Raises:
        SchemaMismatchError: there are such tables; the message tells what to do about them.
    """
    if found := sorted(set(TABLES) & set(inspect(connection).get_table_names())):
        raise SchemaMismatchError(
            f"the database has no revision, but already has tables named {', '.join(found)}. If they are of this "
            'application, record the revision they correspond to with {"action": "stamp", "revision": …} and upgrade '
            f"again. Otherwise {_OWN_PLACE}"
        )


def _has_all_columns(connection: Connection) -> bool:
    inspector = inspect(connection)
    return all(
        inspector.has_table(name)
        and {*table.required, *table.optional} <= {column["name"] for column in inspector.get_columns(name)}
        for name, table in TABLES.items()
    )
