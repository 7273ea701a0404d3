"""The database: one kept connection, and `Database.transaction`, the only way to it."""

from taskchat.database.engine import driver_url
from taskchat.database.postgres import CONNECT_TIMEOUT_SECONDS
from taskchat.database.transactions import Database, database

__all__ = ["CONNECT_TIMEOUT_SECONDS", "Database", "database", "driver_url"]
