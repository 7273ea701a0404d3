"""The database: one kept connection, and `Database.transaction`, the only way to it."""

from taskchat.database.deadlines import CONNECT_TIMEOUT_SECONDS
from taskchat.database.engine import conceal_passwords, driver_url
from taskchat.database.postgres import redact_errors
from taskchat.database.transactions import Database, database

__all__ = ["CONNECT_TIMEOUT_SECONDS", "Database", "conceal_passwords", "database", "driver_url", "redact_errors"]
