"""Several writes in one round trip, where the database can."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

Write = ReturningInsert[Any] | ReturningUpdate[Any] | ReturningDelete[Any]


def together(session: Session, *writes: Write) -> tuple[Any, ...]:
    """Run writes that each return at most one id; answer the ids in order, None where no row was matched.

    On PostgreSQL they are one statement of data-modifying common table expressions, and none of them sees what
    another one wrote; elsewhere they run one after the other. So they must not depend on each other's results.
    """
    if session.get_bind().dialect.name != "postgresql":
        return tuple(session.execute(write).scalar() for write in writes)
    parts = [write.cte(f"write_{number}") for number, write in enumerate(writes)]
    return tuple(session.execute(select(*(select(*part.c).scalar_subquery() for part in parts))).one())
