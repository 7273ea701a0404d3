"""A subject: one way to answer a message and create one task, in a process of its own."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class in lower case

from bench.events import MESSAGE
from bench.worker import Command, serve

TEXT = ("Remember the milk, the bread and the butter. " * 9)[:400]
"""Content of each message of the history."""
INSTRUCTIONS = "You manage the task list of one person. Use the tools, then say what was done."
WINDOW_MESSAGES = 50
"""Messages of history that the subjects with a bounded history send to the model."""
CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS tasks (
    id bigserial PRIMARY KEY, title text NOT NULL, priority text NOT NULL,
    completed boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT_TASK = "INSERT INTO tasks (title, priority) VALUES (%s, %s) RETURNING id"

Conversation: TypeAlias = str | int | None


class Subject(ABC):
    """A subject keeps its connections between turns, as a warm function does."""

    @abstractmethod
    def seed(self, messages: int) -> Conversation:
        """Create a conversation with this many messages; None if the first turn creates it."""

    def request(self, conversation: Conversation, message: str) -> Any:  # noqa: ARG002 - for subjects that take it
        """Return the argument of `turn`; making it is not measured. Most subjects send `MESSAGE`, whatever is given."""
        return conversation

    @abstractmethod
    def turn(self, request: Any) -> None:
        """Answer a message of the conversation and create one task."""


class TaskList:
    """The tool of the peers: one insert over a persistent psycopg2 connection."""

    def __init__(self) -> None:
        self.connection: Connection = psycopg2.connect(database_url())
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute(CREATE_TABLE)

    def create(self, title: str, priority: str) -> str:
        """Create a task and return the text for the model."""
        with self.connection.cursor() as cursor:
            cursor.execute(INSERT_TASK, (title, priority))
            row = cursor.fetchone()
        assert row is not None
        return f"Created task {row[0]}: {title}"


def database_url() -> str:
    """Return the URL of the subject's database, as `postgresql://…`."""
    return os.environ["DATABASE_URL"]


def model_url() -> str:
    """Return the base URL of the model server."""
    return os.environ["OPENAI_BASE_URL"]


def run(make_subject: Callable[[], Subject]) -> None:
    """Serve `seed` and `turn`; a turn's result is its duration in milliseconds."""

    def commands() -> Mapping[str, Command]:
        subject = make_subject()

        def turn(conversation: Conversation, message: str = MESSAGE) -> float:
            request = subject.request(conversation, message)
            begin = time.perf_counter()
            subject.turn(request)
            return (time.perf_counter() - begin) * 1000

        return {"seed": subject.seed, "turn": turn}

    serve(commands)
