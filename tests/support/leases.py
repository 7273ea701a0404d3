"""Letting time pass for leases, without waiting for it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlmodel import col

from taskchat.database import Database
from taskchat.models import Turn, TurnStatus
from tests.support.owner import as_owner


def let_every_lease_run_out(database: Database) -> None:
    """Make every running turn one whose lease ran out a second ago."""
    _let_run_out(database, TurnStatus.RUNNING)


def let_every_wait_run_out(database: Database) -> None:
    """Let so much time pass that the sweep finds every turn that is not over."""
    _let_run_out(database, TurnStatus.RUNNING, TurnStatus.QUEUED, TurnStatus.INTERRUPTED)


def _let_run_out(database: Database, *statuses: TurnStatus) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    waiting = update(Turn).where(col(Turn.status).in_(statuses)).values(lease_expires_at=past)
    as_owner(database, lambda connection: connection.execute(waiting))
