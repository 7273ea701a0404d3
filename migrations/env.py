"""Alembic's environment: it uses the connection of the migrate function, or opens one of its own.

Attributes of the configuration: `connection` (a `Connection` within a transaction), `dialect` (its name, to print
statements without a database), `on_version_apply` (called after each revision).
"""

from collections.abc import Mapping
from typing import Any

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

from migrations.transaction import Limits, migration_transaction
from taskchat import models  # noqa: F401 - fills the metadata
from taskchat.database import driver_url
from taskchat.settings import settings


def _is_compared(name: str | None, kind: str, _parents: Mapping[Any, str | None]) -> bool:
    # A table without a model may be of another application. Autogenerate would drop it.
    return kind != "table" or name in SQLModel.metadata.tables


def _run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_name=_is_compared,
        compare_server_default=True,
        render_as_batch=connection.dialect.name == "sqlite",
        on_version_apply=context.config.attributes.get("on_version_apply"),
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_offline() -> None:
    dialect = context.config.attributes.get("dialect")
    if dialect is None:
        dialect = driver_url(settings().resolve_migration_url()).get_backend_name()
    context.configure(
        dialect_name=dialect,
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        transactional_ddl=True,
        on_version_apply=context.config.attributes.get("on_version_apply"),
        target_metadata=SQLModel.metadata,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_online() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run_on(connection)
        return
    url = driver_url(settings().resolve_migration_url())
    with migration_transaction(url, Limits()) as connection:
        _run_on(connection)


if context.is_offline_mode():
    _run_offline()
else:
    _run_online()
