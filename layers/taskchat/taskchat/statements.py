"""Statements that are built once, with places for values; and several writes in one round trip, where the database can.

To build a statement takes SQLAlchemy several times as long as to run one that is built.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, select
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

Value = TypeVar("Value")
Write = ReturningInsert[Any] | ReturningUpdate[Any] | ReturningDelete[Any]
WHOLE_TRANSACTION = "whole_transaction"
"""The execution option of a statement that is all of its transaction, and needs no BEGIN and no COMMIT."""
WITH_NEXT = "with_next"
"""The execution option of a statement whose result nobody looks at: it is sent in one message with the next one, or
with the COMMIT."""


def given(column: ColumnElement[Value], name: str | None = None) -> BindParameter[Value]:
    """Return the place of a value that `values` gives, of that column's type, by the column's name or another."""
    return bindparam(_key(name or str(column.key)), type_=column.type)


def values(**named: object) -> Mapping[str, object]:
    """Return what the places of a statement are filled with."""
    return {_key(name): value for name, value in named.items()}


def _key(name: str) -> str:
    # The bare name of a column is SQLAlchemy's own, in what inserts or updates that column.
    return f"given_{name}"


class Together:
    """Writes that each return at most one id; each is made of the ids of those before it, null where there is none.

    On PostgreSQL they are one statement of data-modifying common table expressions, and apart from those ids none of
    them sees what another one wrote; elsewhere they run one after the other.
    """

    def __init__(self, *writes: Callable[..., Write]) -> None:
        self._at_once = _at_once(writes)
        self._one_by_one = _one_by_one(writes)

    def run(
        self, connection: Connection, filled_with: Mapping[str, object], *, whole_transaction: bool = False
    ) -> Sequence[Any]:
        """Return the ids in order, None where no row was matched.

        A whole transaction, where it is one statement, is committed with it; nothing else may be written then.
        """
        if connection.dialect.name == "postgresql":
            options = {WHOLE_TRANSACTION: whole_transaction}
            return connection.execute(self._at_once, filled_with, execution_options=options).one()
        return self._run_one_by_one(connection, filled_with)

    def run_with_next(self, connection: Connection, filled_with: Mapping[str, object]) -> None:
        """Run the writes, where it can be in one message with the next statement, or with the COMMIT.

        That sees what was written, and raises what the writes raise. Where nothing went before them, the message is a
        transaction by itself.
        """
        if connection.dialect.name == "postgresql":
            options = {WHOLE_TRANSACTION: True, WITH_NEXT: True}
            connection.execute(self._at_once, filled_with, execution_options=options)
        else:
            self._run_one_by_one(connection, filled_with)

    def _run_one_by_one(self, connection: Connection, filled_with: Mapping[str, object]) -> Sequence[Any]:
        ids: dict[str, Any] = {}
        for name, write in self._one_by_one:
            ids[name] = connection.execute(write, {**filled_with, **ids}).scalar()
        return tuple(ids.values())


def _at_once(writes: Sequence[Callable[..., Write]]) -> Any:
    ids: list[ColumnElement[Any]] = []
    for write in writes:
        part = write(*ids).cte(f"write_{len(ids)}")
        ids.append(select(*part.c).scalar_subquery())
    return select(*ids)


def _one_by_one(writes: Sequence[Callable[..., Write]]) -> Sequence[tuple[str, Write]]:
    ids: list[BindParameter[Any]] = []
    parts: list[tuple[str, Write]] = []
    for write in writes:
        part = write(*ids)
        [column] = part.exported_columns
        ids.append(given(column, f"id_{len(ids)}"))
        parts.append((ids[-1].key, part))
    return parts
