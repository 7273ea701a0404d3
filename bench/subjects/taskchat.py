"""Taskchat, through the handler that Lambda calls."""

import json
from contextlib import closing
from typing import Any

import psycopg2

from bench.events import chat
from bench.subject import TEXT, Conversation, Subject, database_url, run
from functions.chat import app
from functions.migrate import app as migrate
from local.lambda_events import LambdaContext

APPEND = """
INSERT INTO messages (conversation_id, role, content, created_at)
SELECT %s, CASE number %% 2 WHEN 1 THEN 'user' ELSE 'assistant' END, %s, now() - (%s - number) * interval '1 second'
FROM generate_series(1, %s) AS number
"""


class Taskchat(Subject):
    """The deployed code, over the tables that its own migrations make."""

    def __init__(self) -> None:
        context: Any = LambdaContext(function_name="migrate")
        migrate.handler({}, context)

    def seed(self, messages: int) -> Conversation:
        if messages == 0:
            return None
        conversation_id = int(self._answer(chat())["conversation_id"])
        with closing(psycopg2.connect(database_url())) as connection, connection, connection.cursor() as cursor:
            cursor.execute(APPEND, (conversation_id, TEXT, messages, messages))
        return conversation_id

    def request(self, conversation: Conversation, message: str) -> dict[str, Any]:
        return chat(None if conversation is None else int(conversation), message=message)

    def turn(self, request: dict[str, Any]) -> None:
        [call] = self._answer(request)["tool_calls"]
        assert call["tool"] in ("create_task", "list_tasks"), call

    @staticmethod
    def _answer(event: dict[str, Any]) -> dict[str, Any]:
        response = app.handler(event, LambdaContext())
        assert response["statusCode"] == 200, response
        body: dict[str, Any] = json.loads(response["body"])
        return body


if __name__ == "__main__":
    run(Taskchat)
