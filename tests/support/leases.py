"""Letting time pass for leases, without waiting for it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlmodel import col

from taskchat.database import Database
from taskchat.models import Turn, TurnStatus


def let_every_lease_run_out(database: Database) -> None:
    """Make every running turn one whose lease ran out a second ago."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    running = update(Turn).where(col(Turn.status) == TurnStatus.RUNNING).values(lease_expires_at=past)
    database.transaction(lambda connection: connection.execute(running))
