"""openai-agents with its `SQLAlchemySession`, as its documentation shows it: each turn reads the whole history."""

import asyncio
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from agents.extensions.memory import SQLAlchemySession
from openai import AsyncOpenAI
from sqlalchemy.ext.asyncio import create_async_engine

from bench.servers import API_KEY, MODEL
from bench.subject import INSTRUCTIONS, TEXT, Conversation, Subject, TaskList, database_url, model_url, run


class OpenAIAgents(Subject):
    """One agent and one engine, with a session for each conversation."""

    def __init__(self) -> None:
        set_tracing_disabled(True)
        tasks = TaskList()

        @function_tool
        def create_task(title: str, priority: str) -> str:
            """Add a task to the person's list."""
            return tasks.create(title, priority)

        url = database_url().replace("postgresql://", "postgresql+asyncpg://").replace("sslmode=", "ssl=")
        self._engine = create_async_engine(url)
        self._loop = asyncio.new_event_loop()
        client = AsyncOpenAI(base_url=model_url(), api_key=API_KEY)
        model = OpenAIChatCompletionsModel(model=MODEL, openai_client=client)
        self._agent = Agent(name="tasks", instructions=INSTRUCTIONS, model=model, tools=[create_task])
        self._sessions: dict[str, SQLAlchemySession] = {}

    def seed(self, messages: int) -> Conversation:
        name = os.urandom(8).hex()
        session = SQLAlchemySession(name, engine=self._engine, create_tables=True)
        roles = ("user", "assistant")
        items = [{"role": roles[number % 2], "content": TEXT} for number in range(messages)]
        self._loop.run_until_complete(session.add_items(items))
        # The session checks its tables at the first use, which is not part of a turn.
        self._loop.run_until_complete(session.get_items(1))
        self._sessions[name] = session
        return name

    def request(self, conversation: Conversation, message: str) -> tuple[Conversation, str]:
        return conversation, message

    def turn(self, request: tuple[Conversation, str]) -> None:
        conversation, message = request
        session = self._sessions[str(conversation)]
        result = self._loop.run_until_complete(Runner.run(self._agent, message, session=session))
        assert result.final_output


if __name__ == "__main__":
    run(OpenAIAgents)
