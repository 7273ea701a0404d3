"""Plans of the list of tasks: each page walks the index from its cursor, and no page reads the table."""

import uuid
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from taskchat.database import Database
from taskchat.tasks import queries as tasks
from taskchat.tasks.queries import StatusFilter
from tests.support.owner import as_owner
from tests.support.statements import nodes, plan, recorded

USER = uuid.UUID(int=1)
TASKS = 20_000
INDEX = "ix_tasks_user_id_completed_due_at_id"
PAGE = 50
SEED = f"""
INSERT INTO users (id, subject) VALUES ('{USER}', 'one'), ('{uuid.UUID(int=2)}', 'two');
INSERT INTO tasks (user_id, title, completed, due_at)
SELECT CASE WHEN number % 2 = 0 THEN '{USER}'::uuid ELSE '{uuid.UUID(int=2)}'::uuid END, 'task', number % 3 = 0,
       CASE WHEN number % 5 > 0 THEN '2026-01-01'::timestamptz + number * interval '1 minute' END
FROM generate_series(1, {TASKS}) AS number;
ANALYZE;
"""


def walk(connection: Connection, status: StatusFilter, pages: int) -> None:
    """Read the first pages of the list."""
    cursor = None
    for _ in range(pages):
        cursor = tasks.find(connection, USER, status=status, limit=PAGE, cursor=cursor).next_cursor


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_page_walks_the_index_from_its_cursor(database: Database) -> None:
    as_owner(database, lambda connection: connection.execute(text(SEED)))
    for status in (StatusFilter.ALL, StatusFilter.COMPLETED):
        with recorded(database.engine()) as statements:
            database.transaction(USER, partial(walk, status=status, pages=3))
        for statement in statements[1:-1]:
            found = list(nodes(database.transaction(USER, partial(plan, statement=statement))))
            scans = [node for node in found if "Scan" in node["Node Type"] and "Relation Name" in node]
            assert {(node["Node Type"], node.get("Index Name")) for node in scans} == {("Index Scan", INDEX)}
            # The only sort brings the sections together, of which each is no longer than a page.
            sorts = [node for node in found if "Sort" in node["Node Type"]]
            assert all(node["Plan Rows"] <= 4 * (PAGE + 1) for node in sorts)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_searches_the_index_for_every_section(database: Database) -> None:
    def explain(connection: Connection) -> list[str]:
        asked: list[tuple[Any, Any]] = []
        event.listen(connection, "after_cursor_execute", lambda *execution: asked.append(execution[2:4]))
        tasks.find(connection, USER)
        statement, parameters = asked[0]
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    steps = [step for step in database.transaction(USER, explain) if "tasks" in step]
    assert len(steps) == 4
    assert all(step.startswith(f"SEARCH tasks USING INDEX {INDEX}") for step in steps)
