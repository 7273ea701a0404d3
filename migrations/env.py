"""Alembic's environment: on the connection that the migrate function hands in, or on one of its own.

Attributes of the configuration: `connection` (a `Connection` within a transaction), `dialect` (a name, for the
statements alone), `on_version_apply` (called for each revision that was applied).
"""

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

from migrations.transaction import Limits, migration_transaction
from taskchat import models  # noqa: F401 - fills the metadata
from taskchat.database import driver_url
from taskchat.settings import settings


def _run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
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
