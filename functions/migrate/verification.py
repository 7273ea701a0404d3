"""Check that the database keeps the contract, and restore missing triggers."""

from collections.abc import Iterator
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, inspect, text

from functions.migrate.contract import TABLES, Table
from functions.migrate.errors import SchemaMismatchError
from functions.migrate.security import restore_security, security_faults
from migrations import append_only

_TRIGGERS = {
    # O and A fire in every ordinary session; a disabled trigger, and one for replicas alone, does not.
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgenabled IN ('O', 'A')",
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table",
}


def verify(connection: Connection) -> dict[str, list[str]]:
    """Compare the database with the contract, and return the names of its tables, indexes, triggers and policies.

    Raises:
        SchemaMismatchError: something is missing or different; the message lists all of it.
    """
    expect_utf8(connection)
    inspector = inspect(connection)
    faults: list[str] = []
    for name, table in TABLES.items():
        if inspector.has_table(name):
            faults += (f"{name}: {fault}" for fault in _faults(connection, inspector, name, table))
        else:
            faults.append(f"{name}: the table is missing")
    dialect = connection.dialect.name
    if dialect == "postgresql" and not faults:
        faults += security_faults(connection)
    if faults:
        raise SchemaMismatchError(
            f"the database does not keep the contract of its revision: {'; '.join(faults)}. An upgrade restores "
            'triggers, policies and privileges. Restore anything else by hand; {"action": "sql"} shows the statements'
        )
    return {
        "tables": list(TABLES),
        "indexes": [index for table in TABLES.values() for index in table.indexes],
        "triggers": [trigger for table in TABLES.values() for trigger in table.triggers.get(dialect, ())],
        "policies": [f"{role} on {name}" for name, table in TABLES.items() for role in table.access]
        if dialect == "postgresql"
        else [],
    }


def expect_utf8(connection: Connection) -> None:
    """Refuse a database that cannot store every letter.

    Raises:
        SchemaMismatchError: the encoding of the database is another one.
    """
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise SchemaMismatchError(
            f"the database's encoding is {encoding}, which cannot store every letter: create it anew with "
            "TEMPLATE template0 ENCODING 'UTF8'"
        )


def restore(connection: Connection, scripts: ScriptDirectory) -> list[str]:
    """Create missing triggers, policies and privileges, and return their names.

    Tables made by SQLAlchemy's `create_all`, and some restored backups, lack them.
    """
    inspector = inspect(connection)
    restored = _restore_triggers(connection, inspector)
    if connection.dialect.name == "postgresql" and all(inspector.has_table(name) for name in TABLES):
        restored += restore_security(connection, scripts)
    return restored


def _restore_triggers(connection: Connection, inspector: Inspector) -> list[str]:
    dialect = connection.dialect.name
    missing = [
        trigger
        for name, table in TABLES.items()
        if inspector.has_table(name)
        for trigger in _missing_triggers(connection, name, table)
    ]
    if missing:
        for statement in append_only.CREATE[dialect]:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    return missing


def _missing_triggers(connection: Connection, name: str, table: Table) -> list[str]:
    dialect = connection.dialect.name
    found = set(connection.execute(text(_TRIGGERS[dialect]), {"table": name}).scalars())
    return [trigger for trigger in table.triggers.get(dialect, ()) if trigger not in found]


def _faults(connection: Connection, inspector: Inspector, name: str, table: Table) -> Iterator[str]:
    yield from _faults_of_columns(inspector, name, table)
    yield from _faults_of_indexes(inspector, name, table)
    yield from _faults_of_references(inspector, name, table)
    for trigger in _missing_triggers(connection, name, table):
        yield f"trigger {trigger} is missing or disabled"


def _faults_of_columns(inspector: Inspector, name: str, table: Table) -> Iterator[str]:
    found = {column["name"]: column for column in inspector.get_columns(name)}
    for column in (*table.required, *table.optional):
        if column not in found:
            yield f"column {column} is missing"
        elif found[column]["nullable"] is not (column in table.optional):
            yield f"column {column} must {'' if column in table.optional else 'not '}be null"
        elif column in table.defaults and table.defaults[column] not in (found[column]["default"] or "\0"):
            yield f"column {column} lacks its server default"


def _faults_of_indexes(inspector: Inspector, name: str, table: Table) -> Iterator[str]:
    found = {str(index["name"]): index for index in inspector.get_indexes(name)}
    for index, columns in table.indexes.items():
        if index not in found:
            yield f"index {index} is missing"
        elif tuple(found[index]["column_names"]) != columns:
            yield f"index {index} must be on {', '.join(columns)}"
        elif table.unique_where.get(index, "") not in _condition(found[index]):
            yield f"index {index} must be unique where the row is {table.unique_where[index]}"
    unique = {tuple(constraint["column_names"]) for constraint in inspector.get_unique_constraints(name)}
    for columns in table.unique:
        if columns not in unique:
            yield f"{', '.join(columns)} must be unique"


def _condition(index: Any) -> str:
    """Return the condition of a unique index, an empty text for one that is not unique."""
    options = index.get("dialect_options", {})
    where = options.get("postgresql_where", options.get("sqlite_where", ""))
    return str(where) if index["unique"] else ""


def _faults_of_references(inspector: Inspector, name: str, table: Table) -> Iterator[str]:
    found = {
        key["constrained_columns"][0]: (key["referred_table"], key.get("options", {}).get("ondelete"))
        for key in inspector.get_foreign_keys(name)
    }
    for column, (target, ondelete) in table.references.items():
        if found.get(column) != (target, ondelete):
            yield f"column {column} must refer to {target} ON DELETE {ondelete}"
