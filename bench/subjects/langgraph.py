"""LangGraph's `create_agent` with its `PostgresSaver`, as its documentation shows it."""

import os

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.postgres import PostgresSaver

from bench.events import MESSAGE
from bench.servers import API_KEY, MODEL
from bench.subject import INSTRUCTIONS, TEXT, Conversation, Subject, TaskList, database_url, model_url, run

os.environ["LANGSMITH_TRACING"] = "false"


class LangGraph(Subject):
    """One agent and one saver, with a thread for each conversation."""

    def __init__(self) -> None:
        tasks = TaskList()

        @tool
        def create_task(title: str, priority: str) -> str:
            """Add a task to the person's list."""
            return tasks.create(title, priority)

        self._open = PostgresSaver.from_conn_string(database_url())
        saver = self._open.__enter__()
        saver.setup()
        model = ChatOpenAI(model=MODEL, base_url=model_url(), api_key=API_KEY)
        self._agent = create_agent(model, [create_task], system_prompt=INSTRUCTIONS, checkpointer=saver)

    def seed(self, messages: int) -> Conversation:
        thread = os.urandom(8).hex()
        if messages:
            history: list[BaseMessage] = []
            for _ in range(messages // 2):
                history += [HumanMessage(TEXT), AIMessage(TEXT)]
            self._agent.update_state({"configurable": {"thread_id": thread}}, {"messages": history})
        return thread

    def turn(self, request: Conversation) -> None:
        answer = self._agent.invoke({"messages": [HumanMessage(MESSAGE)]}, {"configurable": {"thread_id": request}})
        assert answer["messages"][-1].content


if __name__ == "__main__":
    run(LangGraph)
