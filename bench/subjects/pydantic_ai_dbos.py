"""pydantic-ai on DBOS, a peer with durable runs: the tool is a step, and a table holds the messages."""

import asyncio
import os

from dbos import DBOS, DBOSConfig
from pydantic_ai import Agent, ModelMessage, ModelMessagesTypeAdapter, ModelRequest, ModelResponse, TextPart
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from bench.events import MESSAGE
from bench.servers import API_KEY, MODEL
from bench.subject import (
    INSTRUCTIONS,
    TEXT,
    WINDOW_MESSAGES,
    Conversation,
    Subject,
    TaskList,
    database_url,
    model_url,
    run,
)

TABLE = """
CREATE TABLE IF NOT EXISTS chat_messages (
    id bigserial PRIMARY KEY, conversation_id bigint NOT NULL, message jsonb NOT NULL
);
CREATE INDEX ON chat_messages (conversation_id, id)
"""
SEED = """
INSERT INTO chat_messages (conversation_id, message)
SELECT %s, CASE number %% 2 WHEN 1 THEN %s::jsonb ELSE %s::jsonb END FROM generate_series(1, %s) AS number
"""
HISTORY = "SELECT message FROM chat_messages WHERE conversation_id = %s ORDER BY id DESC LIMIT %s"
APPEND = "INSERT INTO chat_messages (conversation_id, message) SELECT %s, value FROM jsonb_array_elements(%s::jsonb)"


class PydanticAI(Subject):
    """An agent in a DBOS workflow; the history is read before the workflow and appended to after it."""

    def __init__(self) -> None:
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": database_url().replace("postgresql://", "postgresql+psycopg://"),
            "run_admin_server": False,
        }
        DBOS(config=config)
        self._tasks = TaskList()
        self._cursor = self._tasks.connection.cursor()
        self._cursor.execute(TABLE)
        provider = OpenAIProvider(base_url=model_url(), api_key=API_KEY)
        self._agent = Agent(
            OpenAIChatModel(MODEL, provider=provider),
            name="tasks",
            instructions=INSTRUCTIONS,
            capabilities=[DBOSDurability()],
        )

        @self._agent.tool_plain
        @DBOS.step(name="create_task")
        async def create_task(title: str, priority: str) -> str:
            """Add a task to the person's list."""
            return self._tasks.create(title, priority)

        @DBOS.workflow(name="turn")
        async def turn(history: str) -> str:
            result = await self._agent.run(MESSAGE, message_history=ModelMessagesTypeAdapter.validate_json(history))
            said: str = result.new_messages_json().decode()
            return said

        self._workflow = turn
        DBOS.launch()
        self._loop = asyncio.new_event_loop()
        self._conversations = int.from_bytes(os.urandom(4))

    def seed(self, messages: int) -> Conversation:
        self._conversations += 1
        person: ModelMessage = ModelRequest.user_text_prompt(TEXT)
        assistant: ModelMessage = ModelResponse(parts=[TextPart(TEXT)])
        said = [ModelMessagesTypeAdapter.dump_json([message]).decode()[1:-1] for message in (person, assistant)]
        self._cursor.execute(SEED, (self._conversations, *said, messages))
        return self._conversations

    def turn(self, request: Conversation) -> None:
        self._cursor.execute("SELECT message::text FROM (" + HISTORY + ") AS history", (request, WINDOW_MESSAGES))
        newest_first = [row[0] for row in self._cursor.fetchall()]
        history = f"[{','.join(reversed(newest_first))}]"
        said = self._loop.run_until_complete(self._workflow(history))
        self._cursor.execute(APPEND, (request, said))


if __name__ == "__main__":
    run(PydanticAI)
