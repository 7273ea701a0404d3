"""This project, through the handler that Lambda calls."""

import os
import uuid
from contextlib import closing
from typing import Any

import psycopg2

from bench.subject import MESSAGE, TEXT, Conversation, Subject, database_url, function_variables, run

os.environ |= function_variables()

from functions.chat import app as chat
from functions.migrate import app as migrate
from taskchat import principal
from tests.support.lambda_events import LambdaContext, http_event

SEED = """
INSERT INTO messages (conversation_id, role, content, created_at)
SELECT %s, CASE number %% 2 WHEN 1 THEN 'user' ELSE 'assistant' END, %s, now() - (%s - number) * interval '1 second'
FROM generate_series(1, %s) AS number
"""


class Taskchat(Subject):
    """The deployed code; the function of migrations makes its tables."""

    def __init__(self) -> None:
        context: Any = LambdaContext(function_name="migrate")
        migrate.handler({}, context)

    def seed(self, messages: int) -> Conversation:
        if messages == 0:
            return None
        user = principal.from_event(http_event("POST", "/chat"))
        with closing(psycopg2.connect(database_url())) as connection, connection, connection.cursor() as cursor:
            person = (str(user.user_id), user.subject)
            cursor.execute("INSERT INTO users (id, subject) VALUES (%s, %s) ON CONFLICT DO NOTHING", person)
            cursor.execute("INSERT INTO conversations (user_id) VALUES (%s) RETURNING id", person[:1])
            row = cursor.fetchone()
            assert row is not None
            cursor.execute(SEED, (row[0], TEXT, messages, messages))
        return int(row[0])

    def request(self, conversation: Conversation) -> dict[str, Any]:
        """Return the event, which API Gateway makes."""
        body = {"message": MESSAGE, "conversation_id": conversation}
        return http_event("POST", "/chat", body=body, headers={"idempotency-key": str(uuid.uuid4())})

    def turn(self, request: dict[str, Any]) -> None:
        answer = chat.handler(request, LambdaContext())
        assert answer["statusCode"] == 200, answer
        assert answer["body"].count('"tool":"create_task"') == 1


if __name__ == "__main__":
    run(Taskchat)
