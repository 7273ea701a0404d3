"""What is measured: a way to carry a turn that creates one task, in a process of its own."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class in lower case

from bench.worker import Command, serve

MODEL = "scripted"
API_KEY = "none"
MESSAGE = "Add a task to buy groceries, with high priority"
TEXT = ("Remember the milk, the bread and the butter. " * 9)[:400]
"""What a message of the history says."""
INSTRUCTIONS = "You manage the task list of one person. Use the tools, then say what was done."
WINDOW_MESSAGES = 50
"""What the subjects that bound their history give the model; the others give it everything."""
CREATE_TASKS = """
CREATE TABLE IF NOT EXISTS tasks (
    id bigserial PRIMARY KEY, title text NOT NULL, priority text NOT NULL,
    completed boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT_TASK = "INSERT INTO tasks (title, priority) VALUES (%s, %s) RETURNING id"

Conversation: TypeAlias = str | int | None


class Subject(ABC):
    """One way of doing it; it keeps its connections between turns, as a warm function does."""

    @abstractmethod
    def seed(self, messages: int) -> Conversation:
        """Make a conversation with so many messages; None where the first turn makes it."""

    def request(self, conversation: Conversation) -> Any:
        """Return what `turn` is given: made by somebody else, before the clock runs."""
        return conversation

    @abstractmethod
    def turn(self, request: Any) -> None:
        """Answer a message of the conversation, creating one task on the way."""


def database_url() -> str:
    """Return where this process finds its database, as `postgresql://…`."""
    return os.environ["BENCH_DATABASE_URL"]


def model_url() -> str:
    """Return the base URL of the model server."""
    return os.environ["BENCH_MODEL_URL"]


def function_variables() -> Mapping[str, str]:
    """Return what Taskchat's functions read from the environment, to be set before one is imported."""
    return {
        "DATABASE_URL": database_url(),
        "OPENAI_BASE_URL": model_url(),
        "OPENAI_API_KEY": API_KEY,
        "OPENAI_MODEL": MODEL,
    }


class TaskList:
    """The tool of the peers: one insert over a kept connection of psycopg2."""

    def __init__(self) -> None:
        self.connection: Connection = psycopg2.connect(database_url())
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute(CREATE_TASKS)

    def create(self, title: str, priority: str) -> str:
        """Create a task and say which."""
        with self.connection.cursor() as cursor:
            cursor.execute(INSERT_TASK, (title, priority))
            row = cursor.fetchone()
        assert row is not None
        return f"Created task {row[0]}: {title}"


def run(make_subject: Callable[[], Subject]) -> None:
    """Serve a subject's turns to the benchmark, each with its duration in milliseconds."""

    def commands() -> Mapping[str, Command]:
        subject = make_subject()

        def turn(conversation: Conversation) -> float:
            request = subject.request(conversation)
            begin = time.perf_counter()
            subject.turn(request)
            return (time.perf_counter() - begin) * 1000

        return {"seed": subject.seed, "turn": turn}

    serve(commands)
