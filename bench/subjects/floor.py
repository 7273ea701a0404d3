"""The floor: psycopg2 and httpx2, four statements that commit themselves, and no promise kept by anyone."""

import json
from typing import Any

import httpx2

from bench.subject import (
    API_KEY,
    INSTRUCTIONS,
    MESSAGE,
    MODEL,
    TEXT,
    WINDOW_MESSAGES,
    Conversation,
    Subject,
    TaskList,
    model_url,
    run,
)

TABLE = """
CREATE TABLE IF NOT EXISTS messages (
    id bigserial PRIMARY KEY, conversation_id bigint NOT NULL, role text NOT NULL, content text NOT NULL
);
CREATE INDEX ON messages (conversation_id, id)
"""
SEED = """
INSERT INTO messages (conversation_id, role, content)
SELECT %s, CASE number %% 2 WHEN 1 THEN 'user' ELSE 'assistant' END, %s FROM generate_series(1, %s) AS number
"""
HISTORY = "SELECT role, content FROM messages WHERE conversation_id = %s ORDER BY id DESC LIMIT %s"
APPEND = "INSERT INTO messages (conversation_id, role, content) VALUES (%s, %s, %s)"
TOOL = {
    "type": "function",
    "function": {
        "name": "create_task",
        "description": "Add a task to the person's list.",
        "parameters": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "priority": {"type": "string"}},
            "required": ["title"],
        },
    },
}


class Floor(Subject):
    """What a turn costs when nothing but the turn is done."""

    def __init__(self) -> None:
        self._tasks = TaskList()
        self._cursor = self._tasks.connection.cursor()
        self._cursor.execute(TABLE)
        self._client = httpx2.Client(base_url=model_url(), headers={"Authorization": f"Bearer {API_KEY}"})
        self._conversations = 0

    def seed(self, messages: int) -> Conversation:
        self._conversations += 1
        self._cursor.execute(SEED, (self._conversations, TEXT, messages))
        return self._conversations

    def turn(self, conversation: Conversation) -> None:
        self._cursor.execute(HISTORY, (conversation, WINDOW_MESSAGES))
        history = [{"role": role, "content": content} for role, content in reversed(self._cursor.fetchall())]
        messages = [{"role": "system", "content": INSTRUCTIONS}, *history, {"role": "user", "content": MESSAGE}]
        self._cursor.execute(APPEND, (conversation, "user", MESSAGE))
        asked = self._ask(messages)
        for call in asked["tool_calls"]:
            result = self._tasks.create(**json.loads(call["function"]["arguments"]))
            messages += [asked, {"role": "tool", "tool_call_id": call["id"], "content": result}]
        self._cursor.execute(APPEND, (conversation, "assistant", self._ask(messages)["content"]))

    def _ask(self, messages: list[dict[str, Any]]) -> Any:
        answer = self._client.post("/chat/completions", json={"model": MODEL, "messages": messages, "tools": [TOOL]})
        return answer.raise_for_status().json()["choices"][0]["message"]


if __name__ == "__main__":
    run(Floor)
